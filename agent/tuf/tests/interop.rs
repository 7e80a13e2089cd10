//! A repository by the writer, served over HTTP, read by python-tuf and by samara-tuf-client.

use samara_tuf::keyfile;
use samara_tuf::repository::{DAY, Delegation, KeyRing, Repository, RoleSetup, Setup};
use samara_tuf::time;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Files of one directory over loopback, until dropped.
struct StaticServer {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StaticServer {
    fn start(directory: &Path) -> Self {
        let server = tiny_http::Server::http("127.0.0.1:0").expect("a loopback port");
        let url = format!("http://{}", server.server_addr());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (log, stopped, directory) = (requests.clone(), stop.clone(), directory.to_owned());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Ok(Some(request)) = server.recv_timeout(Duration::from_millis(50)) else { continue };
                let path =
                    percent_encoding::percent_decode_str(request.url()).decode_utf8_lossy().into_owned();
                log.lock().unwrap().push(path.clone());
                // A client that went away is its own problem; the test looks at the client.
                let answered = match std::fs::File::open(directory.join(path.trim_start_matches('/'))) {
                    Ok(file) => request.respond(tiny_http::Response::from_file(file)),
                    Err(_) => request.respond(tiny_http::Response::empty(404)),
                };
                answered.ok();
            }
        });
        StaticServer { url, requests, stop, thread: Some(thread) }
    }

    fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

impl Drop for StaticServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server thread");
        }
    }
}

struct Fixture {
    scratch: tempfile::TempDir,
    server: StaticServer,
    keys: KeyRing,
}

const BUNDLE: &str = "kws 1.2.0+a.samara";

impl Fixture {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut keys = KeyRing::new();
        let mut role = |names: &[&str], threshold, lifetime| {
            let mut public = Vec::new();
            for name in names {
                let path = scratch.path().join(name);
                public.push(keyfile::generate(&path).unwrap().verifying_key());
                keys.read(&path).unwrap();
            }
            RoleSetup { keys: public, threshold, lifetime }
        };
        let setup = Setup {
            root: role(&["root1", "root2", "root3"], 2, 365 * DAY),
            timestamp: role(&["timestamp"], 1, DAY),
            snapshot: role(&["snapshot"], 1, 7 * DAY),
            targets: role(&["targets"], 1, 365 * DAY),
        };
        let releases = Delegation {
            name: "releases".into(),
            setup: role(&["releases1", "releases2"], 2, 90 * DAY),
            paths: vec!["*.samara".into()],
            terminating: true,
        };
        let rollout = Delegation {
            name: "rollout".into(),
            setup: role(&["online"], 1, 2 * DAY),
            paths: vec!["rollout-?.json".into()],
            terminating: true,
        };
        std::fs::write(scratch.path().join("bundle"), vec![0x5a; 300_000]).unwrap();
        std::fs::write(scratch.path().join("plan"), br#"{"permyriad": 500}"#).unwrap();
        let directory = scratch.path().join("repo");
        let mut repository = Repository::create(&directory, &setup).unwrap();
        repository.delegate("targets", &releases).unwrap();
        repository.delegate("targets", &rollout).unwrap();
        let custom =
            serde_json::json!({"class": "kws-\"é\"\\", "arena_bytes": 10_500, "ratio": [1, -2, null, true]});
        repository.add_target_file("releases", BUNDLE, &scratch.path().join("bundle"), Some(custom)).unwrap();
        repository.add_target_file("rollout", "rollout-a.json", &scratch.path().join("plan"), None).unwrap();
        repository.publish(&keys, time::now()).unwrap();
        let server = StaticServer::start(&directory);
        Fixture { scratch, server, keys }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn repository(&self) -> Repository {
        Repository::open(&self.path("repo")).unwrap()
    }

    /// Trusts root version 1 in a fresh metadata directory.
    fn enroll(&self) {
        let root = self.path("repo/metadata/1.root.json");
        let output = Command::new(env!("CARGO_BIN_EXE_samara-tuf-client"))
            .args(["--metadata-dir".as_ref(), self.path("client").as_os_str()])
            .args(["init".as_ref(), root.as_os_str()])
            .output()
            .unwrap();
        succeeded(&output);
    }

    fn client(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_samara-tuf-client"))
            .args(["--metadata-dir".as_ref(), self.path("client").as_os_str()])
            .args(["--metadata-url", &format!("{}/metadata", self.server.url)])
            .args(["--target-dir".as_ref(), self.path("downloads").as_os_str()])
            .args(["--target-base-url", &format!("{}/targets/", self.server.url)])
            .args(arguments)
            .output()
            .unwrap()
    }
}

fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn refused(output: &Output, reason: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(reason), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn python_tuf_reads_the_repository() {
    let python = std::env::var("SAMARA_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_tuf = Command::new(&python).args(["-c", "import tuf.ngclient"]).output();
    if !has_tuf.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED python_tuf_reads_the_repository: {python} cannot import tuf (PyPI package tuf)");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/python_tuf_reads.py");
    let fixture = Fixture::new();
    // Root version 1 is what the reader trusts; it has to follow a rotation of root and timestamp keys.
    let mut repository = fixture.repository();
    let mut keys = KeyRing::new();
    for name in ["root1", "root2", "targets", "releases1", "releases2", "snapshot"] {
        keys.read(&fixture.path(name)).unwrap();
    }
    for (role, name) in [
        (samara_tuf::metadata::TopLevel::Root, "root-new"),
        (samara_tuf::metadata::TopLevel::Timestamp, "timestamp-new"),
    ] {
        let public = keyfile::generate(&fixture.path(name)).unwrap().verifying_key();
        keys.read(&fixture.path(name)).unwrap();
        repository
            .set_role(role, &RoleSetup { keys: vec![public], threshold: 1, lifetime: 2 * DAY })
            .unwrap();
    }
    repository.publish(&keys, time::now()).unwrap();
    let read = || {
        Command::new(&python)
            .arg(&script)
            .args(["--metadata-url", &format!("{}/metadata", fixture.server.url)])
            .args(["--targets-url", &format!("{}/targets", fixture.server.url)])
            .args(["--root".as_ref(), fixture.path("repo/metadata/1.root.json").as_os_str()])
            .args(["--target", BUNDLE, "--target", "rollout-a.json"])
            .args(["--expect".as_ref(), fixture.path("bundle").as_os_str()])
            .args(["--expect".as_ref(), fixture.path("plan").as_os_str()])
            .output()
            .unwrap()
    };
    let output = read();
    succeeded(&output);
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["targets"][0]["custom"]["class"], "kws-\"é\"\\");
    assert!(fixture.server.take_requests().contains(&"/metadata/2.root.json".to_owned()));
    // The script can say no.
    std::fs::write(fixture.path("plan"), b"other").unwrap();
    assert_eq!(read().status.code(), Some(1));
}

#[test]
fn samara_tuf_client_follows_the_repository() {
    let fixture = Fixture::new();
    refused(&fixture.client(&["refresh"]), "run init first");
    fixture.enroll();
    succeeded(&fixture.client(&["refresh"]));
    assert_eq!(
        fixture.server.take_requests(),
        [
            "/metadata/2.root.json",
            "/metadata/timestamp.json",
            "/metadata/1.snapshot.json",
            "/metadata/1.targets.json"
        ]
    );
    succeeded(&fixture.client(&["refresh"]));
    assert_eq!(fixture.server.take_requests(), ["/metadata/2.root.json", "/metadata/timestamp.json"]);

    let download = ["--target-name", BUNDLE, "--target-name", "rollout-a.json", "download"];
    succeeded(&fixture.client(&download));
    let saved = fixture.path("downloads/kws%201.2.0%2Ba.samara");
    assert_eq!(std::fs::read(&saved).unwrap(), vec![0x5a; 300_000]);
    assert_eq!(std::fs::read(fixture.path("downloads/rollout-a.json")).unwrap(), br#"{"permyriad": 500}"#);
    fixture.server.take_requests();
    succeeded(&fixture.client(&download));
    assert_eq!(fixture.server.take_requests().len(), 2, "nothing is downloaded twice");

    // The online role moves on without any offline key.
    let mut repository = fixture.repository();
    repository.add_target("rollout", "rollout-a.json", &mut b"{}".as_slice(), None).unwrap();
    repository.publish(&fixture.keys, time::now()).unwrap();
    drop(repository);
    succeeded(&fixture.client(&download));
    assert_eq!(std::fs::read(fixture.path("downloads/rollout-a.json")).unwrap(), b"{}");
    refused(&fixture.client(&["--target-name", "nothing", "download"]), "no role lists target nothing");
    refused(&fixture.client(&["--target-name", "../x", "download"]), "target name");
    refused(&fixture.client(&["download"]), "--target-name");
}

#[test]
fn a_flipped_bit_in_any_file_is_refused_and_nothing_is_saved() {
    let fixture = Fixture::new();
    let mut files = Vec::new();
    for directory in ["repo/metadata", "repo/targets"] {
        files.extend(std::fs::read_dir(fixture.path(directory)).unwrap().map(|entry| entry.unwrap().path()));
    }
    assert_eq!(files.len(), 8);
    for file in files {
        if file.ends_with("1.root.json") {
            continue;
        }
        let good = std::fs::read(&file).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        std::fs::write(&file, bad).unwrap();
        fixture.enroll();
        let output =
            fixture.client(&["--target-name", BUNDLE, "--target-name", "rollout-a.json", "download"]);
        assert_eq!(output.status.code(), Some(1), "{}", file.display());
        std::fs::write(&file, good).unwrap();
        std::fs::remove_dir_all(fixture.path("client")).unwrap();
        if fixture.path("downloads").exists() {
            // The other target may have arrived; the tampered one must not have.
            let hash_and_name = file.file_name().unwrap().to_str().unwrap().to_owned();
            let name = hash_and_name.split_once('.').unwrap().1.replace(' ', "%20").replace('+', "%2B");
            assert!(!fixture.path("downloads").join(name).exists());
            std::fs::remove_dir_all(fixture.path("downloads")).unwrap();
        }
    }
}

#[test]
fn a_server_that_fails_or_is_gone_is_one_line() {
    let fixture = Fixture::new();
    fixture.enroll();
    drop(std::fs::remove_file(fixture.path("repo/metadata/timestamp.json")));
    refused(&fixture.client(&["refresh"]), "no timestamp.json");
    let Fixture { scratch, server, keys } = fixture;
    let url = server.url.clone();
    drop(server);
    let output = Command::new(env!("CARGO_BIN_EXE_samara-tuf-client"))
        .args(["--metadata-dir".as_ref(), scratch.path().join("client").as_os_str()])
        .args(["--metadata-url", &url, "refresh"])
        .output()
        .unwrap();
    refused(&output, "cannot fetch");
    drop(keys);
}
