//! Metadata of the four roles: types, canonical form, signatures, hashes.
//!
//! Bytes come in through [`Envelope::parse`], which reaches nothing but the signature list, and leave as
//! [`Verified`], which alone gives access to content. Unknown fields are kept, because signatures cover them.

mod canonical;
mod envelope;
mod hashes;
mod key;
mod roles;
mod targets;

pub use canonical::{NotInteger, canonical};
pub use envelope::{Envelope, Keys, RoleKeys, Signature, Verified};
pub use hashes::{Hasher, Hashes};
pub use key::{Key, KeyValue};
pub use roles::{MetaFile, Root, Snapshot, Timestamp, TopLevel};
pub use targets::{DelegatedRole, Delegations, TargetFile, Targets};

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// Version of the TUF specification that the writer states.
pub const SPEC_VERSION: &str = "1.0.34";

/// Field of a timestamp that says when it was signed, in unix seconds; an addition of this writer that other clients
/// ignore.
pub const SIGNED_AT: &str = "x-samara-signed-at";

/// Fields of an object that this version gives no meaning to.
pub type Extra = BTreeMap<String, Value>;

/// The content of one kind of metadata file.
pub trait Signed: DeserializeOwned + serde::Serialize {
    /// The `_type` field.
    const TYPE: &'static str;

    /// Positive.
    fn version(&self) -> u64;

    /// `YYYY-MM-DDTHH:MM:SSZ`.
    fn expires(&self) -> &str;

    /// Rules that the types do not express; the error says which one is broken.
    fn validate(&self) -> Result<(), String>;
}
