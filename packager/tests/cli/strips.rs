//! `pack --patch` and `--ram`: large tensors in strips of rows.

use serde_json::Value;

use super::{Place, vibration};

/// `pack` of the vibration model as int8, quantized without trials.
fn pack(place: &Place, file: &str, more: &[&str]) -> std::process::Output {
    let (model, data) = (vibration("model.onnx"), vibration("calibrate.npz"));
    let common = ["pack", &model, "-o", file, "--calibrate", &data, "--target", "portable"];
    let plain =
        ["--rounding", "nearest", "--range", "min-max", "--equalize", "off", "--bias-correction", "off"];
    place.samara(&[&common[..], &plain[..], more].concat())
}

fn json(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn arena(report: &Value) -> u64 {
    report["memory"]["arena_bytes"].as_u64().unwrap()
}

#[test]
fn less_ram_than_the_model_takes_makes_strips_with_the_same_outputs() {
    let place = Place::new();
    let whole = json(&pack(&place, "whole.samara", &["--json"]));
    assert!(whole["patch"].is_null());
    let limit = arena(&whole) - 512;
    let report =
        json(&pack(&place, "strips.samara", &["--ram", &limit.to_string(), "--json", "--report", "r.json"]));
    assert!(arena(&report) <= limit, "{report}");
    let patch = &report["patch"];
    assert_eq!(patch["arena_bytes"], serde_json::json!([arena(&whole), arena(&report)]));
    assert_eq!(patch["macs"], serde_json::json!([whole["macs"], report["macs"]]));
    assert!(patch["chains"][0]["strips"].as_u64().unwrap() > 1 && patch["extra_macs_percent"].is_f64());
    let evaluate = vibration("evaluate.npz");
    for (bundle, output) in [("whole.samara", "whole.npz"), ("strips.samara", "strips.npz")] {
        place.json(&["run", bundle, "--input", &evaluate, "-o", output]);
    }
    let read = |file| std::fs::read(place.path(file)).unwrap();
    assert_eq!(read("whole.npz"), read("strips.npz"));
    // Layers are told apart as in the whole plan.
    let layers = |bundle: &str| {
        let (model, data) = (vibration("model.onnx"), vibration("calibrate.npz"));
        place.json(&["compare", &model, bundle, "--data", &data])["layers"].clone()
    };
    assert_eq!(layers("whole.samara"), layers("strips.samara"));
    // The report shows which rows are where.
    let report: Value = serde_json::from_slice(&read("r.json")).unwrap();
    assert_eq!(report["patch"], *patch);
    let tensors = report["memory"]["tensors"].as_array().unwrap();
    assert!(tensors.iter().any(|t| t["rows"].is_array()) && tensors.iter().any(|t| t["rows"].is_null()));
    let macs: u64 =
        report["sizes"]["layers"].as_array().unwrap().iter().filter_map(|l| l["macs"].as_u64()).sum();
    assert!(macs <= report["macs"].as_u64().unwrap() && macs * 10 > report["macs"].as_u64().unwrap() * 9);
}

#[test]
fn a_size_that_is_not_met_is_refused_and_says_what_is_needed() {
    let place = Place::new();
    let whole = arena(&json(&pack(&place, "whole.samara", &["--json"])));
    let limit = (whole - 1).to_string();
    for (more, said) in [
        (&["--ram", "64"][..], "--ram of 64 bytes is not met: the arena has "),
        (&["--ram", &limit, "--patch", "off"], "leave out --patch off"),
    ] {
        let output = pack(&place, "none.samara", more);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(said) && error.lines().count() == 1, "{error}");
        assert!(!place.path("none.samara").exists());
    }
}

#[test]
fn numbers_of_strips_that_are_none_are_refused() {
    let place = Place::new();
    for text in ["1", "0", "-3", "many", "5000"] {
        let output = pack(&place, "none.samara", &[&format!("--patch={text}")]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}: {error}");
        assert!(error.contains("--patch") && error.contains("from 2 to 4096"), "{text}: {error}");
    }
    let report = json(&pack(&place, "three.samara", &["--patch", "3", "--json"]));
    assert_eq!(report["patch"]["chains"][0]["strips"], 3);
}
