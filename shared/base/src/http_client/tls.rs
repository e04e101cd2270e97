//! TLS, set up once for all clients of a process: they share the system's root certificates and the sessions that can
//! be resumed.
//!
//! Reading some 140 roots is a good part of a cold start. Without this module each client would read them when it is
//! built; here they are read when the first certificate has to be verified, and never if only plain HTTP addresses are
//! called.

use std::sync::{Arc, LazyLock, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// The TLS configuration of every client; clones share the roots that were read.
pub(super) fn configuration() -> ClientConfig {
    static CONFIGURATION: LazyLock<ClientConfig> = LazyLock::new(|| {
        let builder = ClientConfig::builder();
        let verifier = LateVerifier::new(Arc::clone(builder.crypto_provider()), system_roots);
        let mut configuration =
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
        configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
        configuration
    });
    CONFIGURATION.clone()
}

/// The system's root certificates, or those of `SSL_CERT_FILE`. One that cannot be read is left out: only the servers
/// that depend on it fail.
fn system_roots() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// rustls' own verifier, created when it is first needed.
#[derive(Debug)]
struct LateVerifier {
    provider: Arc<CryptoProvider>,
    read_roots: fn() -> Vec<CertificateDer<'static>>,
    verifier: OnceLock<Result<Arc<WebPkiServerVerifier>, Error>>,
}

impl LateVerifier {
    fn new(provider: Arc<CryptoProvider>, read_roots: fn() -> Vec<CertificateDer<'static>>) -> Self {
        Self { provider, read_roots, verifier: OnceLock::new() }
    }

    fn verifier(&self) -> Result<&WebPkiServerVerifier, Error> {
        let verifier = self.verifier.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates((self.read_roots)());
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()
                .map_err(|error| Error::General(format!("the system's root certificates: {error}")))
        });
        verifier.as_deref().map_err(Clone::clone)
    }
}

impl ServerCertVerifier for LateVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::CertificateError;

    use super::*;

    static ROOT: OnceLock<CertificateDer<'static>> = OnceLock::new();
    static READS: AtomicUsize = AtomicUsize::new(0);

    fn read_root() -> Vec<CertificateDer<'static>> {
        READS.fetch_add(1, Ordering::SeqCst);
        ROOT.get().into_iter().cloned().collect()
    }

    /// A root, and a certificate for `name` below it.
    fn certificates(name: &str) -> (CertificateDer<'static>, CertificateDer<'static>) {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let root_certificate = root.self_signed(&root_key).unwrap();
        let leaf = CertificateParams::new([name.to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::new(root, root_key)).unwrap();
        (root_certificate.der().clone(), leaf.der().clone())
    }

    fn verify(verifier: &LateVerifier, certificate: &CertificateDer<'_>, name: &'static str) -> Result<(), Error> {
        let name = ServerName::try_from(name).unwrap();
        verifier.verify_server_cert(certificate, &[], &name, &[], UnixTime::now()).map(drop)
    }

    #[test]
    fn a_certificate_is_taken_under_a_known_root_and_for_its_own_name_only() {
        let (root, leaf) = certificates("api.example.com");
        let (_, foreign) = certificates("api.example.com");
        ROOT.set(root).unwrap();
        let verifier = LateVerifier::new(Arc::clone(ClientConfig::builder().crypto_provider()), read_root);
        assert_eq!(READS.load(Ordering::SeqCst), 0, "nothing is read before it is needed");

        assert_eq!(verify(&verifier, &leaf, "api.example.com"), Ok(()));
        let refusal = verify(&verifier, &leaf, "other.example.com").unwrap_err();
        assert!(matches!(refusal, Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })));
        let refusal = verify(&verifier, &foreign, "api.example.com").unwrap_err();
        assert!(matches!(refusal, Error::InvalidCertificate(_)), "{refusal:?}");
        assert_eq!(READS.load(Ordering::SeqCst), 1, "and once");

        let none = LateVerifier::new(Arc::clone(&verifier.provider), Vec::new);
        assert!(verify(&none, &leaf, "api.example.com").is_err());
    }
}
