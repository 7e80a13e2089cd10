//! Signing a role's metadata with the keys at hand.

use crate::error::{Error, Result};
use crate::keyfile;
use crate::metadata::{Key, RoleKeys, Signature, Signed, canonical};
use ed25519_dalek::{Signer, SigningKey};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Secret keys at hand, by key identifier. Each signs for every role that lists it.
#[derive(Default)]
pub struct KeyRing(BTreeMap<String, SigningKey>);

impl KeyRing {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key.
    pub fn add(&mut self, key: SigningKey) -> Result<()> {
        self.0.insert(Key::ed25519(&key.verifying_key()).id()?, key);
        Ok(())
    }

    /// Adds the key of a secret key file ([`crate::keyfile`]).
    pub fn read(&mut self, path: &Path) -> Result<()> {
        self.add(keyfile::read_secret(path)?)
    }

    /// Whether a threshold of `authority` is at hand.
    pub fn can_sign(&self, authority: &RoleKeys) -> bool {
        self.count(authority) >= authority.threshold as usize
    }

    fn count(&self, authority: &RoleKeys) -> usize {
        self.0.keys().filter(|id| authority.keyids.contains(id)).count()
    }

    /// The metadata file of `signed`, with the signature of every key at hand that one of `authorities` lists.
    /// Each authority's threshold must be reached: a root is signed for its predecessor as well as for itself.
    pub(super) fn sign<T: Signed>(
        &self,
        role: &str,
        signed: &T,
        authorities: &[RoleKeys],
    ) -> Result<Vec<u8>> {
        signed.validate().map_err(|reason| Error::malformed(role, reason))?;
        for authority in authorities {
            if !self.can_sign(authority) {
                return Err(Error::Repository(format!(
                    "signing {role} needs {} of the keys {}, but {} are given",
                    authority.threshold,
                    authority.keyids.iter().map(|id| &id[..id.len().min(8)]).collect::<Vec<_>>().join(", "),
                    self.count(authority)
                )));
            }
        }
        #[derive(Serialize)]
        struct Wire<'a, T> {
            signatures: Vec<Signature>,
            signed: &'a T,
        }
        let value = serde_json::to_value(signed).map_err(|e| Error::malformed(role, e))?;
        let payload = canonical(&value).map_err(|e| Error::malformed(role, e))?;
        let signatures = self
            .0
            .iter()
            .filter(|(id, _)| authorities.iter().any(|authority| authority.keyids.contains(id)))
            .map(|(id, key)| Signature { keyid: id.clone(), sig: hex::encode(key.sign(&payload).to_bytes()) })
            .collect();
        serde_json::to_vec(&Wire { signatures, signed }).map_err(|e| Error::malformed(role, e))
    }
}
