//! Bytes of each layer before and after.

use super::legend;
use crate::report::Report;
use crate::report::html::{Cell, table};
use crate::report::sizes::{LayerSize, Parts};
use crate::report::svg::bars::{Part, stacked};
use crate::report::text::{bytes, count, thousands};

/// Layers with bars, then the bundle's sections.
pub(super) fn content(r: &Report<'_>) -> String {
    let s = &r.sizes;
    let widest = s.layers.iter().map(|l| l.before.total().max(l.after.total())).max().unwrap_or(0);
    let size = |n: usize| Cell::Number(Some(n as f64), bytes(n as f64));
    let row = |l: &LayerSize| {
        let operator =
            if l.operator.is_empty() { "part of another".into() } else { l.operator.replace('_', " ") };
        vec![
            Cell::Name(l.name.clone(), r.names.1.short(&l.name)),
            Cell::Text(operator),
            Cell::Text(l.format.into()),
            Cell::Picture(bars(l, widest)),
            size(l.before.total()),
            size(l.after.total()),
            Cell::Number(Some(l.macs as f64), count(l.macs)),
        ]
    };
    let columns = [
        ("layer", false),
        ("operator", false),
        ("weights", false),
        ("before and after", false),
        ("before", true),
        ("after", true),
        ("MACs", true),
    ];
    let foot = vec![
        Cell::Text("all layers".into()),
        Cell::Text(String::new()),
        Cell::Text(String::new()),
        Cell::Text(String::new()),
        size(s.before.total()),
        size(s.after.total()),
        Cell::Number(Some(r.inputs.plan.macs() as f64), count(r.inputs.plan.macs())),
    ];
    let colours = [
        ("before", "before"),
        ("weights", "weights"),
        ("bias", "biases"),
        ("tables", "scales, multipliers and tables"),
    ];
    let mut out = legend(&colours);
    out += &table("sortable sizes", &columns, &s.layers.iter().map(row).collect::<Vec<_>>(), Some(foot));
    let sections: Vec<String> =
        r.facts.sections.iter().map(|(kind, size)| format!("{kind} {}", bytes(*size as f64))).collect();
    out += &format!(
        "<p class=\"note\">The bundle has {} bytes: {}. Its weights hold {} bytes of alignment.</p>\n",
        thousands(r.facts.bytes as u64),
        sections.join(", "),
        thousands(s.padding as u64)
    );
    out
}

fn bars(l: &LayerSize, widest: usize) -> String {
    let part = |class, value: usize, what: &str| Part {
        class,
        value: value as f64,
        title: format!("{}\n{what}: {}", l.name, bytes(value as f64)),
    };
    let Parts { weights, bias, tables } = l.after;
    let before = [
        part("before", l.before.weights, "weights before"),
        part("before", l.before.bias + l.before.tables, "biases before"),
    ];
    let after = [
        part("weights", weights, "weights"),
        part("bias", bias, "biases"),
        part("tables", tables, "scales and tables"),
    ];
    stacked(&before, widest as f64) + &stacked(&after, widest as f64)
}
