//! The arena over time: steps to the right, addresses upwards, one rectangle per tensor.

use super::percent;
use crate::report::memory::{Life, Memory};
use crate::report::names::Names;
use crate::report::text::{bytes, escape, thousands};

const HEIGHT: f64 = 340.0;
/// Room above the arena's top for its label.
const TOP: f64 = 22.0;
/// Room below for step numbers.
const BOTTOM: f64 = 20.0;
/// About the width that it has on a desk, in pixels: names that would not fit are left to the tips.
const WIDTH: f64 = 960.0;
/// Narrowest column that is still seen.
const COLUMN: usize = 18;

/// The picture and its scale of addresses.
pub(in crate::report) fn picture(m: &Memory, tensors: &Names, nodes: &Names) -> String {
    let columns = m.times.len();
    let arena = m.arena.max(1) as f64;
    let y = |address: f64| TOP + HEIGHT * (1.0 - address / arena);
    let full = TOP + HEIGHT + BOTTOM;
    let x = |time: usize| percent(time as f64, columns as f64);
    let mut scale = format!(r#"<svg class="scale" width="64" height="{full}" aria-hidden="true">"#);
    let mut plot = format!(
        r#"<svg class="plot" width="100%" height="{full}" role="img" style="min-width:{}px">"#,
        columns * COLUMN
    );
    plot += "<title>places of tensors in the arena, step by step</title>";
    for address in ticks(m.arena) {
        let y = y(address as f64);
        scale +=
            &format!(r#"<text x="58" y="{:.1}" text-anchor="end">{}</text>"#, y + 3.5, bytes(address as f64));
        plot += &format!(r#"<line class="grid" x1="0" x2="100%" y1="{y:.1}" y2="{y:.1}"/>"#);
    }
    let (left, one) = (x(m.peak), percent(1.0, columns as f64));
    plot += &format!(r#"<rect class="peak" x="{left}" width="{one}" y="{TOP}" height="{HEIGHT}"/>"#);
    for life in &m.lives {
        plot += &tensor(life, m, &y, tensors, nodes);
    }
    let top = y(arena);
    plot += &format!(r#"<line class="arena" x1="0" x2="100%" y1="{top:.1}" y2="{top:.1}"/>"#);
    let right = m.peak * 2 > columns;
    let (at, anchor) = if right { (x(m.peak + 1), "end") } else { (left, "start") };
    plot += &format!(
        r#"<text class="peak-label" x="{at}" y="{}" text-anchor="{anchor}">{} of arena, full at {}</text>"#,
        TOP - 7.0,
        escape(&bytes(m.arena as f64)),
        escape(&label(m, nodes, m.peak))
    );
    let every = columns.div_ceil(24).max(1);
    for time in (0..columns).filter(|t| t % every == 0 || *t + 1 == columns) {
        let middle = percent(time as f64 + 0.5, columns as f64);
        let text = match time {
            0 => "in".into(),
            t if t + 1 == columns => "out".into(),
            t => t.to_string(),
        };
        plot += &format!(
            r#"<text class="step" x="{middle}" y="{:.1}" text-anchor="middle"><title>{}</title>{text}</text>"#,
            full - 6.0,
            escape(&m.times[time])
        );
    }
    format!(r#"<div class="memory">{scale}</svg><div class="scroll">{plot}</svg></div></div>"#)
}

/// What a time is called: its number and its step.
pub(in crate::report) fn label(m: &Memory, nodes: &Names, time: usize) -> String {
    match time {
        0 => "the inputs".into(),
        t if t + 1 == m.times.len() => "the outputs".into(),
        t => format!("step {t} ({})", nodes.short(&m.times[t])),
    }
}

fn tensor(life: &Life, m: &Memory, y: &dyn Fn(f64) -> f64, tensors: &Names, nodes: &Names) -> String {
    let columns = m.times.len();
    let at = |time: usize| label(m, nodes, time);
    let steps = life.dies - life.born + 1;
    let (top, bottom) = (y((life.offset + life.bytes) as f64), y(life.offset as f64));
    let height = (bottom - top).max(3.0);
    let title = format!(
        "{}\n{} ({}) at {} to {}\n{}, {}",
        life.label(&life.name),
        bytes(life.bytes as f64),
        life.role.name(),
        thousands(life.offset as u64),
        thousands((life.offset + life.bytes) as u64),
        if life.born == life.dies {
            format!("only at {}", at(life.born))
        } else {
            format!("from {} to {}", at(life.born), at(life.dies))
        },
        if steps == 1 { "one step".into() } else { format!("{steps} steps") },
    );
    // A picture of its own clips the label at the tensor's edge.
    let mut out = format!(
        r#"<svg x="{}" y="{top:.1}" width="{}" height="{height:.1}"><rect class="tensor {}" width="100%" height="100%"><title>{}</title></rect>"#,
        percent(life.born as f64, columns as f64),
        percent(steps as f64, columns as f64),
        life.role.name(),
        escape(&title)
    );
    let name = tensors.short(&life.name);
    if height >= 14.0 && steps as f64 / columns as f64 * WIDTH >= 6.0 * name.chars().count() as f64 {
        out += &format!(r#"<text x="4" y="11.5">{}</text>"#, escape(&name));
    }
    out + "</svg>"
}

/// About six round addresses up to the arena's size.
fn ticks(arena: usize) -> Vec<usize> {
    let mut step = 16;
    while arena / step > 6 {
        step *= 2;
    }
    (0..=arena / step).map(|i| i * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_few_round_ticks() {
        assert_eq!(ticks(4352), [0, 1024, 2048, 3072, 4096]);
        assert_eq!(ticks(16), [0, 16]);
        for arena in [1, 100, 768, 37_248, 1 << 30] {
            assert!((1..=8).contains(&ticks(arena).len()), "{arena}");
        }
    }
}
