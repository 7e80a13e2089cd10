//! Choices and trials.

use super::choices;
use crate::quantize::recover::Outcome;
use crate::report::html::{Cell, table};
use crate::report::svg::frontier;
use crate::report::text::{bytes, decibels, percent, points, thousands, time};
use crate::report::{Report, Trial};

/// The recipe, the frontier, the trials.
pub(super) fn content(r: &Report<'_>) -> String {
    let mut out = r.inputs.recipe.map_or(String::new(), choices::html);
    out += &recovered(r);
    let trials = &r.inputs.trials;
    if trials.is_empty() {
        return out;
    }
    out += "<h3>Trials</h3>\n";
    out += &frontier::picture(trials).unwrap_or_default();
    // Only columns that some trial fills.
    let has = |of: fn(&Trial) -> bool| trials.iter().any(of);
    let column = |of: fn(&Trial) -> bool, heading| has(of).then_some((heading, true));
    let optional = [
        column(|t| t.bytes.is_some(), "plan and weights"),
        column(|t| t.arena.is_some(), "arena"),
        column(|t| t.milliseconds.is_some(), "time (estimate)"),
        column(|t| t.sqnr_db.is_some(), "SQNR"),
        column(|t| t.agreement.is_some(), "agreement"),
        column(|t| t.drop.is_some(), "points lost"),
    ];
    let row = |t: &Trial| {
        let number =
            |x: Option<f64>, write: fn(f64) -> String| Cell::Number(x, x.map_or(String::new(), write));
        let cells = [
            number(t.bytes.map(|b| b as f64), bytes),
            number(t.arena.map(|b| b as f64), bytes),
            number(t.milliseconds, time),
            number(t.sqnr_db, decibels),
            number(t.agreement, percent),
            number(t.drop, points),
        ];
        let name = if t.chosen { format!("✓ {}", t.name) } else { t.name.clone() };
        let filled = cells.into_iter().zip(&optional).filter(|c| c.1.is_some()).map(|c| c.0);
        let mut cells = vec![Cell::Text(name)];
        cells.extend(filled);
        cells
    };
    let mut columns = vec![("trial", false)];
    columns.extend(optional.iter().flatten());
    out + &table("sortable", &columns, &trials.iter().map(row).collect::<Vec<_>>(), None)
}

/// What recovery did to each layer.
fn recovered(r: &Report<'_>) -> String {
    if r.inputs.recovered.is_empty() {
        return String::new();
    }
    let row = |o: &Outcome| {
        let number = |n: usize| Cell::Number(Some(n as f64), thousands(n as u64));
        vec![
            Cell::Name(o.node.clone(), r.names.1.short(&o.node)),
            Cell::Number(Some(o.nearest_db), decibels(o.nearest_db)),
            Cell::Number(Some(o.kept_db), decibels(o.kept_db)),
            number(o.moved),
            number(o.channels),
        ]
    };
    let columns = [
        ("layer", false),
        ("weights to nearest", true),
        ("as kept", true),
        ("channels changed", true),
        ("of", true),
    ];
    let rows: Vec<Vec<Cell>> = r.inputs.recovered.iter().map(row).collect();
    format!(
        "<details><summary>What recovery did, layer by layer</summary>\n{}</details>\n",
        table("sortable", &columns, &rows, None)
    )
}
