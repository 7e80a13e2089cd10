//! Files of a repository, and reading them back.

use crate::error::{Error, Result};
use crate::files;
use crate::limits::Limits;
use crate::metadata::{Envelope, Keys, RoleKeys, Root, Snapshot, Targets, Timestamp, TopLevel, Verified};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// `metadata/` and `targets/` below the repository's directory.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    directory: PathBuf,
}

/// Everything that is published at the moment.
pub(super) struct Published {
    pub(super) root: Verified<Root>,
    pub(super) timestamp: Timestamp,
    pub(super) snapshot: Snapshot,
    pub(super) roles: BTreeMap<String, Targets>,
    /// Top-level roles that only the previous root's keys have signed: a rotation was interrupted.
    pub(super) stale: BTreeSet<TopLevel>,
}

impl Layout {
    pub(super) fn new(directory: &Path) -> Self {
        Layout { directory: directory.to_owned() }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn metadata(&self) -> PathBuf {
        self.directory.join("metadata")
    }

    pub(super) fn targets(&self) -> PathBuf {
        self.directory.join("targets")
    }

    /// File of one version of a role; the timestamp alone has no version in its name.
    pub(super) fn role(&self, role: &str, version: u64) -> PathBuf {
        if role == "timestamp" {
            return self.metadata().join("timestamp.json");
        }
        self.metadata().join(format!("{version}.{}.json", files::encode(role)))
    }

    pub(super) fn create_directories(&self) -> Result<()> {
        for directory in [self.metadata(), self.targets()] {
            fs::create_dir_all(&directory).map_err(Error::file(&directory))?;
        }
        Ok(())
    }

    /// Reads and verifies what is published, expired or not. Limits are the client's: a repository beyond them
    /// would be of no use.
    pub(super) fn load(&self, limits: &Limits) -> Result<Published> {
        let newest = self.newest_root()?;
        let root = self.envelope("root", newest, limits.root, limits)?.verify_root()?;
        let mut roots = vec![root];
        if newest > 1 && self.role("root", newest - 1).exists() {
            roots.push(self.envelope("root", newest - 1, limits.root, limits)?.verify_root()?);
        }
        let mut stale = BTreeSet::new();
        let mut top = |role: TopLevel, envelope: &Envelope| {
            let check = |root: &Root| envelope.check(role.name(), &root.keys, root.role(role));
            let newest = check(&roots[0]);
            if newest.is_err() && roots.get(1).is_some_and(|root| check(root).is_ok()) {
                stale.insert(role);
                return Ok(());
            }
            newest
        };
        let envelope = self.envelope("timestamp", 0, limits.timestamp, limits)?;
        top(TopLevel::Timestamp, &envelope)?;
        let timestamp: Timestamp = envelope.into_unverified("timestamp")?;
        let listed = timestamp.snapshot();
        let envelope = self.envelope("snapshot", listed.version, limits.snapshot, limits)?;
        top(TopLevel::Snapshot, &envelope)?;
        let snapshot: Snapshot = envelope.into_unverified("snapshot")?;
        self.same_version("snapshot", listed.version, snapshot.version)?;

        let version = |role: &str| match snapshot.role(role) {
            Some(meta) => Ok(meta.version),
            None => Err(Error::NotInSnapshot { role: role.into() }),
        };
        let envelope = self.envelope("targets", version("targets")?, limits.targets, limits)?;
        top(TopLevel::Targets, &envelope)?;
        let mut roles = BTreeMap::new();
        let mut open: Vec<(String, Targets)> = vec![("targets".into(), envelope.into_unverified("targets")?)];
        while let Some((name, targets)) = open.pop() {
            self.same_version(&name, version(&name)?, targets.version)?;
            for delegated in targets.delegations.iter().flat_map(|d| &d.roles) {
                if roles.contains_key(&delegated.name) || open.iter().any(|(name, _)| *name == delegated.name)
                {
                    continue;
                }
                let keys = targets.delegations.as_ref().map(|d| &d.keys);
                open.push((
                    delegated.name.clone(),
                    self.delegated(
                        &delegated.name,
                        version(&delegated.name)?,
                        keys,
                        &delegated.authority,
                        limits,
                    )?,
                ));
            }
            roles.insert(name, targets);
        }
        let root = roots.swap_remove(0);
        Ok(Published { root, timestamp, snapshot, roles, stale })
    }

    fn delegated(
        &self,
        role: &str,
        version: u64,
        keys: Option<&Keys>,
        authority: &RoleKeys,
        limits: &Limits,
    ) -> Result<Targets> {
        let envelope = self.envelope(role, version, limits.targets, limits)?;
        if let Some(keys) = keys {
            envelope.check(role, keys, authority)?;
        }
        envelope.into_unverified(role)
    }

    fn envelope(&self, role: &str, version: u64, max: u64, limits: &Limits) -> Result<Envelope> {
        let path = self.role(role, version);
        let bytes = files::read_limited(&path, max)?
            .ok_or_else(|| Error::content(&path, "there is no such file; is this a Samara repository?"))?;
        Envelope::parse(role, &bytes, limits)
    }

    fn same_version(&self, role: &str, expected: u64, found: u64) -> Result<()> {
        if expected == found {
            return Ok(());
        }
        Err(Error::WrongVersion { role: role.into(), expected, found })
    }

    fn newest_root(&self) -> Result<u64> {
        let directory = self.metadata();
        let mut newest = 0;
        for entry in fs::read_dir(&directory).map_err(Error::file(&directory))? {
            let name = entry.map_err(Error::file(&directory))?.file_name();
            let version =
                name.to_str().and_then(|n| n.strip_suffix(".root.json")).and_then(|v| v.parse().ok());
            newest = newest.max(version.unwrap_or(0));
        }
        if newest == 0 {
            return Err(Error::content(&directory, "holds no N.root.json; make a repository first"));
        }
        Ok(newest)
    }

    /// Writes one version of a role; only the timestamp ever replaces a file.
    pub(super) fn write(&self, role: &str, version: u64, bytes: &[u8]) -> Result<()> {
        files::write_atomic(&self.role(role, version), bytes)
    }
}
