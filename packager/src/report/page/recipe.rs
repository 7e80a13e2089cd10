//! Choices and trials.

use super::choices;
use crate::report::html::{Cell, table};
use crate::report::svg::frontier;
use crate::report::text::{bytes, decibels, real, time};
use crate::report::{Report, Trial};

/// The recipe, the frontier, the trials.
pub(super) fn content(r: &Report<'_>) -> String {
    let mut out = r.inputs.recipe.map_or(String::new(), choices::html);
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
        column(|t| t.score.is_some(), "score"),
    ];
    let row = |t: &Trial| {
        let number =
            |x: Option<f64>, write: fn(f64) -> String| Cell::Number(x, x.map_or(String::new(), write));
        let cells = [
            number(t.bytes.map(|b| b as f64), bytes),
            number(t.arena.map(|b| b as f64), bytes),
            number(t.milliseconds, time),
            number(t.sqnr_db, decibels),
            number(t.score, real),
        ];
        let name = if t.chosen { format!("✓ {}", t.name) } else { t.name.clone() };
        let filled = cells.into_iter().zip(&optional).filter(|c| c.1.is_some()).map(|c| c.0);
        let mut cells = vec![Cell::Text(name)];
        cells.extend(filled);
        if has(|t| !t.note.is_empty()) {
            cells.push(Cell::Text(t.note.clone()));
        }
        cells
    };
    let mut columns = vec![("trial", false)];
    columns.extend(optional.iter().flatten());
    if has(|t| !t.note.is_empty()) {
        columns.push(("note", false));
    }
    out + &table("sortable", &columns, &trials.iter().map(row).collect::<Vec<_>>(), None)
}
