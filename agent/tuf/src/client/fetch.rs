//! Driving the client over something that can fetch files.

use super::{Client, DirectoryStore, Refreshed, Response, Store, Target};
use crate::error::{Error, Result};
use crate::files;
use crate::limits::Limits;
use percent_encoding::percent_decode_str;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A way to get metadata files.
pub trait Fetch {
    /// The file at `path` below the metadata URL, or nothing where the repository has none.
    ///
    /// `path` is percent-encoded. Implementations stop with [`Error::TooLong`] after `max_bytes`.
    fn fetch(&mut self, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>>;
}

impl<S: Store> Client<S> {
    /// One update cycle at `now` (unix seconds). With nothing new it costs two requests: the next root, which
    /// is not there, and the timestamp.
    pub fn refresh(&mut self, fetch: &mut dyn Fetch, now: u64) -> Result<Refreshed> {
        self.begin(now);
        self.drive(fetch)?;
        let (Some(timestamp), Some(snapshot), Some(targets)) =
            (self.timestamp(), self.snapshot(), self.targets())
        else {
            return Err(Error::OutOfOrder("refresh ended without targets"));
        };
        Ok(Refreshed {
            root: self.root().version,
            timestamp: timestamp.version,
            snapshot: snapshot.version,
            targets: targets.version,
            changed: self.changed,
        })
    }

    /// Searches for a target after a refresh, fetching delegated roles as needed.
    pub fn target(&mut self, fetch: &mut dyn Fetch, name: &str) -> Result<Target> {
        self.begin_search(name)?;
        self.drive(fetch)?;
        self.found().cloned().ok_or_else(|| Error::NoSuchTarget { name: name.into() })
    }

    fn drive(&mut self, fetch: &mut dyn Fetch) -> Result<()> {
        while let Some(request) = self.request() {
            match fetch.fetch(&request.path, request.max_bytes)? {
                Some(bytes) => self.feed(Response::Bytes(&bytes))?,
                None => self.feed(Response::NotFound)?,
            }
        }
        Ok(())
    }
}

impl Client<DirectoryStore> {
    /// Opens the metadata directory of a client that was initialised before, with the default limits.
    pub fn open_directory(directory: &Path) -> Result<Self> {
        Client::open(DirectoryStore::open(directory)?, Limits::DEFAULT)
    }
}

/// A repository's metadata in a local directory: a USB stick, or a repository on this machine.
#[derive(Debug, Clone)]
pub struct DirectoryFetch {
    directory: PathBuf,
}

impl DirectoryFetch {
    /// Reads from `directory`, the one that holds `timestamp.json`.
    pub fn new(directory: &Path) -> Self {
        DirectoryFetch { directory: directory.to_owned() }
    }

    /// Opens the file of a target in the repository's local `targets` directory.
    pub fn open_target(targets: &Path, target: &Target) -> Result<File> {
        // On disk the name is what a web server makes of the URL; its segments were checked with the target's name.
        let name = percent_decode_str(&target.path).decode_utf8_lossy().into_owned();
        let path = targets.join(name);
        File::open(&path).map_err(Error::file(&path))
    }
}

impl Fetch for DirectoryFetch {
    fn fetch(&mut self, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>> {
        // Requests are one encoded segment; anything else would leave the directory.
        if path.contains(['/', '\\']) || path.starts_with('.') {
            return Err(Error::Fetch {
                url: path.into(),
                reason: "not a file of a metadata directory".into(),
            });
        }
        files::read_limited(&self.directory.join(path), max_bytes)
    }
}
