//! What `pack` says to people.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::output::size;

pub(super) fn text(report: &Value, path: Option<&Path>, calibrated: bool) -> String {
    let bytes = |v: &Value| size(v.as_u64().unwrap_or(0) as usize);
    let place = path.map_or_else(|| "nothing written (--dry-run)".into(), |p| p.display().to_string());
    let mut text = format!(
        "{place}: {} for the bundle, {} of arena, {} MACs\n",
        bytes(&report["bytes"]),
        bytes(&report["memory"]["arena_bytes"]),
        report["macs"]
    );
    let list = |key: &str| report[key].as_array().cloned().unwrap_or_default();
    let floats = list("float_operators");
    if !floats.is_empty() && report["numeric"] != json!("none") {
        let names: Vec<&str> = floats.iter().filter_map(Value::as_str).collect();
        text += &format!(
            "{} operators compute in f32, as the model has them: {}\n",
            floats.len(),
            names.join(", ")
        );
    }
    if report["patch"].is_object() {
        text += &format!("{}\n", patch(&report["patch"]));
    }
    if report["recipe"].is_object() {
        text += &format!("{}\n", recipe(&report["recipe"]));
    }
    for (i, point) in list("frontier").iter().enumerate() {
        let chosen = report["chosen"] == json!(i);
        let millis = point["latency_ms"].as_f64().map_or(String::new(), |ms| format!(", about {ms:.2} ms"));
        text += &format!(
            "{} {:>10} flash, {:>10} RAM{millis}, {:.2} points lost: {}\n",
            if chosen { "->" } else { "  " },
            bytes(&point["flash_bytes"]),
            bytes(&point["ram_bytes"]),
            point["drop"].as_f64().unwrap_or(0.0),
            recipe(&point["recipe"])
        );
    }
    for outcome in report["evaluation"]["outcomes"].as_array().into_iter().flatten() {
        let number = |key: &str| outcome[key].as_f64().map_or("-".into(), |x| format!("{x:.3}"));
        text += &format!(
            "{} {} of {}: float {}, bundle {}, lost {}\n",
            outcome["metric"].as_str().unwrap_or_default(),
            outcome["unit"].as_str().unwrap_or_default(),
            report["evaluation"]["samples"],
            number("float"),
            number("bundle"),
            number("drop")
        );
    }
    if report["numeric"] == json!("none") && !calibrated && !report["recipe"].is_object() {
        text += "packed as f32; give --calibrate DATA to get int8: about a quarter of the size, and integer-only targets\n";
    }
    text
}

/// One line for patches.
fn patch(patch: &Value) -> String {
    let chain = |c: &Value| format!("{} steps in {} strips", c["steps"], c["strips"]);
    let chains: Vec<String> = patch["chains"].as_array().into_iter().flatten().map(chain).collect();
    let bytes = |key: &str, i: usize| size(patch[key][i].as_u64().unwrap_or(0) as usize);
    format!(
        "{}: arena {} instead of {}, {:+.2} % MACs, {} steps instead of {}, {} of plan instead of {}",
        chains.join(", "),
        bytes("arena_bytes", 1),
        bytes("arena_bytes", 0),
        patch["extra_macs_percent"].as_f64().unwrap_or(0.0),
        patch["steps"][1],
        patch["steps"][0],
        bytes("plan_bytes", 1),
        bytes("plan_bytes", 0),
    )
}

/// One line for a recipe.
fn recipe(recipe: &Value) -> String {
    let word = |key: &str| recipe[key].as_str().unwrap_or_default().to_owned();
    let mut line = format!("{} activations, {} weights", word("activations"), word("weights"));
    let layers = recipe["layers"].as_object().map_or(0, |l| l.len());
    if layers > 0 {
        line += &format!(" ({layers} layers otherwise)");
    }
    if word("activations") != "f32" {
        line += &format!(", {} ranges", word("range"));
    }
    for (key, what) in [("equalize", "equalized"), ("correct_bias", "biases corrected")] {
        if recipe[key] == json!(true) {
            line += &format!(", {what}");
        }
    }
    if word("rounding") == "optimized" {
        line += ", weights rounded together";
    }
    line
}
