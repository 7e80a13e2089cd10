//! The Update Framework 1.0 for Samara: who may say which bundles are current, and how a device checks it.
//!
//! ```text
//! metadata    types, canonical JSON, the one signature check          no I/O, no clock
//! client      the specification's chapter 5 as a state machine        asks for files, is fed bytes
//! repository  a writer of static files that any TUF client reads      offline and online keys
//! keyfile     ed25519 keys on disk, shared with the bundle signer
//! ```
//!
//! # A device
//!
//! ```no_run
//! # fn main() -> samara_tuf::Result<()> {
//! # let shipped_root = [];
//! use samara_tuf::{Limits, client, time};
//! use std::path::Path;
//!
//! let directory = Path::new("metadata");
//! // Once, with a root.json that came out of band:
//! client::Client::init(client::DirectoryStore::open(directory)?, &shipped_root, Limits::DEFAULT)?;
//! // Then, as often as wanted; two small GETs when nothing is new:
//! let mut device = client::Client::open_directory(directory)?;
//! let mut fetch = client::DirectoryFetch::new(Path::new("/media/usb/repo/metadata"));
//! let versions = device.refresh(&mut fetch, time::now())?;
//! let target = device.target(&mut fetch, "kws-1.2.0.samara")?;
//! let constraints = target.file.custom.as_ref();
//! # let _ = (versions, constraints);
//! let mut source = client::DirectoryFetch::open_target(Path::new("/media/usb/repo/targets"), &target)?;
//! let bundle = client::save_target(&target, &mut source, Path::new("bundles"), 64 << 20)?;
//! # let _ = bundle;
//! # Ok(()) }
//! ```
//!
//! With the feature `http` (on by default) `client::Http` is a [`client::Fetch`] over ureq. A caller with a
//! transport of its own uses [`client::Client::request`] and [`client::Client::feed`], or implements
//! [`client::Fetch`]; one that streams targets into slots uses [`client::TargetVerifier`].
//!
//! # A repository
//!
//! ```no_run
//! # fn main() -> samara_tuf::Result<()> {
//! use samara_tuf::repository::{DAY, Delegation, KeyRing, Repository, RoleSetup, Setup};
//! use samara_tuf::{keyfile, time};
//! use std::path::Path;
//!
//! let mut keys = KeyRing::new();
//! let mut role = |name: &str, threshold, lifetime| {
//!     let key = keyfile::generate(Path::new(name))?;
//!     let setup = RoleSetup { keys: vec![key.verifying_key()], threshold, lifetime };
//!     keys.add(key)?;
//!     samara_tuf::Result::Ok(setup)
//! };
//! let setup = Setup {
//!     root: role("root.key", 1, 365 * DAY)?,
//!     timestamp: role("timestamp.key", 1, DAY)?,
//!     snapshot: role("snapshot.key", 1, 7 * DAY)?,
//!     targets: role("targets.key", 1, 365 * DAY)?,
//! };
//! let releases = role("releases.key", 1, 90 * DAY)?;
//! let mut repository = Repository::create(Path::new("repo"), &setup)?;
//! let paths = vec!["*.samara".to_owned()];
//! repository.delegate(
//!     "targets",
//!     &Delegation { name: "releases".into(), setup: releases, paths, terminating: true },
//! )?;
//! let custom = serde_json::json!({"arena_bytes": 10_500});
//! repository.add_target_file("releases", "kws-1.2.0.samara", Path::new("kws.samara"), Some(custom))?;
//! repository.publish(&keys, time::now())?;
//! // Daily, with the online keys only:
//! drop(repository);
//! Repository::open(Path::new("repo"))?.refresh(&keys, time::now())?;
//! # Ok(()) }
//! ```
//!
//! # What is refused, by name
//!
//! Path patterns with character sets, `succinct_roles` (TAP 15), RSA keys (they never count towards a threshold),
//! numbers that are not integers, and everything beyond [`Limits`].

pub mod client;
pub mod error;
mod files;
pub mod keyfile;
pub mod limits;
pub mod metadata;
pub mod repository;
pub mod time;

pub use error::{Error, Result};
pub use limits::Limits;
