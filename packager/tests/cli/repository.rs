//! What `samara repo` writes, read by python-tuf.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Place;

fn python() -> String {
    std::env::var("SAMARA_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// Python's own web server on an ephemeral loopback port.
struct Web {
    child: Child,
    port: String,
}

impl Web {
    fn serve(directory: &Path) -> Self {
        let mut child = Command::new(python())
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split("port ").nth(1).and_then(|t| t.split(' ').next()).unwrap().to_owned();
        Web { child, port }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn python_tuf_downloads_a_released_bundle() {
    let has_tuf = Command::new(python()).args(["-c", "import tuf.ngclient"]).output();
    if !has_tuf.is_ok_and(|o| o.status.success()) {
        println!("SKIPPED: python3 with the package tuf is not installed");
        return;
    }
    let place = Place::new();
    place.pack("a.samara", "1.0.0");
    place.json(&["repo", "init", "repo", "--keys", "keys"]);
    place.json(&["repo", "add", "repo", "a.samara", "--keys", "keys", "--key", "k.pub"]);
    place.json(&["repo", "release", "repo", "vibration-1.0.0.samara", "--keys", "keys", "--percent", "10"]);
    let web = Web::serve(&place.path("repo"));
    let base = format!("http://127.0.0.1:{}", web.port);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/interop/python_tuf_reads.py");
    let output = Command::new(python())
        .arg(script)
        .args(["--metadata-url", &format!("{base}/metadata/"), "--targets-url", &format!("{base}/targets/")])
        .arg("--root")
        .arg(place.path("repo/metadata/1.root.json"))
        .args(["--target", "vibration-1.0.0.samara"])
        .arg("--expect")
        .arg(place.path("a.samara"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_release_with_another_contract_is_refused_until_it_is_said() {
    let place = Place::new();
    place.pack("a.samara", "1.0.0");
    let (model, data) = (super::vibration("model.onnx"), super::vibration("calibrate.npz"));
    place.json(&[
        "pack",
        &model,
        "-o",
        "b.samara",
        "--name",
        "vibration",
        "--model-version",
        "2.0.0",
        "--class",
        "gateway-a",
        "--calibrate",
        &data,
        "--labels",
        "a,b,c,d,e,f",
        "--sign",
        "k",
    ]);
    place.json(&["repo", "init", "repo", "--keys", "keys"]);
    for bundle in ["a.samara", "b.samara"] {
        place.json(&["repo", "add", "repo", bundle, "--keys", "keys", "--key", "k.pub"]);
    }
    place.json(&["repo", "release", "repo", "vibration-1.0.0.samara", "--keys", "keys"]);
    let release = ["repo", "release", "repo", "vibration-2.0.0.samara", "--keys", "keys"];
    let output = place.samara(&release);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--new-contract"));
    place.json(&[&release[..], &["--new-contract"]].concat());
    let status = place.json(&["repo", "status", "repo"]);
    assert!(status["targets"].as_array().unwrap().iter().all(|t| t["custom"]["permyriad"] == 10_000));
}

#[test]
fn a_bundle_by_a_stranger_or_for_another_class_is_not_added() {
    let place = Place::new();
    place.pack("a.samara", "1.0.0");
    place.json(&["key", "new", "stranger"]);
    place.json(&["repo", "init", "repo", "--keys", "keys"]);
    for args in [
        &["repo", "add", "repo", "a.samara", "--keys", "keys", "--key", "stranger.pub"][..],
        &["repo", "add", "repo", "a.samara", "--keys", "keys", "--key", "k.pub", "--class", "other"],
    ] {
        assert_eq!(place.samara(args).status.code(), Some(1), "{args:?}");
    }
    assert_eq!(place.json(&["repo", "status", "repo"])["targets"], serde_json::json!([]));
}
