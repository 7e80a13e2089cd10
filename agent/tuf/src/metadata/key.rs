//! Public keys in metadata, and what a signature check with them means.

use super::{Extra, canonical};
use crate::error::{Error, Result};
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A public key as metadata writes it (specification 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `ed25519`, or `ecdsa`; others are kept and never count towards a threshold.
    pub keytype: String,
    /// `ed25519`, or `ecdsa-sha2-nistp256`.
    pub scheme: String,
    /// The key itself.
    pub keyval: KeyValue,
    /// Fields this version does not know; signatures cover them.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The key material: hexadecimal for ed25519, PEM (SubjectPublicKeyInfo) for ECDSA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// Encoded public key.
    pub public: String,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Key {
    /// The metadata form of an ed25519 key.
    pub fn ed25519(key: &VerifyingKey) -> Self {
        Key {
            keytype: "ed25519".into(),
            scheme: "ed25519".into(),
            keyval: KeyValue { public: hex::encode(key.as_bytes()), extra: Extra::new() },
            extra: Extra::new(),
        }
    }

    /// SHA-256 of the canonical form, in hexadecimal: the identifier that roles and signatures use (4.2).
    pub fn id(&self) -> Result<String> {
        let value = serde_json::to_value(self).map_err(|e| Error::malformed("key", e))?;
        let bytes = canonical(&value).map_err(|e| Error::malformed("key", e))?;
        Ok(hex::encode(Sha256::digest(bytes)))
    }

    /// The key ready for use, or nothing where type, scheme or encoding is not supported.
    pub(super) fn verifier(&self) -> Option<Verifier> {
        match (self.keytype.as_str(), self.scheme.as_str()) {
            ("ed25519", "ed25519") => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(&self.keyval.public, &mut bytes).ok()?;
                VerifyingKey::from_bytes(&bytes).ok().map(Verifier::Ed25519)
            }
            // The first spelling is the specification's, the second that of older repositories.
            #[cfg(feature = "ecdsa")]
            ("ecdsa" | "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256") => {
                use p256::pkcs8::DecodePublicKey;
                p256::ecdsa::VerifyingKey::from_public_key_pem(&self.keyval.public)
                    .ok()
                    .map(Verifier::EcdsaP256)
            }
            _ => None,
        }
    }
}

/// A decoded key.
pub(super) enum Verifier {
    Ed25519(VerifyingKey),
    #[cfg(feature = "ecdsa")]
    EcdsaP256(p256::ecdsa::VerifyingKey),
}

impl Verifier {
    /// What makes two keys the same key, whatever their identifiers and encodings are.
    pub(super) fn identity(&self) -> Vec<u8> {
        match self {
            Verifier::Ed25519(key) => [b"ed25519:", key.as_bytes().as_slice()].concat(),
            #[cfg(feature = "ecdsa")]
            Verifier::EcdsaP256(key) => [b"p256:", key.to_sec1_point(true).as_bytes()].concat(),
        }
    }

    /// Whether `signature` (hexadecimal) is this key's over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = hex::decode(signature) else { return false };
        match self {
            // `verify_strict`: plain `verify` accepts small-order keys.
            Verifier::Ed25519(key) => ed25519_dalek::Signature::from_slice(&signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            #[cfg(feature = "ecdsa")]
            Verifier::EcdsaP256(key) => {
                use p256::ecdsa::signature::Verifier as _;
                p256::ecdsa::Signature::from_der(&signature)
                    .is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // securesystemslib's CryptoSigner reports this keyid for the ed25519 key with an all-zero seed.
    #[test]
    fn key_id_is_the_hash_of_the_canonical_key() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[0; 32]).verifying_key();
        let key = Key::ed25519(&key);
        assert_eq!(key.keyval.public, "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29");
        assert_eq!(key.id().unwrap(), "4cc3f338069d638e761ed397f5c53df4129a276face46a446c202617331ca1b3");
    }

    #[cfg(feature = "ecdsa")]
    #[test]
    fn p256_signatures_and_the_identity_of_a_key() {
        use p256::ecdsa::{Signature, SigningKey, signature::Signer};
        use p256::pkcs8::{EncodePublicKey, LineEnding};
        let secret = SigningKey::from_slice(&[7; 32]).unwrap();
        let pem = secret.verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
        let mut key = Key {
            keytype: "ecdsa".into(),
            scheme: "ecdsa-sha2-nistp256".into(),
            keyval: KeyValue { public: pem, extra: Extra::new() },
            extra: Extra::new(),
        };
        let signature: Signature = secret.sign(b"message");
        let signature = hex::encode(signature.to_der().as_bytes());
        let verifier = key.verifier().unwrap();
        assert!(verifier.verifies(b"message", &signature));
        assert!(!verifier.verifies(b"massage", &signature));
        assert!(!verifier.verifies(b"message", &signature[2..]));
        key.keytype = "ecdsa-sha2-nistp256".into();
        key.keyval.public = key.keyval.public.replace('\n', "\r\n");
        assert_eq!(
            key.verifier().unwrap().identity(),
            verifier.identity(),
            "spelling does not make another key"
        );
        key.scheme = "ecdsa-sha2-nistp384".into();
        assert!(key.verifier().is_none());
    }
}
