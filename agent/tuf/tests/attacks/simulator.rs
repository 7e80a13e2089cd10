//! A repository whose every signature and byte the test controls.

use ed25519_dalek::{Signer, SigningKey};
use samara_tuf::client::{Client, Fetch, MemoryStore, Refreshed};
use samara_tuf::metadata::{
    DelegatedRole, Delegations, Extra, Hashes, Key, MetaFile, RoleKeys, Root, SPEC_VERSION, Snapshot,
    TargetFile, Targets, Timestamp, canonical,
};
use samara_tuf::{Error, Limits, Result, time};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The time of every test, unless it says otherwise.
pub(crate) const NOW: u64 = 1_800_000_000;
const LATER: u64 = NOW + 30 * 86_400;

/// A deterministic key.
pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

/// Its metadata form.
pub(crate) fn public(n: u8) -> Key {
    Key::ed25519(&key(n).verifying_key())
}

/// Its identifier.
pub(crate) fn id(n: u8) -> String {
    public(n).id().unwrap()
}

/// Files as served, and the state they are made from. Keys: root 1, timestamp 2, snapshot 3, targets 4.
pub(crate) struct Simulator {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) requests: Vec<String>,
    pub(crate) root: Root,
    pub(crate) timestamp: Timestamp,
    pub(crate) snapshot: Snapshot,
    pub(crate) roles: BTreeMap<String, Targets>,
    /// Who signs a role now, right or wrong.
    pub(crate) signers: BTreeMap<String, Vec<u8>>,
    /// Whether snapshot and timestamp list lengths and hashes.
    pub(crate) hashes: bool,
}

impl Simulator {
    /// Version 1 of everything, published.
    pub(crate) fn new() -> Self {
        let mut simulator = Simulator {
            files: BTreeMap::new(),
            requests: Vec::new(),
            root: Root {
                kind: "root".into(),
                spec_version: SPEC_VERSION.into(),
                version: 1,
                expires: time::format(LATER),
                consistent_snapshot: true,
                keys: (1..=4).map(|n| (id(n), public(n))).collect(),
                roles: ["root", "timestamp", "snapshot", "targets"]
                    .into_iter()
                    .zip(1..)
                    .map(|(role, n)| (role.into(), RoleKeys { keyids: vec![id(n)], threshold: 1 }))
                    .collect(),
                extra: Extra::new(),
            },
            timestamp: Timestamp {
                kind: "timestamp".into(),
                spec_version: SPEC_VERSION.into(),
                version: 0,
                expires: time::format(LATER),
                meta: BTreeMap::new(),
                extra: Extra::new(),
            },
            snapshot: Snapshot {
                kind: "snapshot".into(),
                spec_version: SPEC_VERSION.into(),
                version: 0,
                expires: time::format(LATER),
                meta: BTreeMap::new(),
                extra: Extra::new(),
            },
            roles: BTreeMap::from([("targets".into(), targets())]),
            signers: ["root", "timestamp", "snapshot", "targets"]
                .into_iter()
                .zip(1..)
                .map(|(role, n)| (role.into(), vec![n]))
                .collect(),
            hashes: true,
        };
        simulator.publish_root();
        simulator.publish(&["targets"]);
        simulator
    }

    /// A client that trusts the root served first.
    pub(crate) fn client(&self) -> Client<MemoryStore> {
        Client::init(MemoryStore::default(), &self.files["1.root.json"], Limits::DEFAULT).unwrap()
    }

    /// Signs and serves the root as it stands.
    pub(crate) fn publish_root(&mut self) {
        let bytes = self.sign("root", &self.root);
        self.files.insert(format!("{}.root.json", self.root.version), bytes);
    }

    /// The next root.
    pub(crate) fn bump_root(&mut self) {
        self.root.version += 1;
        self.publish_root();
    }

    /// Signs and serves the next version of some targets roles, then of snapshot and timestamp.
    pub(crate) fn publish(&mut self, roles: &[&str]) {
        for role in roles {
            self.roles.get_mut(*role).unwrap().version += 1;
            self.serve_targets(role);
        }
        self.snapshot.version += 1;
        self.serve_snapshot();
        self.timestamp.version += 1;
        self.serve_timestamp();
    }

    /// Serves a targets role as it stands and lists it in the snapshot to come.
    pub(crate) fn serve_targets(&mut self, role: &str) {
        let bytes = self.sign(role, &self.roles[role]);
        let version = self.roles[role].version;
        let meta = self.meta(version, &bytes);
        self.snapshot.meta.insert(format!("{role}.json"), meta);
        self.files.insert(format!("{version}.{role}.json"), bytes);
    }

    /// Serves the snapshot as it stands and lists it in the timestamp to come.
    pub(crate) fn serve_snapshot(&mut self) {
        let bytes = self.sign("snapshot", &self.snapshot);
        let meta = self.meta(self.snapshot.version, &bytes);
        self.timestamp.meta.insert("snapshot.json".into(), meta);
        self.files.insert(format!("{}.snapshot.json", self.snapshot.version), bytes);
    }

    /// Serves the timestamp as it stands.
    pub(crate) fn serve_timestamp(&mut self) {
        let bytes = self.sign("timestamp", &self.timestamp);
        self.files.insert("timestamp.json".into(), bytes);
    }

    /// The file of `signed` with the signatures of the role's signers.
    pub(crate) fn sign(&self, role: &str, signed: &impl Serialize) -> Vec<u8> {
        sign(&serde_json::to_value(signed).unwrap(), &self.signers[role])
    }

    fn meta(&self, version: u64, bytes: &[u8]) -> MetaFile {
        MetaFile {
            version,
            length: self.hashes.then_some(bytes.len() as u64),
            hashes: self.hashes.then(|| Hashes::of(bytes)),
            extra: Extra::new(),
        }
    }

    /// Changes a served file's JSON without signing it again.
    pub(crate) fn tamper(&mut self, file: &str, change: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_slice(&self.files[file]).unwrap();
        change(&mut value);
        self.files.insert(file.into(), serde_json::to_vec(&value).unwrap());
    }

    /// Delegates from one role to another, which key `n` signs, and makes the role where it is new.
    pub(crate) fn delegate(&mut self, from: &str, to: &str, n: u8, paths: &[&str], terminating: bool) {
        let delegations =
            self.roles.get_mut(from).unwrap().delegations.get_or_insert_with(Delegations::default);
        delegations.keys.insert(id(n), public(n));
        delegations.roles.push(DelegatedRole {
            name: to.into(),
            authority: RoleKeys { keyids: vec![id(n)], threshold: 1 },
            terminating,
            paths: Some(paths.iter().map(|path| path.to_string()).collect()),
            path_hash_prefixes: None,
        });
        self.signers.entry(to.into()).or_insert_with(|| vec![n]);
        self.roles.entry(to.into()).or_insert_with(targets);
    }

    /// Lists a target in a role.
    pub(crate) fn add_target(&mut self, role: &str, name: &str, content: &[u8]) {
        let file = TargetFile {
            length: content.len() as u64,
            hashes: Hashes::of(content),
            custom: None,
            extra: Extra::new(),
        };
        self.roles.get_mut(role).unwrap().targets.insert(name.into(), file);
    }

    /// One refresh at [`NOW`], which must fail with nothing but an error.
    pub(crate) fn refused(&mut self, client: &mut Client<MemoryStore>) -> Error {
        client.refresh(self, NOW).expect_err("the attack went through")
    }

    /// One refresh at [`NOW`], which must succeed.
    pub(crate) fn accepted(&mut self, client: &mut Client<MemoryStore>) -> Refreshed {
        client.refresh(self, NOW).expect("an honest repository was refused")
    }
}

impl Fetch for Simulator {
    fn fetch(&mut self, path: &str, _max_bytes: u64) -> Result<Option<Vec<u8>>> {
        // The limit is deliberately not kept: the client must not rely on it.
        self.requests.push(path.into());
        Ok(self.files.get(path).cloned())
    }
}

/// An envelope of `signed` by the given keys.
pub(crate) fn sign(signed: &Value, keys: &[u8]) -> Vec<u8> {
    let payload = canonical(signed).unwrap();
    let signatures: Vec<_> = keys
        .iter()
        .map(|&n| json!({"keyid": id(n), "sig": hex::encode(key(n).sign(&payload).to_bytes())}))
        .collect();
    serde_json::to_vec(&json!({"signatures": signatures, "signed": signed})).unwrap()
}

/// Versions in a client's store: root, timestamp, snapshot, targets; 0 where there is none.
pub(crate) fn stored(client: &Client<MemoryStore>) -> [u64; 4] {
    ["root", "timestamp", "snapshot", "targets"].map(|role| {
        client.store().0.get(role).map_or(0, |bytes| {
            serde_json::from_slice::<Value>(bytes).unwrap()["signed"]["version"].as_u64().unwrap()
        })
    })
}

fn targets() -> Targets {
    Targets {
        kind: "targets".into(),
        spec_version: SPEC_VERSION.into(),
        version: 0,
        expires: time::format(LATER),
        targets: BTreeMap::new(),
        delegations: None,
        extra: Extra::new(),
    }
}
