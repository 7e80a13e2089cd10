//! The page, section by section.

mod accuracy;
mod activations;
pub(super) mod choices;
mod cost;
mod errors;
mod lineage;
mod memory;
mod recipe;
mod sizes;
mod summary;

use super::Report;
use super::html::{frame, section};
use super::text::escape;

/// A section: its anchor, its name in the navigation, its heading, what it shows, and its content, empty where the
/// report has nothing to say of it.
struct Section {
    id: &'static str,
    short: &'static str,
    heading: &'static str,
    lead: &'static str,
    content: fn(&Report<'_>) -> String,
}

/// In the order of the page.
const SECTIONS: &[Section] = &[
    Section {
        id: "accuracy",
        short: "Accuracy",
        heading: "What is kept",
        lead: "The float model and the bundle on the same samples. A positive drop means the bundle is worse; the interval says how far the drop could be chance.",
        content: accuracy::content,
    },
    Section {
        id: "size",
        short: "Size",
        heading: "Where the bytes are",
        lead: "Constants of each layer: before, as the source model stores them, above; in the bundle below.",
        content: sizes::content,
    },
    Section {
        id: "error",
        short: "Error by layer",
        heading: "Where precision is lost",
        lead: "Signal to quantization noise of every tensor that both models compute, in the order of execution. Longer is better; 6 dB are one bit.",
        content: errors::content,
    },
    Section {
        id: "activations",
        short: "Activations",
        heading: "What the ranges cover",
        lead: "Values seen in calibration, their number on a logarithmic scale, and the range that the bundle's levels span. Shaded values are clipped to the nearest end.",
        content: activations::content,
    },
    Section {
        id: "memory",
        short: "Memory",
        heading: "Who is where in memory",
        lead: "The arena over time: steps to the right, addresses upwards, one rectangle per tensor. Where a rectangle shows through another, an output overwrites the input that it is made from, row by row.",
        content: memory::content,
    },
    Section {
        id: "time",
        short: "Time",
        heading: "How long it should take",
        lead: "Estimated, not measured: multiply-accumulates and elements times constants of each kernel family, at a clock that parts of the family commonly run at.",
        content: cost::content,
    },
    Section {
        id: "recipe",
        short: "Recipe",
        heading: "How it was quantized",
        lead: "The choices that made this bundle, and what else was tried.",
        content: recipe::content,
    },
    Section {
        id: "lineage",
        short: "Lineage",
        heading: "Where it comes from",
        lead: "Enough to make the same bytes again.",
        content: lineage::content,
    },
];

/// See [`Report::html`].
pub(super) fn page(r: &Report<'_>) -> String {
    let (mut links, mut main) = (String::new(), String::new());
    for s in SECTIONS {
        let part = section(s.id, s.heading, s.lead, &(s.content)(r));
        if !part.is_empty() {
            links += &format!("<a href=\"#{}\">{}</a>", s.id, escape(s.short));
            main += &part;
        }
    }
    let body = format!(
        "{}<nav aria-label=\"sections\"><div>{links}</div></nav>\n<main>\n{main}</main>\n\
         <footer>Made by samara {}. Nothing on this page is loaded from elsewhere.</footer>\n",
        summary::header(r),
        env!("CARGO_PKG_VERSION")
    );
    frame(&format!("{} {}", r.facts.name, r.facts.version), &body)
}

/// A list of colours and what they mean.
fn legend(entries: &[(&str, &str)]) -> String {
    let entry = |(class, text): &(&str, &str)| format!("<li><i class=\"{class}\"></i>{}</li>", escape(text));
    format!("<ul class=\"legend\">{}</ul>\n", entries.iter().map(entry).collect::<String>())
}
