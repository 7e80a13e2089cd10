//! Where bundles and the update record live: content-addressed objects, a journal, and one pointer file that
//! names the active object.
//!
//! ```text
//! journal.0 journal.1     the update record, newest intact one wins
//! active                  JSON: what consumers load now; replaced by rename
//! objects/SHA256.samara   verified bundles; never modified after their rename
//! partial/SHA256          downloads under way, unverified
//! ```

pub mod disk;
pub mod journal;
pub mod sim;

pub use disk::{Disk, HostDisk, replace};
pub use sim::{SimDisk, Survival};

use crate::{
    types::{Digest, Release},
    update::{Record, Slot},
};
use serde::{Deserialize, Serialize};
use std::io;

const POINTER: &str = "active";
const POINTER_MAX_BYTES: u64 = 4096;

/// What the `active` file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// The slot that is active.
    pub slot: Slot,
    /// Where the bundle is, relative to the data directory.
    pub path: String,
    /// The bundle there.
    #[serde(flatten)]
    pub release: Release,
}

/// The content store of one device.
pub struct Store<D> {
    disk: D,
    sequence: u64,
    quota: u64,
}

impl<D: Disk> Store<D> {
    /// Opens the store and reads the newest intact record. `quota` bounds objects and partial downloads together, in bytes.
    ///
    /// # Errors
    /// When the disk cannot be read or directories cannot be created.
    pub fn open(disk: D, quota: u64) -> io::Result<(Self, Record)> {
        for dir in ["objects", "partial"] {
            disk.create_dir(dir)?;
        }
        disk.sync_dir("")?;
        let (sequence, record) = journal::load(&disk)?;
        Ok((Self { disk, sequence, quota }, record))
    }

    /// The disk below.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// Makes `record` durable; on return it survives a power cut.
    ///
    /// # Errors
    /// Whatever the disk reports; the record before then still counts.
    pub fn commit(&mut self, record: &Record) -> io::Result<()> {
        let sequence = self.sequence + 1;
        journal::save(&self.disk, sequence, record)?;
        self.sequence = sequence;
        Ok(())
    }

    /// Bytes that a new object of `bytes` bytes may not exceed now, given the quota.
    pub fn room(&self) -> io::Result<u64> {
        let mut used = 0;
        for dir in ["objects", "partial"] {
            for name in self.disk.list(dir)? {
                used += self.disk.len(&format!("{dir}/{name}"))?;
            }
        }
        Ok(self.quota.saturating_sub(used))
    }

    /// Bytes of a download under way; empty when there are none, or more than `limit`.
    ///
    /// # Errors
    /// Whatever the disk reports.
    pub fn partial(&self, sha256: Digest, limit: u64) -> io::Result<Vec<u8>> {
        match self.disk.read(&partial(sha256), limit) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                self.drop_partial(sha256)?;
                Ok(Vec::new())
            }
            bytes => bytes,
        }
    }

    /// Adds bytes to a download under way. `from` is where they start; a file of another length is an error.
    ///
    /// # Errors
    /// Whatever the disk reports.
    pub fn extend_partial(&self, sha256: Digest, from: u64, bytes: &[u8]) -> io::Result<()> {
        let path = partial(sha256);
        if from == 0 {
            self.disk.put(&path, bytes)?;
            return self.disk.sync_dir("partial");
        }
        if self.disk.len(&path)? != from {
            return Err(io::Error::other(format!("{path} changed under the download")));
        }
        self.disk.append(&path, bytes)
    }

    /// Forgets a download.
    ///
    /// # Errors
    /// Whatever the disk reports.
    pub fn drop_partial(&self, sha256: Digest) -> io::Result<()> {
        self.disk.remove(&partial(sha256))
    }

    /// Commits verified bytes as an object. The bytes given are the bytes that were verified; nothing is read
    /// back, so what was checked is what is stored (RAUC CVE-2020-25860).
    ///
    /// # Errors
    /// When the bytes do not hash to `sha256`, and whatever the disk reports.
    pub fn put_object(&self, sha256: Digest, bytes: &[u8]) -> io::Result<()> {
        if Digest::of(bytes) != sha256 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes differ from their digest"));
        }
        replace(&self.disk, &object(sha256), bytes)
    }

    /// The bytes of an object, `None` when it is absent or does not hash to its name.
    ///
    /// # Errors
    /// Whatever else the disk reports.
    pub fn object(&self, release: &Release) -> io::Result<Option<Vec<u8>>> {
        match self.disk.read(&object(release.sha256), release.bytes) {
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| Digest::of(bytes) == release.sha256)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What the pointer file says; `None` when it is absent or unreadable as a pointer.
    ///
    /// # Errors
    /// Whatever else the disk reports.
    pub fn pointer(&self) -> io::Result<Option<Pointer>> {
        read_pointer(&self.disk)
    }

    /// Points consumers at a release, or at nothing. Does not write when the pointer says so already.
    ///
    /// # Errors
    /// Whatever the disk reports.
    pub fn point(&self, target: Option<(Slot, &Release)>) -> io::Result<()> {
        let wanted = target.map(|(slot, release)| Pointer {
            slot,
            path: object(release.sha256),
            release: release.clone(),
        });
        // An absent pointer and a damaged one both read as `None`; removing again is harmless.
        match wanted {
            Some(pointer) if self.pointer()?.as_ref() == Some(&pointer) => Ok(()),
            Some(pointer) => replace(&self.disk, POINTER, &serde_json::to_vec_pretty(&pointer)?),
            None => {
                self.disk.remove(POINTER)?;
                self.disk.sync_dir("")
            }
        }
    }

    /// Removes objects that no slot holds, and downloads other than `keep`.
    ///
    /// # Errors
    /// Whatever the disk reports.
    pub fn clean(&self, record: &Record, keep: Option<Digest>) -> io::Result<()> {
        let held = record.slots.iter().flatten().map(|release| object_name(release.sha256));
        let held: Vec<String> = held.collect();
        for name in self.disk.list("objects")?.into_iter().filter(|name| !held.contains(name)) {
            self.disk.remove(&format!("objects/{name}"))?;
        }
        let keep = keep.map(|digest| digest.to_string());
        for name in self.disk.list("partial")?.into_iter().filter(|name| Some(name) != keep.as_ref()) {
            self.disk.remove(&format!("partial/{name}"))?;
        }
        Ok(())
    }
}

/// Reads the pointer file without opening the store, for consumers in other processes.
///
/// # Errors
/// Whatever the disk reports beyond absence; damage reads as `None`.
pub fn read_pointer(disk: &dyn Disk) -> io::Result<Option<Pointer>> {
    match disk.read(POINTER, POINTER_MAX_BYTES) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn object_name(sha256: Digest) -> String {
    format!("{sha256}.samara")
}

fn object(sha256: Digest) -> String {
    format!("objects/{}", object_name(sha256))
}

fn partial(sha256: Digest) -> String {
    format!("partial/{sha256}")
}
