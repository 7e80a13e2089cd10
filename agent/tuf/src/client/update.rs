//! The steps of an update cycle (5.3 to 5.6), each on bytes that have just arrived.

use super::{Client, State, Store};
use crate::error::{Error, Result};
use crate::metadata::{
    Envelope, Keys, RoleKeys, Root, Signed, Snapshot, Targets, Timestamp, TopLevel, Verified,
};
use crate::time;

impl<S: Store> Client<S> {
    pub(super) fn update_root(&mut self, bytes: &[u8], followed: u32) -> Result<()> {
        let envelope = Envelope::parse("root", bytes, &self.limits)?;
        // 5.3.4: signed by a threshold of the keys of version N and of version N+1.
        envelope.check("root", &self.root.keys, self.root.role(TopLevel::Root))?;
        let new = envelope.verify_root()?;
        // 5.3.5: precisely N+1.
        exact_version("root", self.root.version.saturating_add(1), new.version)?;
        self.rotated |= removes_keys(&self.root, &new);
        // 5.3.7, 5.3.8. Expiry does not matter yet (5.3.6).
        self.store.save("root", bytes)?;
        self.root = new;
        self.changed = true;
        // 5.3.3: no more than Y root files in one cycle.
        if followed + 1 >= self.limits.root_rotations {
            return self.finish_root();
        }
        self.state = State::Root { followed: followed + 1 };
        Ok(())
    }

    pub(super) fn finish_root(&mut self) -> Result<()> {
        // 5.3.10
        self.not_expired("root", &*self.root)?;
        // 5.3.11: rotated keys end the trust in what they signed; this undoes a fast-forward attack.
        if self.rotated {
            self.store.remove("timestamp")?;
            self.store.remove("snapshot")?;
        }
        // Whatever no longer verifies (rotation seen in an interrupted cycle, damage) counts as absent.
        let trusted = self.load("timestamp", TopLevel::Timestamp)?;
        self.state = State::Timestamp(trusted.map(Box::new));
        Ok(())
    }

    pub(super) fn update_timestamp(
        &mut self,
        bytes: &[u8],
        trusted: Option<Verified<Timestamp>>,
    ) -> Result<()> {
        let role = self.root.role(TopLevel::Timestamp);
        // 5.4.2
        let new: Verified<Timestamp> =
            Envelope::parse("timestamp", bytes, &self.limits)?.verify("timestamp", &self.root.keys, role)?;
        if let Some(trusted) = trusted {
            // 5.4.3.1
            not_older("timestamp", trusted.version, new.version)?;
            if trusted.version == new.version {
                // Nothing has changed: the new file is discarded. The old one still must not be a frozen one.
                self.not_expired("timestamp", &*trusted)?;
                return self.begin_snapshot(trusted);
            }
            // 5.4.3.2
            not_older("snapshot", trusted.snapshot().version, new.snapshot().version)?;
        }
        // 5.4.4, 5.4.5
        self.not_expired("timestamp", &*new)?;
        self.store.save("timestamp", bytes)?;
        self.changed = true;
        self.begin_snapshot(new)
    }

    /// Uses the stored snapshot where the timestamp still names exactly that one.
    fn begin_snapshot(&mut self, timestamp: Verified<Timestamp>) -> Result<()> {
        let meta = timestamp.snapshot();
        let stored = self.load::<Snapshot>("snapshot", TopLevel::Snapshot)?;
        let current = stored.as_ref().is_some_and(|snapshot| {
            snapshot.version == meta.version
                && meta.check("snapshot", snapshot.bytes()).is_ok()
                && self.not_expired("snapshot", &**snapshot).is_ok()
        });
        self.timestamp = Some(timestamp);
        if current {
            self.snapshot = stored;
            return self.begin_targets();
        }
        self.state = State::Snapshot(stored.map(Box::new));
        Ok(())
    }

    pub(super) fn update_snapshot(
        &mut self,
        bytes: &[u8],
        trusted: Option<Verified<Snapshot>>,
    ) -> Result<()> {
        let Some(timestamp) = &self.timestamp else { return Err(Error::OutOfOrder("no timestamp")) };
        let meta = timestamp.snapshot();
        // 5.5.2
        meta.check("snapshot", bytes)?;
        // 5.5.3
        let role = self.root.role(TopLevel::Snapshot);
        let new: Verified<Snapshot> =
            Envelope::parse("snapshot", bytes, &self.limits)?.verify("snapshot", &self.root.keys, role)?;
        // 5.5.4
        exact_version("snapshot", meta.version, new.version)?;
        // 5.5.5
        if let Some(trusted) = trusted {
            for (file, old) in &trusted.meta {
                let Some(listed) = new.meta.get(file) else {
                    return Err(Error::RemovedFromSnapshot { file: file.clone() });
                };
                not_older(file.trim_end_matches(".json"), old.version, listed.version)?;
            }
        }
        // 5.5.6, 5.5.7
        self.not_expired("snapshot", &*new)?;
        self.store.save("snapshot", bytes)?;
        self.snapshot = Some(new);
        self.changed = true;
        self.begin_targets()
    }

    /// Uses the stored targets where the snapshot still names exactly that file.
    fn begin_targets(&mut self) -> Result<()> {
        let authority = self.root.role(TopLevel::Targets);
        self.targets = self.stored_targets("targets", &self.root.keys, authority)?;
        self.state = if self.targets.is_some() { State::Ready } else { State::Targets };
        Ok(())
    }

    pub(super) fn update_targets(&mut self, bytes: &[u8]) -> Result<()> {
        let authority = self.root.role(TopLevel::Targets);
        let targets = self.verify_targets("targets", bytes, &self.root.keys, authority)?;
        // 5.6.6
        self.store.save("targets", bytes)?;
        self.changed = true;
        self.targets = Some(targets);
        self.state = State::Ready;
        Ok(())
    }

    /// The checks that make bytes the current metadata of a targets role, top-level or delegated.
    pub(super) fn verify_targets(
        &self,
        role: &str,
        bytes: &[u8],
        keys: &Keys,
        authority: &RoleKeys,
    ) -> Result<Verified<Targets>> {
        let Some(meta) = self.snapshot.as_ref().and_then(|snapshot| snapshot.role(role)) else {
            return Err(Error::NotInSnapshot { role: role.into() });
        };
        // 5.6.2
        meta.check(role, bytes)?;
        // 5.6.3
        let targets: Verified<Targets> =
            Envelope::parse(role, bytes, &self.limits)?.verify(role, keys, authority)?;
        // 5.6.4
        exact_version(role, meta.version, targets.version)?;
        // 5.6.5
        self.not_expired(role, &*targets)?;
        Ok(targets)
    }

    /// Stored metadata of a targets role, if it passes every check that a fresh copy would have to pass.
    pub(super) fn stored_targets(
        &self,
        role: &str,
        keys: &Keys,
        authority: &RoleKeys,
    ) -> Result<Option<Verified<Targets>>> {
        let Some(bytes) = self.store.load(role)? else { return Ok(None) };
        Ok(self.verify_targets(role, &bytes, keys, authority).ok())
    }

    /// Stored metadata of a role that the root speaks for, if the current keys have signed it. It may be expired.
    pub(super) fn load<T: Signed>(&self, name: &str, role: TopLevel) -> Result<Option<Verified<T>>> {
        let Some(bytes) = self.store.load(name)? else { return Ok(None) };
        Ok(Envelope::parse(name, &bytes, &self.limits)
            .and_then(|envelope| envelope.verify(name, &self.root.keys, self.root.role(role)))
            .ok())
    }

    fn not_expired(&self, role: &str, signed: &impl Signed) -> Result<()> {
        // "MUST be higher than the fixed update start time"
        if time::parse(signed.expires()).is_some_and(|expires| expires > self.now) {
            return Ok(());
        }
        Err(Error::Expired { role: role.into(), expires: signed.expires().into() })
    }
}

/// Whether a key that could sign timestamps or snapshots can no longer do so.
fn removes_keys(old: &Root, new: &Root) -> bool {
    [TopLevel::Timestamp, TopLevel::Snapshot].into_iter().any(|role| {
        let now = new.role(role);
        old.role(role)
            .keyids
            .iter()
            .any(|id| !now.keyids.contains(id) || old.keys.get(id) != new.keys.get(id))
    })
}

fn exact_version(role: &str, expected: u64, found: u64) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::WrongVersion { role: role.into(), expected, found })
}

fn not_older(role: &str, trusted: u64, found: u64) -> Result<()> {
    if found >= trusted {
        return Ok(());
    }
    Err(Error::Rollback { role: role.into(), trusted, found })
}
