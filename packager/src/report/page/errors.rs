//! Noise of each layer.

use super::legend;
use crate::report::html::{Cell, table};
use crate::report::svg::bars::{Part, stacked};
use crate::report::text::{decibels, escape, percent, real};
use crate::report::{LayerError, Report};

/// The length of a full bar; also that of layers without any noise.
const FULL_DB: f64 = 60.0;
/// Below this a layer is marked.
const LOW_DB: f64 = 10.0;
/// Layers with bars: what is left of the signal, and what the layer itself would leave.
pub(super) fn content(r: &Report<'_>) -> String {
    let layers = &r.inputs.layers;
    if layers.is_empty() {
        return String::new();
    }
    let own = layers.iter().any(|l| l.own_db.is_some());
    let row = |l: &LayerError| {
        let mut cells = vec![Cell::Name(l.name.clone(), r.names.0.short(&l.name)), Cell::Picture(bar(l))];
        cells.push(Cell::Number(Some(l.sqnr_db), decibels(l.sqnr_db)));
        if own {
            cells.push(Cell::Number(l.own_db, l.own_db.map_or(String::new(), decibels)));
        }
        cells.push(Cell::Number(Some(l.cosine), format!("{:.5}", l.cosine)));
        cells.push(Cell::Number(Some(l.max_error), real(l.max_error)));
        cells.push(Cell::Number(Some(l.saturated), percent(l.saturated)));
        cells
    };
    let mut columns = vec![("tensor", false), ("signal to noise", false), ("SQNR", true)];
    if own {
        columns.push(("own", true));
    }
    columns.extend([("cosine", true), ("max error", true), ("saturated", true)]);
    let mut out = if own {
        legend(&[
            ("own", "signal to noise"),
            ("inherited", "what the layer alone would keep: the rest is inherited"),
        ])
    } else {
        String::new()
    };
    out += &table("sortable", &columns, &layers.iter().map(row).collect::<Vec<_>>(), None);
    let first = layers.iter().find(|l| l.sqnr_db < LOW_DB);
    let verdict = match first {
        Some(l) => format!("“{}” is the first below {LOW_DB} dB.", r.names.0.short(&l.name)),
        None => format!("No tensor is below {LOW_DB} dB."),
    };
    out += &format!(
        "<p class=\"note\">{} Saturated: share of elements at an end of their type's range. A fused ReLU puts its zeros there.</p>\n",
        escape(&verdict)
    );
    out
}

fn bar(l: &LayerError) -> String {
    let clip = |db: f64| db.clamp(0.0, FULL_DB);
    let (all, own) = (clip(l.sqnr_db), l.own_db.map_or(0.0, clip));
    let mut title = format!("{}\n{}", l.name, decibels(l.sqnr_db));
    if let Some(db) = l.own_db {
        title += &format!("; this layer alone {}", decibels(db));
    }
    let class = if l.sqnr_db < LOW_DB { "low" } else { "own" };
    let parts = [
        Part { class, value: all, title: title.clone() },
        Part { class: "inherited", value: (own - all).max(0.0), title },
    ];
    stacked(&parts, FULL_DB)
}
