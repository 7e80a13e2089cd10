//! Writing a repository of static files that any TUF client can read.
//!
//! ```text
//! REPO/metadata/N.root.json N.snapshot.json N.targets.json N.ROLE.json timestamp.json
//! REPO/targets/SHA256.NAME
//! ```
//!
//! Changes collect in memory ([`Repository::add_target`], [`Repository::delegate`], [`Repository::set_role`]) until
//! [`Repository::publish`] signs what has changed and writes it, the timestamp last: a client sees the old state
//! or the new one. How long each role's signatures last travels in the metadata itself (`x-samara-lifetime`,
//! seconds), so that a later run keeps to it.

mod layout;
mod signing;
mod targets;
#[cfg(test)]
mod tests;

pub use signing::KeyRing;
pub use targets::Delegation;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::metadata::{
    Extra, Hashes, Key, MetaFile, RoleKeys, Root, SIGNED_AT, SPEC_VERSION, Signed, Snapshot, Targets,
    Timestamp, TopLevel,
};
use crate::time;
use ed25519_dalek::VerifyingKey;
use layout::Layout;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

/// One day in seconds, the unit that lifetimes are usually thought in.
pub const DAY: u64 = 86_400;

const LIFETIME: &str = "x-samara-lifetime";

/// Keys, threshold and lifetime of a role.
#[derive(Debug, Clone)]
pub struct RoleSetup {
    /// Keys that may sign, at least as many as the threshold.
    pub keys: Vec<VerifyingKey>,
    /// Distinct keys that must sign, at least 1.
    pub threshold: u32,
    /// Seconds that a signature lasts.
    pub lifetime: u64,
}

/// The four top-level roles of a new repository.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Offline; 2 of 3 keys is a good start. A year is usual.
    pub root: RoleSetup,
    /// Online; a day or less keeps the freeze window short.
    pub timestamp: RoleSetup,
    /// Online, with the timestamp.
    pub snapshot: RoleSetup,
    /// Offline; it delegates, and seldom changes.
    pub targets: RoleSetup,
}

/// A repository that is being written.
///
/// It holds a lock on the directory for as long as it lives, unless it was opened with [`Repository::read`].
pub struct Repository {
    layout: Layout,
    lock: Option<Lock>,
    /// The root that clients know; the next one must satisfy it too. Nothing before the first publication.
    published_root: Option<Root>,
    root: Root,
    timestamp: Timestamp,
    snapshot: Snapshot,
    roles: BTreeMap<String, Targets>,
    /// Roles to be signed anew by the next publication.
    dirty: BTreeSet<String>,
}

impl Repository {
    /// A new repository in `directory`, which must not hold one; nothing but directories is written before
    /// [`Repository::publish`]. Metadata starts with version 1.
    pub fn create(directory: &Path, setup: &Setup) -> Result<Self> {
        let layout = Layout::new(directory);
        if layout.metadata().join("timestamp.json").exists() || layout.role("root", 1).exists() {
            return Err(Error::content(directory, "is a repository already; choose another directory"));
        }
        layout.create_directories()?;
        let lock = Some(Lock::take(directory)?);
        let mut repository = Repository {
            layout,
            lock,
            published_root: None,
            root: Root {
                kind: Root::TYPE.into(),
                spec_version: SPEC_VERSION.into(),
                version: 0,
                expires: String::new(),
                consistent_snapshot: true,
                keys: BTreeMap::new(),
                roles: BTreeMap::new(),
                extra: Extra::new(),
            },
            timestamp: Timestamp {
                kind: Timestamp::TYPE.into(),
                spec_version: SPEC_VERSION.into(),
                version: 0,
                expires: String::new(),
                meta: BTreeMap::new(),
                extra: Extra::new(),
            },
            snapshot: Snapshot {
                kind: Snapshot::TYPE.into(),
                spec_version: SPEC_VERSION.into(),
                version: 0,
                expires: String::new(),
                meta: BTreeMap::new(),
                extra: Extra::new(),
            },
            roles: BTreeMap::from([("targets".to_owned(), targets::empty(0))]),
            dirty: BTreeSet::new(),
        };
        for (role, setup) in [
            (TopLevel::Root, &setup.root),
            (TopLevel::Timestamp, &setup.timestamp),
            (TopLevel::Snapshot, &setup.snapshot),
            (TopLevel::Targets, &setup.targets),
        ] {
            repository.set_role(role, setup)?;
        }
        Ok(repository)
    }

    /// Goes on with the repository in `directory`; its signatures are verified, its expiry is not.
    pub fn open(directory: &Path) -> Result<Self> {
        if !Layout::new(directory).metadata().is_dir() {
            return Err(Error::content(directory, "is not a repository; make one first"));
        }
        let lock = Lock::take(directory)?;
        let mut repository = Self::read(directory)?;
        repository.lock = Some(lock);
        Ok(repository)
    }

    /// Looks at the repository in `directory` without the right to publish.
    pub fn read(directory: &Path) -> Result<Self> {
        let layout = Layout::new(directory);
        let published = layout.load(&Limits::DEFAULT)?;
        Ok(Repository {
            layout,
            lock: None,
            published_root: Some((*published.root).clone()),
            root: (*published.root).clone(),
            timestamp: published.timestamp,
            snapshot: published.snapshot,
            roles: published.roles,
            dirty: published.stale.iter().map(|role| role.name().to_owned()).collect(),
        })
    }

    /// The directory that holds `metadata/` and `targets/`.
    pub fn directory(&self) -> &Path {
        self.layout.directory()
    }

    /// The file of the newest published root, which a device is enrolled with. It is not there before the first
    /// publication.
    pub fn root_path(&self) -> PathBuf {
        self.layout.role("root", self.published_root.as_ref().map_or(1, |root| root.version))
    }

    /// The root as it stands, with changes that are not published yet.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The timestamp as last published.
    pub fn timestamp(&self) -> &Timestamp {
        &self.timestamp
    }

    /// The snapshot as last published.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// A targets role, top-level (`targets`) or delegated, with changes that are not published yet.
    pub fn role(&self, name: &str) -> Option<&Targets> {
        self.roles.get(name)
    }

    /// Every targets role by name.
    pub fn roles(&self) -> impl Iterator<Item = (&str, &Targets)> {
        self.roles.iter().map(|(name, targets)| (name.as_str(), targets))
    }

    /// Roles that the next publication signs because they have changed.
    pub fn pending(&self) -> impl Iterator<Item = &str> {
        self.dirty.iter().map(String::as_str)
    }

    /// Gives a top-level role new keys, threshold and lifetime; the next publication rotates to them. It needs
    /// the old root keys as well as the new ones.
    pub fn set_role(&mut self, role: TopLevel, setup: &RoleSetup) -> Result<()> {
        let (keys, authority) = authority(role.name(), setup)?;
        self.root.keys.extend(keys);
        self.root.roles.insert(role.name().into(), authority);
        let used: BTreeSet<_> = self.root.roles.values().flat_map(|r| r.keyids.iter().cloned()).collect();
        self.root.keys.retain(|id, _| used.contains(id));
        let extra = match role {
            TopLevel::Root => &mut self.root.extra,
            TopLevel::Timestamp => &mut self.timestamp.extra,
            TopLevel::Snapshot => &mut self.snapshot.extra,
            TopLevel::Targets => {
                &mut self.roles.entry("targets".into()).or_insert_with(|| targets::empty(0)).extra
            }
        };
        extra.insert(LIFETIME.into(), Value::from(setup.lifetime));
        self.dirty.extend(["root".to_owned(), role.name().to_owned()]);
        Ok(())
    }

    /// Has a role signed anew by the next publication though nothing in it has changed: its expiry moves.
    pub fn renew(&mut self, role: &str) -> Result<()> {
        if !self.roles.contains_key(role) && !TopLevel::ALL.iter().any(|top| top.name() == role) {
            return Err(Error::Repository(format!("there is no role {role}")));
        }
        self.dirty.insert(role.into());
        Ok(())
    }

    /// Signs the timestamp anew, and the snapshot too where more than half of its lifetime is over and its keys
    /// are at hand. Targets roles are left alone: their expiry is what a human has vouched for.
    pub fn refresh(&mut self, keys: &KeyRing, now: u64) -> Result<()> {
        self.renew("timestamp")?;
        let left = time::parse(&self.snapshot.expires).unwrap_or(0).saturating_sub(now);
        if left < lifetime(&self.snapshot.extra) / 2 && keys.can_sign(self.root.role(TopLevel::Snapshot)) {
            self.renew("snapshot")?;
        }
        self.publish(keys, now)
    }

    /// Signs every changed role as of `now` (unix seconds) and writes the files, the timestamp last.
    ///
    /// All signatures are made before the first file is written, so missing keys leave the repository as it was.
    pub fn publish(&mut self, keys: &KeyRing, now: u64) -> Result<()> {
        if self.lock.is_none() {
            return Err(Error::content(self.directory(), "was opened for reading only"));
        }
        let is_dirty = |role: &str| self.dirty.contains(role);
        let mut files: Vec<(&str, u64, Vec<u8>)> = Vec::new();

        let mut root = self.root.clone();
        if is_dirty("root") {
            root.version += 1;
            root.expires = expiry(now, &root.extra);
            let mut authorities = vec![root.role(TopLevel::Root).clone()];
            authorities.extend(self.published_root.iter().map(|old| old.role(TopLevel::Root).clone()));
            files.push(("root", root.version, keys.sign("root", &root, &authorities)?));
        }

        let mut roles = self.roles.clone();
        let mut snapshot = self.snapshot.clone();
        let mut snapshot_dirty = is_dirty("snapshot");
        for (name, targets) in &mut roles {
            if !is_dirty(name) {
                continue;
            }
            targets.version += 1;
            targets.expires = expiry(now, &targets.extra);
            let bytes = keys.sign(name, targets, &self.authorities(&root, name))?;
            snapshot.meta.insert(format!("{name}.json"), meta(targets.version, &bytes));
            // A name that outlives the borrow of `roles`.
            let Some((name, _)) = self.roles.get_key_value(name) else { continue };
            files.push((name, targets.version, bytes));
            snapshot_dirty = true;
        }

        let mut timestamp = self.timestamp.clone();
        let mut timestamp_dirty = is_dirty("timestamp");
        if snapshot_dirty {
            snapshot.version += 1;
            snapshot.expires = expiry(now, &snapshot.extra);
            let bytes = keys.sign("snapshot", &snapshot, &[root.role(TopLevel::Snapshot).clone()])?;
            timestamp.meta.insert("snapshot.json".into(), meta(snapshot.version, &bytes));
            files.push(("snapshot", snapshot.version, bytes));
            timestamp_dirty = true;
        }
        if timestamp_dirty {
            timestamp.version += 1;
            timestamp.expires = expiry(now, &timestamp.extra);
            timestamp.extra.insert(SIGNED_AT.into(), Value::from(now));
            let bytes = keys.sign("timestamp", &timestamp, &[root.role(TopLevel::Timestamp).clone()])?;
            files.push(("timestamp", timestamp.version, bytes));
        }

        for (role, _, bytes) in &files {
            let limits = Limits::DEFAULT;
            let max = match *role {
                "root" => limits.root,
                "timestamp" => limits.timestamp,
                "snapshot" => limits.snapshot,
                _ => limits.targets,
            };
            if bytes.len() as u64 > max {
                return Err(Error::TooLong { what: format!("{role} metadata"), max });
            }
        }
        for (role, version, bytes) in &files {
            self.layout.write(role, *version, bytes)?;
        }
        self.published_root = Some(root.clone());
        self.root = root;
        self.roles = roles;
        self.snapshot = snapshot;
        self.timestamp = timestamp;
        self.dirty.clear();
        Ok(())
    }

    /// Everybody who must be able to verify a targets role: the root, or each role that delegates to it.
    fn authorities(&self, root: &Root, role: &str) -> Vec<RoleKeys> {
        if role == "targets" {
            return vec![root.role(TopLevel::Targets).clone()];
        }
        let delegations = self.roles.values().filter_map(|targets| targets.delegations.as_ref());
        delegations
            .flat_map(|d| &d.roles)
            .filter(|delegated| delegated.name == role)
            .map(|delegated| delegated.authority.clone())
            .collect()
    }
}

/// Checks a role's setup and turns it into metadata.
fn authority(role: &str, setup: &RoleSetup) -> Result<(BTreeMap<String, Key>, RoleKeys)> {
    let mut keys = BTreeMap::new();
    for key in &setup.keys {
        let key = Key::ed25519(key);
        keys.insert(key.id()?, key);
    }
    if setup.threshold == 0 || keys.len() < setup.threshold as usize {
        return Err(Error::Repository(format!(
            "role {role}: threshold {} with {} distinct keys can never be met or protects nothing",
            setup.threshold,
            keys.len()
        )));
    }
    if setup.lifetime == 0 {
        return Err(Error::Repository(format!("role {role}: a lifetime of 0 seconds expires at once")));
    }
    let keyids = keys.keys().cloned().collect();
    Ok((keys, RoleKeys { keyids, threshold: setup.threshold }))
}

fn lifetime(extra: &Extra) -> u64 {
    extra.get(LIFETIME).and_then(Value::as_u64).unwrap_or(DAY)
}

fn expiry(now: u64, extra: &Extra) -> String {
    time::format(now.saturating_add(lifetime(extra)))
}

fn meta(version: u64, bytes: &[u8]) -> MetaFile {
    MetaFile {
        version,
        length: Some(bytes.len() as u64),
        hashes: Some(Hashes::of(bytes)),
        extra: Extra::new(),
    }
}

/// A repository's directory, held by this process alone.
struct Lock(File);

impl Lock {
    fn take(directory: &Path) -> Result<Self> {
        let path = directory.join(".lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(Error::file(&path))?;
        file.try_lock().map_err(|_| Error::content(&path, "another process is writing this repository"))?;
        Ok(Lock(file))
    }
}

impl Drop for Lock {
    /// Closing is not enough: a process that another thread is about to start has the file open, too, until its own
    /// program begins.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}
