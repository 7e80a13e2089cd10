//! The signed envelope, and the only signature check of the crate.

use super::{Key, Signed, canonical};
use crate::error::{Error, Result};
use crate::limits::Limits;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Keys by identifier.
pub type Keys = BTreeMap<String, Key>;

/// Which keys speak for a role, and how many of them must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleKeys {
    /// Identifiers of the keys that may sign.
    pub keyids: Vec<String>,
    /// Distinct keys required, at least 1.
    pub threshold: u32,
}

/// One entry of the envelope's signature list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Identifier of the signing key.
    pub keyid: String,
    /// Hexadecimal signature over the canonical form of `signed`; empty where a signer has yet to sign.
    pub sig: String,
}

/// A metadata file whose signatures are not checked yet: nothing of its content can be reached.
#[derive(Debug, Clone)]
pub struct Envelope {
    signatures: Vec<Signature>,
    signed: Value,
    payload: Vec<u8>,
    bytes: Vec<u8>,
}

/// Metadata whose signatures and form have been checked, with the exact bytes received.
#[derive(Debug, Clone)]
pub struct Verified<T> {
    signed: T,
    bytes: Vec<u8>,
}

impl<T> Verified<T> {
    /// The file as it was received; hashes are over these bytes, and these are what is stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.signed
    }
}

impl Envelope {
    /// Splits a metadata file of `role` into signatures and signed part; `role` is for error messages.
    pub fn parse(role: &str, bytes: &[u8], limits: &Limits) -> Result<Self> {
        #[derive(Deserialize)]
        struct Wire {
            signatures: Vec<Signature>,
            signed: Value,
        }
        let Wire { signatures, signed } =
            serde_json::from_slice(bytes).map_err(|e| Error::malformed(role, e))?;
        if signatures.len() > limits.signatures {
            return Err(Error::malformed(role, format!("more than {} signatures", limits.signatures)));
        }
        // 4.2.1: the keyid MUST be unique in the "signatures" array.
        let mut seen = BTreeSet::new();
        for signature in &signatures {
            if !seen.insert(&signature.keyid) {
                return Err(Error::DuplicateSignature { role: role.into(), keyid: signature.keyid.clone() });
            }
        }
        let payload = canonical(&signed).map_err(|e| Error::malformed(role, e))?;
        Ok(Envelope { signatures, signed, payload, bytes: bytes.to_vec() })
    }

    /// Checks that a threshold of `authority` has signed (5.3.4, 5.4.2, 5.5.3, 5.6.3, and every delegation).
    ///
    /// Unknown key identifiers, unsupported key types and invalid signatures do not count, and do no harm
    /// either. A key counts once, under however many identifiers it is listed.
    pub fn check(&self, role: &str, keys: &Keys, authority: &RoleKeys) -> Result<()> {
        if authority.threshold == 0 {
            return Err(Error::ThresholdZero { role: role.into() });
        }
        let mut valid = BTreeSet::new();
        for signature in &self.signatures {
            if !authority.keyids.contains(&signature.keyid) {
                continue;
            }
            let Some(verifier) = keys.get(&signature.keyid).and_then(Key::verifier) else { continue };
            if verifier.verifies(&self.payload, &signature.sig) {
                valid.insert(verifier.identity());
            }
        }
        if valid.len() < authority.threshold as usize {
            return Err(Error::Threshold {
                role: role.into(),
                valid: valid.len(),
                threshold: authority.threshold,
            });
        }
        Ok(())
    }

    /// Checks the signatures, then type, specification version and form of the content.
    pub fn verify<T: Signed>(self, role: &str, keys: &Keys, authority: &RoleKeys) -> Result<Verified<T>> {
        self.check(role, keys, authority)?;
        let signed = self.content(role)?;
        Ok(Verified { signed, bytes: self.bytes })
    }

    /// A root must be signed by the keys that it lists itself (5.3.4 (2)); these are known only after parsing.
    pub fn verify_root(self) -> Result<Verified<super::Root>> {
        let signed: super::Root = self.content("root")?;
        self.check("root", &signed.keys, signed.role(super::TopLevel::Root))?;
        Ok(Verified { signed, bytes: self.bytes })
    }

    /// The content without a signature check, for the writer that is about to sign it again.
    pub(crate) fn into_unverified<T: Signed>(self, role: &str) -> Result<T> {
        self.content(role)
    }

    fn content<T: Signed>(&self, role: &str) -> Result<T> {
        let text = |name: &str| self.signed.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("_type") != T::TYPE {
            return Err(Error::malformed(
                role,
                format!("its type is {:?}, not {:?}", text("_type"), T::TYPE),
            ));
        }
        // 4.2: clients refuse a major version of the specification that they do not implement.
        if !text("spec_version").starts_with("1.") {
            return Err(Error::malformed(
                role,
                format!("specification {:?} is not 1.x", text("spec_version")),
            ));
        }
        let signed: T = T::deserialize(&self.signed).map_err(|e| Error::malformed(role, e))?;
        if signed.version() == 0 {
            return Err(Error::malformed(role, "version 0"));
        }
        if crate::time::parse(signed.expires()).is_none() {
            return Err(Error::malformed(role, format!("{:?} is not a date", signed.expires())));
        }
        signed.validate().map_err(|reason| Error::malformed(role, reason))?;
        Ok(signed)
    }
}
