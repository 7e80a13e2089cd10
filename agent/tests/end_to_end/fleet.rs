//! A repository, a web server and one device, in a temporary directory.

use super::{bundle::Recipe, web::Web};
use ed25519_dalek::SigningKey;
use samara_tuf::{
    keyfile,
    repository::{DAY, Delegation, KeyRing, Repository, RoleSetup, Setup},
    time,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

pub(crate) struct Fleet {
    pub(crate) web: Web,
    dir: TempDir,
    keys: KeyRing,
    pub(crate) signer: SigningKey,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = |name: &str| keyfile::generate(&dir.path().join(name)).unwrap();
        let mut keys = KeyRing::new();
        let mut role = |name: &str| {
            let key = key(name);
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
        let delegation = Delegation {
            name: "releases".into(),
            setup: role("releases"),
            paths: vec!["*.samara".into()],
            terminating: true,
        };
        let repo = dir.path().join("repo");
        let mut repository = Repository::create(&repo, &setup).unwrap();
        repository.delegate("targets", &delegation).unwrap();
        repository.publish(&keys, time::now()).unwrap();
        drop(repository);
        let signer = key("bundle");
        fs::create_dir(dir.path().join("trust")).unwrap();
        fs::copy(repo.join("metadata/1.root.json"), dir.path().join("trust/root.json")).unwrap();
        let web = Web::start(&repo);
        let fleet = Self { web, dir, keys, signer };
        fleet.configure("agent.toml", "");
        fleet
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a configuration; `extra` goes at the end.
    pub(crate) fn configure(&self, name: &str, extra: &str) {
        let url = &self.web.url;
        let probation = if extra.contains("[probation]") { "" } else { "[probation]\nseconds = 0\n" };
        let text = format!(
            r#"
device_id = "d1"
class = "gateway"
model = "same"
data_dir = "data"
[repository]
metadata_url = "{url}/metadata"
targets_url = "{url}/targets"
read_timeout_seconds = 20
[trust]
dir = "trust"
bundle_keys = ["bundle.pub"]
[telemetry]
endpoint = "{url}"
interval_seconds = 1
[serve]
listen = "127.0.0.1:0"
{probation}{extra}
"#
        );
        fs::write(self.path(name), text).unwrap();
    }

    /// Releases a bundle; `extra` goes into `custom` and wins over what the bundle says.
    pub(crate) fn release(&self, recipe: &Recipe, extra: Value) {
        self.release_as(recipe, &self.signer, extra);
    }

    pub(crate) fn release_as(&self, recipe: &Recipe, signer: &SigningKey, extra: Value) {
        let (bytes, digest) = recipe.pack(signer);
        let mut custom = json!({
            "name": "same", "version": recipe.version, "digest": digest, "class": ["gateway"],
            "arena_bytes": recipe.arena,
        });
        custom.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let [major, minor, patch] = recipe.version;
        let name = format!("same-{major}.{minor}.{patch}.samara");
        let mut repository = Repository::open(&self.path("repo")).unwrap();
        repository.add_target("releases", &name, &mut &bytes[..], Some(custom)).unwrap();
        repository.publish(&self.keys, time::now()).unwrap();
    }

    pub(crate) fn command(&self, config: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_samara-agent"));
        command.args(arguments).arg("--json").arg("--config").arg(self.path(config));
        command
    }

    /// Runs a command to its end: exit code and JSON.
    pub(crate) fn agent(&self, arguments: &[&str]) -> (i32, Value) {
        self.agent_with("agent.toml", arguments)
    }

    pub(crate) fn agent_with(&self, config: &str, arguments: &[&str]) -> (i32, Value) {
        let output = self.command(config, arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked"), "{errors}");
        let json =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON; stderr: {errors}"));
        (output.status.code().unwrap(), json)
    }

    /// Version that `status` calls active.
    pub(crate) fn active(&self) -> Value {
        let (code, status) = self.agent(&["status"]);
        assert_eq!(code, 0);
        status["version"].clone()
    }

    /// Target files asked for since the last look at the log.
    pub(crate) fn downloads(&self) -> Vec<String> {
        let name = |entry: String| {
            let (_, rest) = entry.split_once("/targets/")?;
            Some(rest.split_once('.').map_or(rest, |(_, name)| name).to_owned())
        };
        self.web.log().into_iter().filter_map(name).collect()
    }
}

/// All files below a directory with their contents.
pub(crate) fn tree(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
