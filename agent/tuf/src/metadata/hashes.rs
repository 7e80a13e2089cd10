//! Hashes and lengths that signed metadata lists for other files.

use super::MetaFile;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512};
use std::collections::BTreeMap;

/// Hexadecimal digests by algorithm name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hashes(pub BTreeMap<String, String>);

impl Hashes {
    /// The hashes of `bytes` as the repository writer lists them: sha256 only.
    pub fn of(bytes: &[u8]) -> Self {
        Hashes(BTreeMap::from([("sha256".to_owned(), hex::encode(Sha256::digest(bytes)))]))
    }

    /// The sha256 digest, where listed.
    pub fn sha256(&self) -> Option<&str> {
        self.0.get("sha256").map(String::as_str)
    }

    /// A running check against every hash listed of an algorithm known here; there must be one.
    pub fn hasher(&self, what: &str) -> Result<Hasher> {
        let listed = |name: &str| self.0.get(name).map(|digest| digest.to_ascii_lowercase());
        let (sha256, sha512) = (listed("sha256"), listed("sha512"));
        if sha256.is_none() && sha512.is_none() {
            return Err(Error::UnknownHash { what: what.into() });
        }
        Ok(Hasher {
            what: what.into(),
            sha256: sha256.map(|digest| (Sha256::new(), digest)),
            sha512: sha512.map(|digest| (Sha512::new(), digest)),
        })
    }
}

/// Hashes a file piece by piece against the digests that signed metadata lists.
#[derive(Debug, Clone)]
pub struct Hasher {
    what: String,
    sha256: Option<(Sha256, String)>,
    sha512: Option<(Sha512, String)>,
}

impl Hasher {
    /// Takes the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some((hash, _)) = &mut self.sha256 {
            hash.update(bytes);
        }
        if let Some((hash, _)) = &mut self.sha512 {
            hash.update(bytes);
        }
    }

    /// All listed digests must agree, not only one of them.
    pub fn finish(self) -> Result<()> {
        let what = self.what;
        let compare = |algorithm: &str, found: String, listed: String| {
            if found == listed {
                return Ok(());
            }
            Err(Error::HashMismatch { what: what.clone(), algorithm: algorithm.into() })
        };
        if let Some((hash, listed)) = self.sha256 {
            compare("sha256", hex::encode(hash.finalize()), listed)?;
        }
        if let Some((hash, listed)) = self.sha512 {
            compare("sha512", hex::encode(hash.finalize()), listed)?;
        }
        Ok(())
    }
}

impl MetaFile {
    /// Checks received metadata against the length and hashes listed for it, where they are (5.5.2, 5.6.2).
    pub(crate) fn check(&self, what: &str, bytes: &[u8]) -> Result<()> {
        if let Some(expected) = self.length
            && expected != bytes.len() as u64
        {
            return Err(Error::LengthMismatch { what: what.into(), expected, found: bytes.len() as u64 });
        }
        if let Some(hashes) = &self.hashes {
            let mut hasher = hashes.hasher(what)?;
            hasher.update(bytes);
            hasher.finish()?;
        }
        Ok(())
    }
}
