//! A recipe in words.

use std::collections::BTreeMap;

use crate::quantize::{Recipe, WeightRounding};
use crate::report::text::escape;

/// As a list of terms.
pub(super) fn html(recipe: &Recipe) -> String {
    let on = |b: bool| if b { "on" } else { "off" }.to_owned();
    let rounding = match recipe.rounding {
        WeightRounding::Nearest => "to the nearest level",
        WeightRounding::Optimized => "optimized layer by layer",
    };
    let mut entries = vec![
        ("activations", recipe.activations.name().to_owned()),
        ("weights", recipe.weights.name()),
        ("ranges", recipe.range.name()),
        ("equalization", on(recipe.equalize)),
        ("bias correction", on(recipe.correct_bias)),
        ("rounding of weights", rounding.to_owned()),
    ];
    let except: Vec<String> = recipe.layers.iter().map(|(name, w)| format!("{name}: {}", w.name())).collect();
    if !except.is_empty() {
        entries.push(("except", except.join(", ")));
    }
    let entry = |(what, choice): &(&str, String)| format!("<dt>{what}</dt><dd>{}</dd>", escape(choice));
    format!("<dl>{}</dl>\n", entries.iter().map(entry).collect::<String>())
}

/// In one line: formats, then what departs from the plainest way.
pub(in crate::report) fn line(recipe: &Recipe) -> String {
    let mut parts =
        vec![format!("{} weights, {} activations", recipe.weights.name(), recipe.activations.name())];
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    recipe.layers.values().for_each(|w| *others.entry(w.name()).or_default() += 1);
    parts.extend(others.iter().map(|(format, layers)| format!("{layers} × {format}")));
    parts.push(recipe.range.name());
    let also = [
        (recipe.equalize, "equalized"),
        (recipe.rounding == WeightRounding::Optimized, "optimized rounding"),
        (recipe.correct_bias, "corrected biases"),
    ];
    parts.extend(also.iter().filter(|a| a.0).map(|a| a.1.to_owned()));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::{RangeMethod, Weights};

    #[test]
    fn a_line_says_what_is_not_plain() {
        assert_eq!(line(&Recipe::default()), "int8 weights, int8 activations, min-max");
        let layers = ["a", "b"].map(|n| (n.to_owned(), Weights::Palette)).into();
        let recipe = Recipe { layers, range: RangeMethod::Mse, correct_bias: true, ..Recipe::default() };
        assert_eq!(line(&recipe), "int8 weights, int8 activations, 2 × palette, mse, corrected biases");
    }
}
