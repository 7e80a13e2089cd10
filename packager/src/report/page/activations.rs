//! Histograms with the ranges chosen for them.

use crate::report::html::{Cell, table};
use crate::report::svg::histogram::picture;
use crate::report::text::{escape, percent, real, thousands};
use crate::report::{Histogram, Report};

/// Pictures shown at once; the rest is folded away.
const SHOWN: usize = 12;

/// Small pictures, then the same as a table.
pub(super) fn content(r: &Report<'_>) -> String {
    let histograms: Vec<&Histogram> = r.inputs.histograms.iter().filter(|h| h.count() > 0).collect();
    if histograms.is_empty() {
        return String::new();
    }
    let figures: Vec<String> = histograms
        .iter()
        .map(|h| figure(h, &r.names.0.short(&h.tensor), h.chosen(r.inputs.packed)))
        .collect();
    let grid = |figures: &[String]| format!("<div class=\"histograms\">\n{}</div>\n", figures.concat());
    let (first, rest) = figures.split_at(figures.len().min(SHOWN));
    let mut out = grid(first);
    if !rest.is_empty() {
        out += &format!("<details><summary>{} more</summary>\n{}</details>\n", rest.len(), grid(rest));
    }
    let row = |h: &&Histogram| {
        let (seen, chosen) = (h.seen(), h.chosen(r.inputs.packed));
        let number = |x: Option<f64>| Cell::Number(x, x.map_or(String::new(), real));
        let outside = chosen.map(|c| h.outside(c));
        vec![
            Cell::Name(h.tensor.clone(), r.names.0.short(&h.tensor)),
            number(seen.map(|s| s.0)),
            number(seen.map(|s| s.1)),
            number(chosen.map(|c| c.0.into())),
            number(chosen.map(|c| c.1.into())),
            Cell::Number(outside, outside.map_or(String::new(), clipped)),
            Cell::Number(Some(h.count() as f64), thousands(h.count())),
        ]
    };
    let columns = [
        ("tensor", false),
        ("seen from", true),
        ("to", true),
        ("range from", true),
        ("to", true),
        ("clipped", true),
        ("values", true),
    ];
    let rows: Vec<Vec<Cell>> = histograms.iter().map(row).collect();
    out + &format!(
        "<details><summary>As a table</summary>\n{}</details>\n",
        table("sortable", &columns, &rows, None)
    )
}

fn figure(h: &Histogram, name: &str, chosen: Option<(f32, f32)>) -> String {
    // What was seen and what was chosen, whichever reaches further, and a little air.
    let seen = h.seen().unwrap_or((0.0, 0.0));
    let wide = chosen.map_or(seen, |c| (seen.0.min(c.0.into()), seen.1.max(c.1.into())));
    let air = (wide.1 - wide.0) * 0.02;
    let (lo, hi) = (wide.0 - air, wide.1 + air);
    let range = match chosen {
        Some(c) => format!("{} to {}, {} clipped", real(c.0.into()), real(c.1.into()), clipped(h.outside(c))),
        None => "kept as floats".into(),
    };
    format!(
        "<figure><figcaption title=\"{}\">{}</figcaption>{}<div class=\"range\">{}</div></figure>\n",
        escape(&h.tensor),
        escape(name),
        picture(h, (lo, hi), chosen),
        escape(&range)
    )
}

/// Shares too small for a decimal are still told from none.
fn clipped(share: f64) -> String {
    match share {
        0.0 => "none".into(),
        s if s < 0.0005 => format!("{:.0} in a million", (1e6 * s).max(1.0)),
        s => percent(s),
    }
}
