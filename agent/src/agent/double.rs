//! A repository, a model and a watch for the tests of this module; the real ones are tested end to end.

use super::*;
use crate::{
    repository::Sink,
    types::{Digest, Version},
};
use std::cell::RefCell;

/// A "bundle" of these tests: `name version digest-seed verdict padding…`, followed by the hash of that.
pub(crate) fn bundle(version: [u32; 3], verdict: &str, padding: usize) -> Vec<u8> {
    let [major, minor, patch] = version;
    let text = format!("kws {major}.{minor}.{patch} {verdict} {}", "x".repeat(padding));
    format!("{text}{}", Digest::of(text.as_bytes())).into_bytes()
}

pub(crate) struct HashedText;

impl Model for HashedText {
    fn verify(&self, bytes: &[u8]) -> Result<Identity, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "not text")?;
        let (body, hash) = text.split_at_checked(text.len().wrapping_sub(64)).ok_or("too short")?;
        if Digest::of(body.as_bytes()).to_string() != hash {
            return Err("signature by an unknown key".to_owned());
        }
        let mut words = body.split(' ');
        let name = words.next().unwrap_or_default().to_owned();
        let numbers: Vec<u32> =
            words.next().unwrap_or_default().split('.').map(|n| n.parse().unwrap()).collect();
        let version = Version(numbers.try_into().unwrap());
        Ok(Identity { name, version, digest: Digest::of(body.as_bytes()) })
    }

    fn self_test(&self, bytes: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(bytes);
        if text.contains(" fails-test ") { Err("vector 0 differs".to_owned()) } else { Ok(()) }
    }
}

/// Serves bundles from memory, optionally stopping after some bytes or damaging them.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) targets: Vec<(Target, Vec<u8>)>,
    pub(crate) stop_after: Option<usize>,
    pub(crate) damage: bool,
    pub(crate) down: bool,
    pub(crate) ignores_ranges: bool,
    pub(crate) served: RefCell<Vec<(u64, u64)>>,
}

impl Shelf {
    pub(crate) fn add(&mut self, bytes: Vec<u8>, extra: serde_json::Value) {
        let identity = HashedText.verify(&bytes).unwrap();
        let mut custom = serde_json::json!({
            "name": identity.name, "version": identity.version, "digest": identity.digest, "class": "gateway",
        });
        custom.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let name = format!("{}-{}.samara", identity.name, identity.version);
        let (length, sha256) = (bytes.len() as u64, Digest::of(&bytes));
        self.targets.push((Target { name, length, sha256, custom: Some(custom) }, bytes));
    }
}

impl Repository for Shelf {
    fn targets(&mut self) -> Result<Vec<Target>, Failure> {
        if self.down {
            return Err(Failure::Unreachable("connection refused".to_owned()));
        }
        Ok(self.targets.iter().map(|(target, _)| target.clone()).collect())
    }

    fn fetch(&mut self, target: &Target, from: u64, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let (_, bytes) = self.targets.iter().find(|(known, _)| known == target).unwrap();
        let from = if self.ignores_ranges { 0 } else { from };
        let mut served = 0;
        for (index, chunk) in bytes[from as usize..].chunks(16).enumerate() {
            if self.stop_after.is_some_and(|stop| served >= stop) {
                self.served.borrow_mut().push((from, served as u64));
                return Err(Failure::Unreachable("connection reset".to_owned()));
            }
            let mut chunk = chunk.to_vec();
            if self.damage {
                chunk[0] ^= 1;
            }
            let offset = from + 16 * index as u64;
            sink(offset, &chunk).map_err(|error| Failure::Unreachable(error.to_string()))?;
            served += chunk.len();
        }
        self.served.borrow_mut().push((from, served as u64));
        Ok(())
    }
}

pub(crate) struct Says(pub(crate) Verdict);

impl Watch for Says {
    fn prepare(&mut self, _: &Release) -> io::Result<()> {
        Ok(())
    }

    fn watch(&mut self, _: &Release) -> Verdict {
        self.0.clone()
    }
}

pub(crate) fn device() -> Device {
    Device {
        id: "d1".into(),
        class: "gateway".into(),
        model: "kws".into(),
        contract: None,
        arena_bytes: 10_000,
        flash_bytes: 100_000,
    }
}

/// Starts an agent on `disk` and lets it look once.
pub(crate) fn once<D: Disk>(disk: D, shelf: &mut Shelf, verdict: Verdict) -> io::Result<Outcome> {
    with_agent(disk, 100_000, shelf, verdict, |agent| agent.once())
}

pub(crate) fn with_agent<D: Disk, T>(
    disk: D,
    quota: u64,
    shelf: &mut Shelf,
    verdict: Verdict,
    act: impl FnOnce(&mut Agent<'_, D>) -> io::Result<T>,
) -> io::Result<T> {
    let (mut watch, mut progress) = (Says(verdict), |_: &str| {});
    let parts = Parts { repository: shelf, model: &HashedText, watch: &mut watch, progress: &mut progress };
    let mut agent = Agent::start(disk, quota, device(), Policy::default(), parts)?;
    agent.checkpoint = 64;
    act(&mut agent)
}
