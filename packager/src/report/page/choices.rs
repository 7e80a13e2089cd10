//! A recipe in words.

use serde_json::{Value as Json, json};

use crate::quantize::{Activations, RangeMethod, Recipe, WeightRounding, Weights};
use crate::report::text::escape;

/// As a list of terms.
pub(super) fn html(recipe: &Recipe) -> String {
    let on = |b: bool| if b { "on" } else { "off" }.to_owned();
    let mut entries = vec![
        ("activations", activations(recipe.activations).to_owned()),
        ("weights", weights(recipe.weights)),
        ("ranges", range(recipe.range)),
        ("equalization", on(recipe.equalize)),
        ("bias correction", on(recipe.correct_bias)),
        ("rounding of weights", rounding(recipe.rounding).to_owned()),
    ];
    let except: Vec<String> =
        recipe.layers.iter().map(|(name, w)| format!("{name}: {}", weights(*w))).collect();
    if !except.is_empty() {
        entries.push(("except", except.join(", ")));
    }
    let entry = |(what, choice): &(&str, String)| format!("<dt>{what}</dt><dd>{}</dd>", escape(choice));
    format!("<dl>{}</dl>\n", entries.iter().map(entry).collect::<String>())
}

/// As an object.
pub(in crate::report) fn json(recipe: &Recipe) -> Json {
    let layers: serde_json::Map<String, Json> =
        recipe.layers.iter().map(|(name, w)| (name.clone(), json!(weights(*w)))).collect();
    json!({
        "activations": activations(recipe.activations),
        "weights": weights(recipe.weights),
        "layers": layers,
        "range": range(recipe.range),
        "equalize": recipe.equalize,
        "correct_bias": recipe.correct_bias,
        "rounding": rounding(recipe.rounding),
    })
}

fn activations(a: Activations) -> &'static str {
    match a {
        Activations::F32 => "floats",
        Activations::Int8 => "int8",
        Activations::Int16 => "int16",
    }
}

fn weights(w: Weights) -> String {
    match w {
        Weights::F32 => "float32".into(),
        Weights::F16 => "float16".into(),
        Weights::Int8 => "int8 per channel".into(),
        Weights::Int4 { group: None } => "int4 per channel".into(),
        Weights::Int4 { group: Some(n) } => format!("int4 in groups of {n}"),
        Weights::Palette => "palette of 16".into(),
    }
}

fn range(r: RangeMethod) -> String {
    match r {
        RangeMethod::MinMax => "least and greatest value".into(),
        RangeMethod::Percentile(p) => format!("{p} % of the values"),
        RangeMethod::Mse => "least squared error".into(),
    }
}

fn rounding(r: WeightRounding) -> &'static str {
    match r {
        WeightRounding::Nearest => "nearest",
        WeightRounding::Optimized => "optimized layer by layer",
    }
}
