//! Target files and delegations of a repository that is being written.

use super::{LIFETIME, Repository, RoleSetup, authority};
use crate::client::{check_target_name, target_path};
use crate::error::{Error, Result};
use crate::files;
use crate::metadata::{DelegatedRole, Extra, Hashes, SPEC_VERSION, Signed, TargetFile, Targets, canonical};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

/// A role to trust for some target names.
#[derive(Debug, Clone)]
pub struct Delegation {
    /// Letters, digits, `-` and `_`; it becomes part of file names.
    pub name: String,
    /// Who signs for it, and for how long.
    pub setup: RoleSetup,
    /// Shell patterns (`*`, `?`) of the names it may list.
    pub paths: Vec<String>,
    /// Whether a name that matches is looked up nowhere else, even if this role does not list it.
    pub terminating: bool,
}

impl Repository {
    /// Delegates from `delegator` (a targets role) with lower priority than the delegations already there; a role
    /// delegated to before gets its new keys and patterns in place.
    pub fn delegate(&mut self, delegator: &str, delegation: &Delegation) -> Result<()> {
        let name = &delegation.name;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return Err(Error::Repository(format!("role name {name:?}: use letters, digits, - and _ only")));
        }
        let (keys, authority) = authority(name, &delegation.setup)?;
        let role = DelegatedRole {
            name: name.clone(),
            authority,
            terminating: delegation.terminating,
            paths: Some(delegation.paths.clone()),
            path_hash_prefixes: None,
        };
        let mut changed = self.existing(delegator)?.clone();
        let delegations = changed.delegations.get_or_insert_default();
        delegations.keys.extend(keys);
        match delegations.roles.iter_mut().find(|existing| existing.name == *name) {
            Some(existing) => *existing = role,
            None => delegations.roles.push(role),
        }
        let used: BTreeSet<_> =
            delegations.roles.iter().flat_map(|r| r.authority.keyids.iter().cloned()).collect();
        delegations.keys.retain(|id, _| used.contains(id));
        changed.validate().map_err(|reason| Error::malformed(delegator, reason))?;
        self.roles.insert(delegator.into(), changed);
        let delegated = self.roles.entry(name.clone()).or_insert_with(|| empty(0));
        delegated.extra.insert(LIFETIME.into(), Value::from(delegation.setup.lifetime));
        self.dirty.extend([delegator.to_owned(), name.clone()]);
        Ok(())
    }

    /// Lists the content of `source` as target `name` in a targets role and copies it into the repository; the
    /// copy is visible to clients only after [`Repository::publish`]. A target of that name is superseded.
    ///
    /// `name` is flat (no `/`); `custom` may hold no numbers but integers.
    pub fn add_target(
        &mut self,
        role: &str,
        name: &str,
        source: &mut dyn Read,
        custom: Option<Value>,
    ) -> Result<TargetFile> {
        check_target_name(name)?;
        if name.contains('/') {
            return Err(Error::TargetName { name: name.into(), reason: "names in this repository are flat" });
        }
        if let Some(custom) = &custom {
            canonical(custom).map_err(|e| Error::malformed(role, format!("custom data of {name}: {e}")))?;
        }
        self.existing(role)?;
        self.check_covered(role, name)?;
        let directory = self.layout.targets();
        let aside = files::temporary(&directory.join(files::encode_file(name)));
        let listed = copy(source, &aside).and_then(|(length, sha256)| {
            let hashes = Hashes(BTreeMap::from([("sha256".to_owned(), sha256)]));
            let file = TargetFile { length, hashes, custom, extra: Extra::new() };
            // On disk the name is the decoded form of the URL, and flat, because the name is.
            let hash = file.hashes.sha256().unwrap_or_default();
            target_path(name, &file, true)?;
            files::rename(&aside, &directory.join(format!("{hash}.{name}")))?;
            Ok(file)
        });
        let file = match listed {
            Ok(file) => file,
            Err(error) => {
                fs::remove_file(&aside).ok();
                return Err(error);
            }
        };
        if let Some(targets) = self.roles.get_mut(role) {
            targets.targets.insert(name.into(), file.clone());
            self.dirty.insert(role.into());
        }
        Ok(file)
    }

    /// Lists the file at `path` as a target; see [`Repository::add_target`].
    pub fn add_target_file(
        &mut self,
        role: &str,
        name: &str,
        path: &Path,
        custom: Option<Value>,
    ) -> Result<TargetFile> {
        let mut file = File::open(path).map_err(Error::file(path))?;
        self.add_target(role, name, &mut file, custom)
    }

    /// Takes a target off the list; its file stays for clients that are downloading it.
    pub fn remove_target(&mut self, role: &str, name: &str) -> Result<()> {
        self.existing(role)?;
        if self.roles.get_mut(role).is_none_or(|targets| targets.targets.remove(name).is_none()) {
            return Err(Error::Repository(format!("role {role} lists no target {name}")));
        }
        self.dirty.insert(role.into());
        Ok(())
    }

    fn existing(&self, role: &str) -> Result<&Targets> {
        self.role(role).ok_or_else(|| Error::Repository(format!("there is no targets role {role}")))
    }

    /// A client would never find a target in a role that is not trusted for its name.
    fn check_covered(&self, role: &str, name: &str) -> Result<()> {
        let mut delegations = self.roles.values().filter_map(|targets| targets.delegations.as_ref());
        let covered = delegations.any(|d| d.roles.iter().any(|d| d.name == role && d.covers(name)));
        if role == "targets" || covered {
            return Ok(());
        }
        Err(Error::Repository(format!(
            "role {role} is not trusted for target {name}: no delegated path covers it"
        )))
    }
}

/// A targets role that lists nothing.
pub(super) fn empty(version: u64) -> Targets {
    Targets {
        kind: Targets::TYPE.into(),
        spec_version: SPEC_VERSION.into(),
        version,
        expires: String::new(),
        targets: BTreeMap::new(),
        delegations: None,
        extra: Extra::new(),
    }
}

fn copy(source: &mut dyn Read, to: &Path) -> Result<(u64, String)> {
    let mut file = File::create(to).map_err(Error::file(to))?;
    let mut hash = Sha256::new();
    let mut length = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Error::Repository(format!("cannot read the target: {e}"))),
        };
        hash.update(&buffer[..n]);
        file.write_all(&buffer[..n]).map_err(Error::file(to))?;
        length += n as u64;
    }
    file.sync_all().map_err(Error::file(to))?;
    Ok((length, hex::encode(hash.finalize())))
}
