//! Root, timestamp and snapshot: the roles that say which targets metadata is current.

use super::{Extra, Hashes, Keys, RoleKeys, Signed};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The four roles that every repository has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopLevel {
    /// Names the keys of the four roles.
    Root,
    /// Names the current snapshot; short-lived.
    Timestamp,
    /// Names the current version of every targets role.
    Snapshot,
    /// Lists target files and delegates to other targets roles.
    Targets,
}

impl TopLevel {
    /// All four, in the order of a client's refresh.
    pub const ALL: [TopLevel; 4] =
        [TopLevel::Root, TopLevel::Timestamp, TopLevel::Snapshot, TopLevel::Targets];

    /// The role's name in metadata and file names.
    pub fn name(self) -> &'static str {
        match self {
            TopLevel::Root => "root",
            TopLevel::Timestamp => "timestamp",
            TopLevel::Snapshot => "snapshot",
            TopLevel::Targets => "targets",
        }
    }
}

/// The root role (specification 4.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Always `root`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// Version of the TUF specification.
    pub spec_version: String,
    /// Counts up by exactly one.
    pub version: u64,
    /// `YYYY-MM-DDTHH:MM:SSZ`.
    pub expires: String,
    /// Whether file names carry versions and hashes (chapter 7).
    #[serde(default)]
    pub consistent_snapshot: bool,
    /// Every key that a role below refers to.
    pub keys: Keys,
    /// Keys and threshold of each top-level role, by its name.
    pub roles: BTreeMap<String, RoleKeys>,
    /// Fields this version does not know; signatures cover them.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Root {
    /// Who speaks for a top-level role.
    pub fn role(&self, role: TopLevel) -> &RoleKeys {
        // `validate` has made sure that all four are there.
        &self.roles[role.name()]
    }
}

impl Signed for Root {
    const TYPE: &'static str = "root";

    fn version(&self) -> u64 {
        self.version
    }

    fn expires(&self) -> &str {
        &self.expires
    }

    fn validate(&self) -> Result<(), String> {
        for role in TopLevel::ALL {
            let Some(keys) = self.roles.get(role.name()) else {
                return Err(format!("it does not define the {} role", role.name()));
            };
            if keys.threshold == 0 {
                return Err(format!("the {} role has threshold 0", role.name()));
            }
        }
        Ok(())
    }
}

/// What timestamp and snapshot say about another metadata file (4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaFile {
    /// The file's version.
    pub version: u64,
    /// Its size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Its hashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashes: Option<Hashes>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The timestamp role (4.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamp {
    /// Always `timestamp`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// Version of the TUF specification.
    pub spec_version: String,
    /// Never goes back.
    pub version: u64,
    /// `YYYY-MM-DDTHH:MM:SSZ`.
    pub expires: String,
    /// One entry, `snapshot.json`.
    pub meta: BTreeMap<String, MetaFile>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Timestamp {
    /// The only file a timestamp speaks about.
    pub fn snapshot(&self) -> &MetaFile {
        // `validate` has made sure that it is there.
        &self.meta["snapshot.json"]
    }
}

impl Signed for Timestamp {
    const TYPE: &'static str = "timestamp";

    fn version(&self) -> u64 {
        self.version
    }

    fn expires(&self) -> &str {
        &self.expires
    }

    fn validate(&self) -> Result<(), String> {
        match self.meta.get("snapshot.json") {
            Some(meta) if meta.version > 0 => Ok(()),
            Some(_) => Err("snapshot.json has version 0".into()),
            None => Err("it does not list snapshot.json".into()),
        }
    }
}

/// The snapshot role (4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Always `snapshot`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// Version of the TUF specification.
    pub spec_version: String,
    /// Never goes back.
    pub version: u64,
    /// `YYYY-MM-DDTHH:MM:SSZ`.
    pub expires: String,
    /// Every targets role's file, as `ROLE.json`.
    pub meta: BTreeMap<String, MetaFile>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Snapshot {
    /// What the snapshot says about a targets role, if it lists it.
    pub fn role(&self, role: &str) -> Option<&MetaFile> {
        self.meta.get(&format!("{role}.json"))
    }
}

impl Signed for Snapshot {
    const TYPE: &'static str = "snapshot";

    fn version(&self) -> u64 {
        self.version
    }

    fn expires(&self) -> &str {
        &self.expires
    }

    fn validate(&self) -> Result<(), String> {
        if let Some((file, _)) = self.meta.iter().find(|(_, meta)| meta.version == 0) {
            return Err(format!("{file} has version 0"));
        }
        if !self.meta.contains_key("targets.json") {
            return Err("it does not list targets.json".into());
        }
        Ok(())
    }
}
