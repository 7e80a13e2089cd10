//! The client of TUF specification chapter 5, without I/O of its own.
//!
//! ```text
//! begin(now) ─> root N+1 … 404 ─> timestamp ─> snapshot ─> targets ─> ready ─> search(name) ─> delegated roles …
//! ```
//!
//! [`Client::request`] says which file is wanted and how large it may be; the caller gets it by whatever means
//! it has and hands it to [`Client::feed`]. [`Client::refresh`] and [`Client::target`] do that in a loop over a
//! [`Fetch`]. An error ends the cycle; everything verified up to there is stored, as the specification demands,
//! and the next [`Client::begin`] goes on from it.

mod fetch;
#[cfg(feature = "http")]
mod http;
mod list;
mod search;
mod store;
mod target;
mod update;

pub use fetch::{DirectoryFetch, Fetch};
#[cfg(feature = "http")]
pub use http::Http;
pub use store::{DirectoryStore, MemoryStore, Store};
pub use target::{Target, TargetVerifier, cached_target, check_target_name, save_target, target_path};

use crate::error::{Error, Result};
use crate::files;
use crate::limits::Limits;
use crate::metadata::{
    Envelope, MetaFile, Root, SIGNED_AT, Snapshot, Targets, Timestamp, TopLevel, Verified,
};
use search::{Search, VerifiedRole};

/// A metadata file that the client wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// The root of exactly this version; that there is none is the normal end of the root chain.
    Root(u64),
    /// The current timestamp.
    Timestamp,
    /// The snapshot of this version.
    Snapshot(u64),
    /// A targets role, top-level or delegated, of this version.
    Targets {
        /// The role's name.
        role: String,
        /// The version that the snapshot lists.
        version: u64,
    },
}

/// A wanted file, where it is, and how much of it may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which file.
    pub want: Want,
    /// Path below the metadata URL, percent-encoded.
    pub path: String,
    /// Stop reading after this many bytes: a longer file is refused (endless data attack).
    pub max_bytes: u64,
}

/// What came back for a [`Request`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response<'a> {
    /// The file.
    Bytes(&'a [u8]),
    /// The repository says that there is no such file.
    NotFound,
}

/// Versions that a refresh ended with, and whether anything but their confirmation came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refreshed {
    /// Version of the trusted root.
    pub root: u64,
    /// Version of the trusted timestamp.
    pub timestamp: u64,
    /// Version of the trusted snapshot.
    pub snapshot: u64,
    /// Version of the trusted top-level targets.
    pub targets: u64,
    /// Whether any file was new.
    pub changed: bool,
}

#[derive(Debug)]
enum State {
    Idle,
    Root {
        followed: u32,
    },
    /// With the timestamp trusted before, for comparison.
    Timestamp(Option<Box<Verified<Timestamp>>>),
    /// With the snapshot trusted before, for comparison.
    Snapshot(Option<Box<Verified<Snapshot>>>),
    Targets,
    Ready,
    Search(Box<Search>),
}

/// A TUF client over stored, trusted metadata.
#[derive(Debug)]
pub struct Client<S> {
    store: S,
    limits: Limits,
    /// Fixed for a whole update cycle (5.1).
    now: u64,
    root: Verified<Root>,
    timestamp: Option<Verified<Timestamp>>,
    snapshot: Option<Verified<Snapshot>>,
    targets: Option<Verified<Targets>>,
    /// Timestamp or snapshot keys were taken away on the way to the current root.
    rotated: bool,
    changed: bool,
    /// Delegated roles verified in this cycle.
    verified: Vec<VerifiedRole>,
    state: State,
}

impl<S: Store> Client<S> {
    /// Trusts `root`, which came out of band; whatever the store trusted before is forgotten.
    pub fn init(mut store: S, root: &[u8], limits: Limits) -> Result<Self> {
        let verified = trusted_root(root, &limits)?;
        for role in [TopLevel::Timestamp, TopLevel::Snapshot, TopLevel::Targets] {
            store.remove(role.name())?;
        }
        store.save("root", root)?;
        Ok(Self::with_root(store, verified, limits))
    }

    /// Goes on from what the store trusts (5.2); its root may be expired, it is updated first.
    pub fn open(store: S, limits: Limits) -> Result<Self> {
        let bytes =
            store.load("root")?.ok_or(Error::Missing { path: "root.json (run init first)".into() })?;
        let root = trusted_root(&bytes, &limits)?;
        Ok(Self::with_root(store, root, limits))
    }

    fn with_root(store: S, root: Verified<Root>, limits: Limits) -> Self {
        Client {
            store,
            limits,
            now: 0,
            root,
            timestamp: None,
            snapshot: None,
            targets: None,
            rotated: false,
            changed: false,
            verified: Vec::new(),
            state: State::Idle,
        }
    }

    /// The trusted root; its expiry is checked by a refresh, not here.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The trusted timestamp, once a refresh got that far.
    pub fn timestamp(&self) -> Option<&Timestamp> {
        self.timestamp.as_deref()
    }

    /// The trusted snapshot, once a refresh got that far.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_deref()
    }

    /// The trusted top-level targets, once a refresh is complete.
    pub fn targets(&self) -> Option<&Targets> {
        self.targets.as_deref()
    }

    /// The earliest time (unix seconds) it can be, by the stored timestamp: when it was signed. A device whose clock
    /// does not survive power loss passes the larger of this and its clock to [`Client::begin`]. 0 where nothing is
    /// stored, or where the repository's writer does not state the time.
    pub fn time_floor(&self) -> Result<u64> {
        let stored = self.load::<Timestamp>("timestamp", TopLevel::Timestamp)?;
        Ok(stored.and_then(|timestamp| timestamp.extra.get(SIGNED_AT)?.as_u64()).unwrap_or(0))
    }

    /// The bounds in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The store, for example to look at it in tests.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Starts an update cycle at `now` (unix seconds), which stays fixed until the next one (5.1).
    pub fn begin(&mut self, now: u64) {
        self.now = now;
        self.timestamp = None;
        self.snapshot = None;
        self.targets = None;
        self.rotated = false;
        self.changed = false;
        self.verified.clear();
        self.state = State::Root { followed: 0 };
    }

    /// The next file wanted; nothing when the refresh or search is complete, or none is under way.
    pub fn request(&self) -> Option<Request> {
        let named = |version: u64, role: &str| match self.root.consistent_snapshot {
            true => format!("{version}.{}.json", files::encode(role)),
            false => format!("{}.json", files::encode(role)),
        };
        let bounded = |meta: &MetaFile, limit: u64| meta.length.map_or(limit, |length| length.min(limit));
        match &self.state {
            State::Idle | State::Ready => None,
            // 5.3.3: VERSION_NUMBER.root.json, with or without consistent snapshots.
            State::Root { .. } => {
                let version = self.root.version.saturating_add(1);
                Some(Request {
                    want: Want::Root(version),
                    path: format!("{version}.root.json"),
                    max_bytes: self.limits.root,
                })
            }
            // 5.4.1: always timestamp.json.
            State::Timestamp(_) => Some(Request {
                want: Want::Timestamp,
                path: "timestamp.json".into(),
                max_bytes: self.limits.timestamp,
            }),
            State::Snapshot(_) => {
                let meta = self.timestamp.as_ref()?.snapshot();
                Some(Request {
                    want: Want::Snapshot(meta.version),
                    path: named(meta.version, "snapshot"),
                    max_bytes: bounded(meta, self.limits.snapshot),
                })
            }
            State::Targets => self.request_targets("targets", &named, &bounded),
            State::Search(search) => self.request_targets(search.waiting_for()?, &named, &bounded),
        }
    }

    fn request_targets(
        &self,
        role: &str,
        named: &dyn Fn(u64, &str) -> String,
        bounded: &dyn Fn(&MetaFile, u64) -> u64,
    ) -> Option<Request> {
        let meta = self.snapshot.as_ref()?.role(role)?;
        Some(Request {
            want: Want::Targets { role: role.into(), version: meta.version },
            path: named(meta.version, role),
            max_bytes: bounded(meta, self.limits.targets),
        })
    }

    /// Takes the answer to the current [`Client::request`]. An error ends the cycle.
    pub fn feed(&mut self, response: Response<'_>) -> Result<()> {
        let Some(request) = self.request() else {
            return Err(Error::OutOfOrder("feed without a request"));
        };
        let state = std::mem::replace(&mut self.state, State::Idle);
        let bytes = match (response, &state) {
            (Response::Bytes(bytes), _) => bytes,
            (Response::NotFound, State::Root { .. }) => return self.finish_root(),
            (Response::NotFound, _) => return Err(Error::Missing { path: request.path }),
        };
        if bytes.len() as u64 > request.max_bytes {
            return Err(Error::TooLong { what: request.path, max: request.max_bytes });
        }
        match state {
            State::Root { followed } => self.update_root(bytes, followed),
            State::Timestamp(trusted) => self.update_timestamp(bytes, trusted.map(|t| *t)),
            State::Snapshot(trusted) => self.update_snapshot(bytes, trusted.map(|t| *t)),
            State::Targets => self.update_targets(bytes),
            State::Search(search) => self.feed_search(*search, bytes),
            State::Idle | State::Ready => Err(Error::OutOfOrder("feed without a request")),
        }
    }
}

fn trusted_root(bytes: &[u8], limits: &Limits) -> Result<Verified<Root>> {
    if bytes.len() as u64 > limits.root {
        return Err(Error::TooLong { what: "root".into(), max: limits.root });
    }
    Envelope::parse("root", bytes, limits)?.verify_root()
}
