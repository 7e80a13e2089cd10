//! Where trusted metadata lives between refreshes.

use crate::error::{Error, Result};
use crate::files;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Durable storage of trusted metadata, one entry per role, without version in the name.
pub trait Store {
    /// The bytes saved for `role`, or nothing.
    fn load(&self, role: &str) -> Result<Option<Vec<u8>>>;

    /// Replaces the bytes of `role`; durable and atomic when it returns.
    fn save(&mut self, role: &str, bytes: &[u8]) -> Result<()>;

    /// Forgets `role`; no error where it was not there.
    fn remove(&mut self, role: &str) -> Result<()>;
}

/// A directory of `ROLE.json` files, role names percent-encoded.
#[derive(Debug, Clone)]
pub struct DirectoryStore {
    directory: PathBuf,
}

/// More than any limit that makes sense; a local file beyond it is damage.
const LOCAL_MAX: u64 = 64 * 1024 * 1024;

impl DirectoryStore {
    /// Uses `directory`, creating it where absent.
    pub fn open(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory).map_err(Error::file(directory))?;
        Ok(DirectoryStore { directory: directory.to_owned() })
    }

    fn path(&self, role: &str) -> PathBuf {
        self.directory.join(format!("{}.json", files::encode_file(role)))
    }
}

impl Store for DirectoryStore {
    fn load(&self, role: &str) -> Result<Option<Vec<u8>>> {
        files::read_limited(&self.path(role), LOCAL_MAX)
    }

    fn save(&mut self, role: &str, bytes: &[u8]) -> Result<()> {
        files::write_atomic(&self.path(role), bytes)
    }

    fn remove(&mut self, role: &str) -> Result<()> {
        let path = self.path(role);
        match std::fs::remove_file(&path) {
            Ok(()) => files::sync_directory(&path),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(Error::file(&path)(e)),
        }
    }
}

/// Metadata in memory, for tests and for one-shot verification.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(pub BTreeMap<String, Vec<u8>>);

impl Store for MemoryStore {
    fn load(&self, role: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(role).cloned())
    }

    fn save(&mut self, role: &str, bytes: &[u8]) -> Result<()> {
        self.0.insert(role.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn remove(&mut self, role: &str) -> Result<()> {
        self.0.remove(role);
        Ok(())
    }
}
