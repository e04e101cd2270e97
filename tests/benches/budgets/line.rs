//! The line between a function and the services that it calls: plain, as in the other measurements, or TLS as in the
//! cloud.
//!
//! Over TLS each of two hosts has its own chain of a root, an intermediate and a leaf with RSA keys of 2048 bits, like
//! AWS's and WeChat's. The function finds the two roots after this machine's own, in the file that `SSL_CERT_FILE`
//! names: reading some 140 certificates is a part of every start.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::NamedTempFile;

use crate::http::{Request, serve_over};

/// One of the hosts.
#[derive(Clone, Copy)]
pub(crate) enum Host {
    /// `localhost`.
    Name,
    /// `127.0.0.1`.
    Address,
}

impl Host {
    /// Its name in URLs and in its certificate.
    const fn name(self) -> &'static str {
        match self {
            Self::Name => "localhost",
            Self::Address => "127.0.0.1",
        }
    }
}

/// A kind of line.
pub(crate) enum Line {
    /// HTTP.
    Plain,
    /// HTTPS.
    Encrypted(Box<Encrypted>),
}

/// What both ends need for TLS.
pub(crate) struct Encrypted {
    name: Arc<ServerConfig>,
    address: Arc<ServerConfig>,
    roots: NamedTempFile,
}

impl Line {
    /// TLS with keys and certificates made now.
    pub(crate) fn encrypted() -> Self {
        let mut roots = NamedTempFile::new().expect("a file");
        for certificate in rustls_native_certs::load_native_certs().certs {
            write_pem(&mut roots, &certificate);
        }
        let mut configuration = |host: Host| {
            let (root, configuration) = chain(host);
            write_pem(&mut roots, root.der());
            Arc::new(configuration)
        };
        let (name, address) = (configuration(Host::Name), configuration(Host::Address));
        Self::Encrypted(Box::new(Encrypted { name, address, roots }))
    }

    /// Serves as one of the hosts.
    pub(crate) fn serve(&self, host: Host, reply: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
        let tls = match (self, host) {
            (Self::Plain, _) => None,
            (Self::Encrypted(encrypted), Host::Name) => Some(Arc::clone(&encrypted.name)),
            (Self::Encrypted(encrypted), Host::Address) => Some(Arc::clone(&encrypted.address)),
        };
        serve_over(tls, reply)
    }

    /// The URL of what [`Self::serve`] started.
    pub(crate) fn url(&self, host: Host, served: SocketAddr) -> String {
        match self {
            Self::Plain => format!("http://{served}"),
            Self::Encrypted(_) => format!("https://{}:{}", host.name(), served.port()),
        }
    }

    /// The variables that a function needs.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Plain => Vec::new(),
            Self::Encrypted(encrypted) => vec![("SSL_CERT_FILE", encrypted.roots.path().display().to_string())],
        }
    }
}

fn write_pem(file: &mut NamedTempFile, certificate: &CertificateDer<'_>) {
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, certificate);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    writeln!(file, "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", lines.join("\n"))
        .expect("it is written");
}

/// A root of its own for a host, and the server behind it.
fn chain(host: Host) -> (Certificate, ServerConfig) {
    let authority = |name: &str| {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, format!("{name} of {}", host.name()));
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority
    };
    let (root_key, key, leaf_key) = (rsa_key(), rsa_key(), rsa_key());
    let (root, intermediate) = (authority("Root"), authority("Intermediate"));
    let root_certificate = root.self_signed(&root_key).expect("a root");
    let intermediate_certificate = intermediate.signed_by(&key, &Issuer::new(root, root_key)).expect("an intermediate");
    let mut leaf = CertificateParams::new([host.name().to_owned()]).expect("a name");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf_certificate = leaf.signed_by(&leaf_key, &Issuer::new(intermediate, key)).expect("a leaf");

    let chain = vec![leaf_certificate.der().clone(), intermediate_certificate.der().clone()];
    let key = PrivateKeyDer::try_from(leaf_key.serialize_der()).expect("a key");
    let mut server =
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("they belong together");
    // Like DynamoDB and Secrets Manager: HTTP/1.1, whatever else is offered.
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    (root_certificate, server)
}

fn rsa_key() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key")
}
