//! The arena over time.

use super::legend;
use crate::report::Report;
use crate::report::html::{Cell, table};
use crate::report::memory::{Life, Role};
use crate::report::svg::memory::{label, picture};
use crate::report::text::{bytes, escape, thousands};

/// The picture, then its rectangles as a table.
pub(super) fn content(r: &Report<'_>) -> String {
    let m = &r.memory;
    let roles = [Role::Input, Role::Activation, Role::Output, Role::Scratch];
    let used = roles.into_iter().filter(|&role| m.lives.iter().any(|l| l.role == role));
    let entries: Vec<(&str, &str)> = used.map(|role| (role.name(), role.name())).collect();
    let mut out = legend(&entries) + &picture(m, &r.names.0, &r.names.1);
    let sum: usize = m.lives.iter().map(|l| l.bytes).sum();
    let most = m.used.iter().copied().max().unwrap_or(0);
    let what =
        if m.lives.iter().any(|l| l.rows.is_some()) { "tensors and strips of them" } else { "tensors" };
    let mut text = format!(
        "{} {what} of {} in all share {} of arena. The fullest moment needs {}; the arena is first full at {}.",
        m.lives.len(),
        bytes(sum as f64),
        bytes(m.arena as f64),
        bytes(most as f64),
        label(m, &r.names.1, m.peak)
    );
    if let Some(p) = &r.inputs.plan.patched {
        text += &format!(
            " Computed in strips: without, the arena would have {}; {:+.2} % multiply-accumulates, {} steps instead of {}.",
            bytes(p.arena[0] as f64),
            p.extra(),
            p.steps[1],
            p.steps[0]
        );
    }
    out += &format!("<p class=\"note\">{}</p>\n", escape(&text));
    let row = |l: &Life| {
        let number = |n: usize| Cell::Number(Some(n as f64), thousands(n as u64));
        vec![
            Cell::Name(l.label(&l.name), l.label(&r.names.0.short(&l.name))),
            Cell::Text(l.role.name().into()),
            number(l.offset),
            number(l.bytes),
            number(l.born),
            number(l.dies),
        ]
    };
    let columns = [
        ("tensor", false),
        ("role", false),
        ("offset", true),
        ("bytes", true),
        ("first step", true),
        ("last step", true),
    ];
    let rows: Vec<Vec<Cell>> = m.lives.iter().map(row).collect();
    out + &format!(
        "<details><summary>As a table</summary>\n{}</details>\n",
        table("sortable", &columns, &rows, None)
    )
}
