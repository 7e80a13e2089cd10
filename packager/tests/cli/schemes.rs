//! Number formats, budgets, evaluation and reports, as a user asks for them.

use serde_json::Value;

use super::{Place, vibration};

/// `pack` of the vibration model with calibration and evaluation data.
fn pack(place: &Place, more: &[&str]) -> std::process::Output {
    let (model, calibrate, evaluate) =
        (vibration("model.onnx"), vibration("calibrate.npz"), vibration("evaluate.npz"));
    let common =
        ["pack", &model, "-o", "out.samara", "--calibrate", &calibrate, "--evaluate", &evaluate, "--json"];
    place.samara(&[&common[..], more].concat())
}

fn json(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_scheme_keeps_the_accuracy() {
    let place = Place::new();
    for (scheme, bits) in [("int8", 9.0), ("int16x8", 9.0), ("int4", 8.0), ("palette", 8.0)] {
        let report = json(&pack(&place, &["--quantize", scheme]));
        let outcome = &report["evaluation"]["outcomes"][0];
        let drop = outcome["drop"].as_f64().unwrap();
        println!("{scheme}: {drop:.2} points lost, {} bits per weight", report["bits_per_weight"]);
        assert_eq!(outcome["metric"], "top1");
        assert!(drop <= 2.0, "{scheme} loses {drop} points");
        assert!(report["bits_per_weight"].as_f64().unwrap() < bits + 4.0, "{scheme}: {report}");
        assert!(!report["trials"].as_array().unwrap().is_empty(), "what was tried is shown");
    }
}

#[test]
fn weights_alone_need_no_data_but_int8_activations_do() {
    let place = Place::new();
    let model = vibration("model.onnx");
    for scheme in ["int4", "palette", "f16", "f32"] {
        let report = place.json(&["pack", &model, "-o", "out.samara", "--quantize", scheme]);
        assert_eq!(report["inputs"][0]["dtype"], "float32", "{scheme}");
    }
    for scheme in ["int8", "int16x8", "auto"] {
        let output = place.samara(&["pack", &model, "-o", "none.samara", "--quantize", scheme]);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{scheme}");
        assert!(error.contains("--calibrate DATA") && error.lines().count() == 1, "{error}");
        assert!(!place.path("none.samara").exists());
    }
}

#[test]
fn settings_without_data_are_refused_not_ignored() {
    let place = Place::new();
    for setting in
        [["--equalize", "on"], ["--rounding", "nearest"], ["--range", "mse"], ["--bias-correction", "off"]]
    {
        let model = vibration("model.onnx");
        let output = place
            .samara(&[&["pack", &model, "-o", "none.samara", "--quantize", "int4"], &setting[..]].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{setting:?}");
        assert!(error.contains("give --calibrate DATA") && error.lines().count() == 1, "{error}");
        assert!(!place.path("none.samara").exists());
    }
}

#[test]
fn too_great_a_loss_writes_nothing() {
    let place = Place::new();
    // One value in twenty clipped at each end costs more than a hundredth of a point.
    let rough = [
        "--range",
        "percentile=90",
        "--equalize",
        "off",
        "--bias-correction",
        "off",
        "--rounding",
        "nearest",
    ];
    let output = pack(&place, &[&rough[..], &["--max-drop", "0.01", "--report", "r.json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!place.path("out.samara").exists());
    assert!(place.path("r.json").exists(), "the report says why");
}

#[test]
fn auto_meets_a_budget_and_names_the_nearest_point_to_an_impossible_one() {
    let place = Place::new();
    // Weights laid out for this machine's vectors would take more.
    let budget = ["--quantize", "auto", "--flash", "15KiB", "--ram", "8KiB", "--max-drop", "3"];
    let report = json(&pack(&place, &[&budget[..], &["--target", "portable"]].concat()));
    assert!(report["bytes"].as_u64().unwrap() <= 15 * 1024, "{report}");
    assert!(report["memory"]["arena_bytes"].as_u64().unwrap() <= 8 * 1024, "{report}");
    assert!(report["frontier"].as_array().unwrap().len() >= 4, "{report}");
    assert!(report["evaluation"]["outcomes"][0]["drop"].as_f64().unwrap() <= 3.0, "{report}");
    std::fs::remove_file(place.path("out.samara")).unwrap();
    let output = pack(&place, &["--quantize", "auto", "--flash", "4KiB"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("--flash of 4096 bytes is not met") && error.contains("the nearest point is"),
        "{error}"
    );
    assert!(!place.path("out.samara").exists());
}

/// The glyphs' channels are badly unequal (see its model card): one scale for a whole tensor leaves most of them
/// without levels.
#[test]
fn unequal_channels_are_equalized_by_default() {
    let place = Place::new();
    let file = |name: &str| vibration(&format!("../glyphs/{name}"));
    let (model, calibrate, evaluate) = (file("model.onnx"), file("calibrate.npz"), file("evaluate.npz"));
    let drop = |more: &[&str]| {
        let common = ["pack", &model, "-o", "out.samara", "--calibrate", &calibrate, "--evaluate", &evaluate];
        let report = place.json(&[&common[..], more].concat());
        report["evaluation"]["outcomes"][0]["drop"].as_f64().unwrap()
    };
    let plain = drop(&[
        "--range",
        "min-max",
        "--equalize",
        "off",
        "--bias-correction",
        "off",
        "--rounding",
        "nearest",
    ]);
    let chosen = drop(&[]);
    println!("min-max loses {plain:.2} points, the default {chosen:.2}");
    assert!(plain >= 10.0 && chosen <= 2.0, "{plain} and {chosen}");
}
