//! The `samara` command as a user meets it.

mod mistakes;
mod repository;
mod schemes;
mod strips;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The project's own model.
fn vibration(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/vibration").join(file);
    path.to_str().expect("a path of UTF-8").to_owned()
}

/// A directory to work in.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn samara(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_samara")).args(args).current_dir(self.0.path()).output().unwrap()
    }

    /// A command that must succeed; its JSON.
    fn json(&self, args: &[&str]) -> Value {
        let output = self.samara(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The vibration model as int8, signed with `k`, which is made where it is missing.
    fn pack(&self, file: &str, version: &str) -> Value {
        if !self.path("k").exists() {
            self.json(&["key", "new", "k"]);
        }
        let (model, data) = (vibration("model.onnx"), vibration("calibrate.npz"));
        self.json(&[
            "pack",
            &model,
            "-o",
            file,
            "--name",
            "vibration",
            "--model-version",
            version,
            "--class",
            "gateway-a",
            "--calibrate",
            &data,
            "--sign",
            "k",
        ])
    }
}

#[test]
fn packing_twice_gives_the_same_bytes() {
    let place = Place::new();
    place.pack("a.samara", "1.0.0");
    place.pack("b.samara", "1.0.0");
    assert!(std::fs::read(place.path("a.samara")).unwrap() == std::fs::read(place.path("b.samara")).unwrap());
}

#[test]
fn inspect_prints_what_scripts_read() {
    let place = Place::new();
    let packed = place.pack("a.samara", "1.2.3");
    let report = place.json(&["inspect", "a.samara"]);
    for (key, value) in report.as_object().unwrap() {
        assert_eq!(*value, packed[key], "pack reports what inspect does, and more: {key}");
    }
    assert_eq!(packed["float_operators"], serde_json::json!([]));
    assert_eq!(packed["recipe"]["activations"], "int8");
    assert_eq!((&report["name"], &report["version"]), (&"vibration".into(), &"1.2.3".into()));
    assert_eq!(report["numeric"], "single");
    assert!(report["memory"]["arena_bytes"].as_u64().unwrap() > 0);
    assert_eq!(report["inputs"][0]["name"], "spectrograms");
    assert_eq!(report["inputs"][0]["shape"], serde_json::json!([1, 2, 16, 16]));
    assert_eq!(report["outputs"][0]["dtype"], "int8");
    assert_eq!(report["signatures"].as_array().unwrap().len(), 1);
    assert!(report["operators"].as_array().unwrap().iter().any(|o| o["name"] == "depthwise_conv_2d"));
}

#[test]
fn signatures_count_by_key_and_threshold() {
    let place = Place::new();
    place.pack("a.samara", "1.0.0");
    place.json(&["key", "new", "second"]);
    place.json(&["verify", "a.samara", "--key", "k.pub"]);
    let both = ["verify", "a.samara", "--key", "k.pub", "--key", "second.pub", "--threshold", "2"];
    assert_eq!(place.samara(&both).status.code(), Some(1));
    let digest = place.json(&["inspect", "a.samara"])["digest"].clone();
    place.json(&["sign", "a.samara", "--key", "second"]);
    place.json(&both);
    assert_eq!(place.json(&["inspect", "a.samara"])["digest"], digest, "signing changes no identity");
    // The same key twice is one signer.
    let twice = ["verify", "a.samara", "--key", "k.pub", "--key", "k.pub", "--threshold", "2"];
    assert_eq!(place.samara(&twice).status.code(), Some(1));
}

#[test]
fn reference_and_fastest_kernels_agree_and_bench_reports() {
    let place = Place::new();
    place.pack("a.samara", "1.0.0");
    let data = vibration("calibrate.npz");
    place.json(&["run", "a.samara", "--input", &data, "-o", "r.npz", "--kernels", "reference"]);
    place.json(&["run", "a.samara", "--input", &data, "-o", "f.npz"]);
    assert!(std::fs::read(place.path("r.npz")).unwrap() == std::fs::read(place.path("f.npz")).unwrap());
    let bench = place.json(&["bench", "a.samara", "--runs", "3"]);
    assert_eq!(bench["runs"], 3);
    assert!(bench["latency_us"]["min"].as_f64().unwrap() > 0.0);
    let macs: u64 = bench["operators"].as_array().unwrap().iter().map(|o| o["macs"].as_u64().unwrap()).sum();
    assert_eq!(bench["macs"], macs);
}

#[test]
fn compare_finds_every_layer_close_on_the_own_model() {
    let place = Place::new();
    place.pack("a.samara", "1.0.0");
    let report =
        place.json(&["compare", &vibration("model.onnx"), "a.samara", "--data", &vibration("calibrate.npz")]);
    assert_eq!(report["first_wrong"], Value::Null);
    assert!(report["layers"].as_array().unwrap().len() >= 8, "{report}");
}
