//! The search for a target through delegations (5.6.7).

use super::{Client, State, Store, Target, target};
use crate::error::{Error, Result};
use crate::metadata::{DelegatedRole, Delegations, Keys, Targets, Verified};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A delegation that covers the target and is yet to be visited.
#[derive(Debug, Clone)]
struct Edge {
    delegator: Arc<Delegations>,
    index: usize,
}

/// A delegated role's metadata and who has vouched for it: another delegator's word does not count.
#[derive(Debug)]
pub(super) struct VerifiedRole {
    role: DelegatedRole,
    keys: Keys,
    targets: Arc<Verified<Targets>>,
}

/// A search under way.
#[derive(Debug)]
pub(super) struct Search {
    target: String,
    /// Next to visit is last.
    stack: Vec<Edge>,
    visited: BTreeSet<String>,
    waiting: Option<Edge>,
    found: Option<Target>,
}

impl Search {
    /// The delegated role whose metadata is wanted.
    pub(super) fn waiting_for(&self) -> Option<&str> {
        self.waiting.as_ref().map(|edge| edge.delegator.roles[edge.index].name.as_str())
    }

    /// Looks into one role: the target itself, or else the delegations that cover it, in order.
    fn visit(&mut self, role: &str, targets: &Targets, consistent_snapshot: bool) -> Result<()> {
        self.visited.insert(role.to_owned());
        if let Some(file) = targets.targets.get(&self.target) {
            let path = target::target_path(&self.target, file, consistent_snapshot)?;
            self.found =
                Some(Target { name: self.target.clone(), role: role.into(), path, file: file.clone() });
            self.stack.clear();
            return Ok(());
        }
        let Some(delegations) = &targets.delegations else { return Ok(()) };
        let delegator = Arc::new(delegations.clone());
        let mut edges = Vec::new();
        for (index, delegated) in delegations.roles.iter().enumerate() {
            if !delegated.covers(&self.target) {
                continue;
            }
            edges.push(Edge { delegator: delegator.clone(), index });
            // 5.6.7.2.1: nothing after a terminating delegation is searched, in this role or above.
            if delegated.terminating {
                self.stack.clear();
                break;
            }
        }
        self.stack.extend(edges.into_iter().rev());
        Ok(())
    }
}

impl<S: Store> Client<S> {
    /// Starts the search for a target; a completed refresh comes first. Delegated roles are requested as needed.
    pub fn begin_search(&mut self, name: &str) -> Result<()> {
        target::check_target_name(name)?;
        if matches!(self.state, State::Search(_)) && self.request().is_none() {
            self.state = State::Ready;
        }
        let (State::Ready, Some(targets)) = (&self.state, &self.targets) else {
            return Err(Error::OutOfOrder("refresh before searching for a target"));
        };
        let mut search = Search {
            target: name.into(),
            stack: Vec::new(),
            visited: BTreeSet::new(),
            waiting: None,
            found: None,
        };
        search.visit("targets", targets, self.root.consistent_snapshot)?;
        self.advance(search)
    }

    /// What the completed search found: nothing when no role lists the target, or the search is not complete.
    pub fn found(&self) -> Option<&Target> {
        match &self.state {
            State::Search(search) => search.found.as_ref(),
            _ => None,
        }
    }

    pub(super) fn feed_search(&mut self, mut search: Search, bytes: &[u8]) -> Result<()> {
        // A role that cannot be had ends the search, and nothing else: the refresh stays complete.
        self.state = State::Ready;
        let Some(edge) = search.waiting.take() else {
            return Err(Error::OutOfOrder("feed without a request"));
        };
        let delegated = &edge.delegator.roles[edge.index];
        let targets =
            self.verify_targets(&delegated.name, bytes, &edge.delegator.keys, &delegated.authority)?;
        self.store.save(&delegated.name, bytes)?;
        self.changed = true;
        search.visit(&delegated.name, &targets, self.root.consistent_snapshot)?;
        self.advance(search)
    }

    /// Visits stored roles until one has to be fetched, the target is found, or nothing is left.
    fn advance(&mut self, mut search: Search) -> Result<()> {
        while let Some(edge) = search.stack.pop() {
            let delegated = &edge.delegator.roles[edge.index];
            // 5.6.7.1: a role is visited once, so that cycles end.
            if search.visited.contains(&delegated.name) {
                continue;
            }
            if search.visited.len() >= self.limits.delegations {
                return Err(Error::TooManyDelegations {
                    target: search.target,
                    max: self.limits.delegations,
                });
            }
            if self.snapshot.as_ref().is_none_or(|snapshot| snapshot.role(&delegated.name).is_none()) {
                return Err(Error::NotInSnapshot { role: delegated.name.clone() });
            }
            match self.verified_role(&edge)? {
                Some(targets) => {
                    search.visit(&delegated.name, &targets, self.root.consistent_snapshot)?;
                }
                None => {
                    search.waiting = Some(edge);
                    break;
                }
            }
        }
        self.state = State::Search(Box::new(search));
        Ok(())
    }

    /// Stored metadata of a delegated role, verified for this delegator; once per cycle, because a device that looks
    /// up a thousand names would otherwise check the same signatures a thousand times.
    fn verified_role(&mut self, edge: &Edge) -> Result<Option<Arc<Verified<Targets>>>> {
        let role = &edge.delegator.roles[edge.index];
        let keys = &edge.delegator.keys;
        let same = |known: &&VerifiedRole| {
            known.role.name == role.name && known.role.authority == role.authority && known.keys == *keys
        };
        if let Some(known) = self.verified.iter().find(same) {
            return Ok(Some(known.targets.clone()));
        }
        let Some(targets) = self.stored_targets(&role.name, keys, &role.authority)? else { return Ok(None) };
        let targets = Arc::new(targets);
        if self.verified.len() >= self.limits.delegations {
            self.verified.clear();
        }
        self.verified.push(VerifiedRole { role: role.clone(), keys: keys.clone(), targets: targets.clone() });
        Ok(Some(targets))
    }
}
