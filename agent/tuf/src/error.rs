//! The one error type, each attack under its own name.

use std::path::{Path, PathBuf};

/// Why metadata, a target or a repository was refused. `role` is the role's name as the metadata spells it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not JSON, a field missing or out of range, or a feature of the format that is not supported.
    #[error("{role} metadata is malformed: {reason}")]
    Malformed {
        /// Role whose metadata it was meant to be.
        role: String,
        /// What exactly is wrong.
        reason: String,
    },
    /// More bytes than allowed (endless data attack).
    #[error("{what} is larger than the {max} bytes allowed")]
    TooLong {
        /// Role or target name.
        what: String,
        /// The limit that was exceeded, in bytes.
        max: u64,
    },
    /// Too few distinct keys of the role have signed (arbitrary software attack).
    #[error("{role} metadata is signed by {valid} of the {threshold} keys required")]
    Threshold {
        /// Role whose metadata it is.
        role: String,
        /// Distinct keys with a valid signature.
        valid: usize,
        /// Distinct keys required.
        threshold: u32,
    },
    /// A role that asks for no signature at all.
    #[error("role {role} has threshold 0")]
    ThresholdZero {
        /// Role so described.
        role: String,
    },
    /// The same key identifier signs twice in one file.
    #[error("{role} metadata lists two signatures of key {keyid}")]
    DuplicateSignature {
        /// Role whose metadata it is.
        role: String,
        /// The repeated identifier.
        keyid: String,
    },
    /// Not the version that was asked for.
    #[error("{role} metadata has version {found}, expected {expected}")]
    WrongVersion {
        /// Role whose metadata it is.
        role: String,
        /// Version the delegating metadata (or the root chain) demands.
        expected: u64,
        /// Version found in the file.
        found: u64,
    },
    /// An older version than the one already trusted.
    #[error("{role} metadata goes back from version {trusted} to {found} (rollback)")]
    Rollback {
        /// Role whose version goes back.
        role: String,
        /// Version trusted so far.
        trusted: u64,
        /// Version offered.
        found: u64,
    },
    /// A role that the trusted snapshot lists is gone from the new one.
    #[error("the new snapshot no longer lists {file}")]
    RemovedFromSnapshot {
        /// Metadata file that vanished.
        file: String,
    },
    /// Past its expiry (freeze attack).
    #[error("{role} metadata expired at {expires}")]
    Expired {
        /// Role whose metadata it is.
        role: String,
        /// Expiry as written in the metadata, UTC.
        expires: String,
    },
    /// The bytes are not those that the delegating metadata lists (mix-and-match attack).
    #[error("{what} does not match the {algorithm} listed for it")]
    HashMismatch {
        /// Role or target name.
        what: String,
        /// Hash algorithm that disagreed.
        algorithm: String,
    },
    /// The length is not the listed one.
    #[error("{what} has {found} bytes, {expected} are listed")]
    LengthMismatch {
        /// Role or target name.
        what: String,
        /// Length listed in signed metadata.
        expected: u64,
        /// Length received.
        found: u64,
    },
    /// Hashes are listed, but none of an algorithm known here (sha256, sha512).
    #[error("{what} lists no sha256 or sha512 hash")]
    UnknownHash {
        /// Role or target name.
        what: String,
    },
    /// The repository does not have a file that its signed metadata promises.
    #[error("the repository has no {path}")]
    Missing {
        /// Path below the metadata or target URL.
        path: String,
    },
    /// A delegated role without an entry in the snapshot.
    #[error("delegated role {role} is not listed in the snapshot")]
    NotInSnapshot {
        /// The delegated role.
        role: String,
    },
    /// The search for a target visited more roles than allowed.
    #[error("the search for {target} visits more than {max} roles")]
    TooManyDelegations {
        /// Target searched for.
        target: String,
        /// Roles that may be visited.
        max: usize,
    },
    /// A target name that could leave its directory or URL.
    #[error("target name {name:?} is refused: {reason}")]
    TargetName {
        /// The offending name.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// No role lists the target.
    #[error("no role lists target {name}")]
    NoSuchTarget {
        /// Target searched for.
        name: String,
    },
    /// The client was used out of order: refresh before search, feed only what was asked for.
    #[error("the TUF client was used out of order: {0}")]
    OutOfOrder(&'static str),
    /// The transport failed; nothing is known about the file.
    #[error("cannot fetch {url}: {reason}")]
    Fetch {
        /// What was asked for.
        url: String,
        /// The transport's own words.
        reason: String,
    },
    /// A local file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A local file has the wrong content.
    #[error("{}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The repository writer was asked for something that no client would accept.
    #[error("{0}")]
    Repository(String),
}

impl Error {
    pub(crate) fn malformed(role: &str, reason: impl ToString) -> Self {
        Error::Malformed { role: role.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    }

    pub(crate) fn content(path: &Path, reason: impl ToString) -> Self {
        Error::Content { path: path.to_owned(), reason: reason.to_string() }
    }
}

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
