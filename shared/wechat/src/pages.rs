//! Signatures of an account's web pages, which let them use the JS-SDK (protocol section 5.9).

use base::clock::Timestamp;
use base::ids::hex;
use secrecy::{ExposeSecret as _, SecretString};
use sha1::{Digest as _, Sha1};

/// The signature for a page: lower-case hexadecimal. `url` is the page's `location.href` without its fragment, exactly
/// as the browser has it: the signature covers its characters.
#[must_use]
pub fn sign(ticket: &SecretString, nonce: &str, timestamp: Timestamp, url: &str) -> String {
    let ticket = ticket.expose_secret();
    let signed = format!("jsapi_ticket={ticket}&noncestr={nonce}&timestamp={}&url={url}", timestamp.unix());
    hex(&Sha1::digest(signed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of protocol section 5.9.
    #[test]
    fn the_example_of_wechats_documents_is_signed_as_there() {
        let ticket = SecretString::from(
            "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg",
        );
        for (url, signature) in [
            ("http://mp.weixin.qq.com?params=value", "0f9de62fce790f9a083d5c99e95740ceb90c27ed"),
            ("http://mp.weixin.qq.com", "f4d90daf4b3bca3078ab155816175ba34c443a7b"),
        ] {
            assert_eq!(sign(&ticket, "Wm3WZYTPz0wzccnW", Timestamp::from_unix(1_414_587_457), url), signature, "{url}");
        }
    }
}
