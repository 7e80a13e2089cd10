//! All targets that a repository offers, through every delegation.
//!
//! The specification searches for one name at a time; a device that chooses by `custom` data needs the names
//! first. Names found here are only candidates: each is then searched for as 5.6.7 says, so precedence,
//! terminating delegations and path patterns decide what a name means.

use super::{Client, Fetch, Store, Target};
use crate::error::{Error, Result};
use crate::files;
use crate::metadata::{Delegations, Targets};
use std::collections::BTreeSet;

impl<S: Store> Client<S> {
    /// Every target that a search by name would find, sorted by name; a completed refresh comes first.
    pub fn list(&mut self, fetch: &mut dyn Fetch) -> Result<Vec<Target>> {
        let Some(top) = self.targets() else {
            return Err(Error::OutOfOrder("refresh before listing targets"));
        };
        let mut names: BTreeSet<String> = top.targets.keys().cloned().collect();
        let mut open: Vec<Delegations> = top.delegations.iter().cloned().collect();
        let mut visited = BTreeSet::from(["targets".to_owned()]);
        while let Some(delegations) = open.pop() {
            for delegated in &delegations.roles {
                if !visited.insert(delegated.name.clone()) {
                    continue;
                }
                if visited.len() > self.limits.delegations {
                    let max = self.limits.delegations;
                    return Err(Error::TooManyDelegations { target: "a list of all targets".into(), max });
                }
                let stored = self.stored_targets(&delegated.name, &delegations.keys, &delegated.authority)?;
                let targets = match stored {
                    Some(targets) => targets,
                    None => {
                        let bytes = self.fetch_role(fetch, &delegated.name)?;
                        let fresh = self.verify_targets(
                            &delegated.name,
                            &bytes,
                            &delegations.keys,
                            &delegated.authority,
                        )?;
                        self.store.save(&delegated.name, &bytes)?;
                        self.changed = true;
                        fresh
                    }
                };
                let listed: &Targets = &targets;
                names.extend(listed.targets.keys().cloned());
                open.extend(listed.delegations.iter().cloned());
            }
        }
        let mut found = Vec::new();
        for name in names {
            match self.target(fetch, &name) {
                Ok(target) => found.push(target),
                // Listed by a role that nobody trusts for this name, or under a name that is refused.
                Err(Error::NoSuchTarget { .. } | Error::TargetName { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    fn fetch_role(&self, fetch: &mut dyn Fetch, role: &str) -> Result<Vec<u8>> {
        let Some(meta) = self.snapshot.as_ref().and_then(|snapshot| snapshot.role(role)) else {
            return Err(Error::NotInSnapshot { role: role.into() });
        };
        let file = format!("{}.json", files::encode(role));
        let path = if self.root.consistent_snapshot { format!("{}.{file}", meta.version) } else { file };
        let max = meta.length.map_or(self.limits.targets, |length| length.min(self.limits.targets));
        fetch.fetch(&path, max)?.ok_or(Error::Missing { path })
    }
}

#[cfg(test)]
mod tests {
    use crate::client::{Client, DirectoryFetch, MemoryStore};
    use crate::repository::{DAY, Delegation, KeyRing, Repository, RoleSetup, Setup};
    use crate::{Error, Limits, keyfile};

    #[test]
    fn targets_of_all_roles_are_listed_where_their_role_is_trusted_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let mut keys = KeyRing::new();
        let mut role = |name: &str| {
            let key = keyfile::generate(&dir.path().join(name)).unwrap();
            let setup = RoleSetup { keys: vec![key.verifying_key()], threshold: 1, lifetime: DAY };
            keys.add(key).unwrap();
            setup
        };
        let setup = Setup {
            root: role("root"),
            timestamp: role("timestamp"),
            snapshot: role("snapshot"),
            targets: role("targets"),
        };
        let delegations = ["a", "b"].map(|name| Delegation {
            name: name.into(),
            setup: role(name),
            paths: vec![format!("{name}*"), "both".into()],
            terminating: false,
        });
        let repo = dir.path().join("repo");
        let mut repository = Repository::create(&repo, &setup).unwrap();
        for delegation in &delegations {
            repository.delegate("targets", delegation).unwrap();
        }
        for (role, name) in [("targets", "top"), ("a", "a1"), ("b", "b1"), ("a", "both"), ("b", "both")] {
            repository.add_target(role, name, &mut format!("{role} {name}").as_bytes(), None).unwrap();
        }
        repository.publish(&keys, 1_000_000).unwrap();
        let root = std::fs::read(repo.join("metadata/1.root.json")).unwrap();
        let mut client = Client::init(MemoryStore::default(), &root, Limits::DEFAULT).unwrap();
        let mut fetch = DirectoryFetch::new(&repo.join("metadata"));
        assert!(matches!(client.list(&mut fetch), Err(Error::OutOfOrder(_))));
        client.refresh(&mut fetch, 1_000_001).unwrap();
        let list = client.list(&mut fetch).unwrap();
        let list: Vec<_> = list.iter().map(|target| (target.name.as_str(), target.role.as_str())).collect();
        assert_eq!(list, [("a1", "a"), ("b1", "b"), ("both", "a"), ("top", "targets")]);
        let few = Limits { delegations: 2, ..Limits::DEFAULT };
        let mut client = Client::init(MemoryStore::default(), &root, few).unwrap();
        client.refresh(&mut fetch, 1_000_001).unwrap();
        assert!(matches!(client.list(&mut fetch), Err(Error::TooManyDelegations { .. })));
    }
}
