//! The head of the page: what it is, and its few most important numbers.

use super::accuracy;
use crate::report::svg::bars::{Part, stacked};
use crate::report::text::{bytes, count, escape, points, score, thousands, time};
use crate::report::{Budget, Report, Unit};

/// Name, tiles, budgets.
pub(super) fn header(r: &Report<'_>) -> String {
    let f = &r.facts;
    let mut chips = vec![format!("for {}", f.target)];
    let integers = f.numeric != "none";
    chips.push(if integers { format!("{} rounding", f.numeric) } else { "floats".into() });
    chips.push(format!("{} steps", r.inputs.plan.steps.len()));
    chips.push(format!("digest {}…", f.digest.get(..12).unwrap_or(&f.digest)));
    let chips: String = chips.iter().map(|c| format!("<li>{}</li>", escape(c))).collect();
    format!(
        "<header>\n<h1>{} <small>{}</small></h1>\n<ul class=\"chips\">{chips}</ul>\n<div class=\"tiles\">\n{}</div>\n{}</header>\n",
        escape(&f.name),
        escape(&f.version),
        tiles(r),
        budgets(&r.inputs.budgets)
    )
}

fn tiles(r: &Report<'_>) -> String {
    let size = r.facts.bytes as f64;
    let before = r.inputs.model.as_ref().map(|m| m.1 as f64);
    let mut out =
        tile("Bundle", &bytes(size), &before.map_or("with its card and self-test".into(), |b| was(b, size)));
    let (before, after) = (r.sizes.before.total() as f64, r.sizes.after.total() as f64);
    if before > 0.0 {
        out += &tile("Weights", &bytes(after), &was(before, after));
    }
    if let Some(evaluation) = r.inputs.evaluation
        && let Some(o) = evaluation.outcomes.first()
    {
        let detail = match o.source.zip(o.drop()) {
            Some((source, 0.0)) => format!("as before: {}", score(source, o.unit)),
            Some((source, drop)) => {
                let word = if drop < 0.0 { "better" } else { "worse" };
                format!("was {}, {} points {word}", score(source, o.unit), points(drop.abs()))
            }
            None => "against the float model".into(),
        };
        out += &tile(&accuracy::title(&o.name), &score(o.bundle, o.unit), &detail);
    }
    out += &tile("Arena", &bytes(r.memory.arena as f64), "RAM of a run, beside its stack");
    let estimate = r.costs.iter().find(|e| e.target == r.inputs.target.name).and_then(|e| e.milliseconds());
    let detail =
        estimate.map_or(String::new(), |ms| format!("about {} on {}", time(ms), r.inputs.target.name));
    out + &tile("Multiply-accumulates", &count(r.inputs.plan.macs()), &detail)
}

fn tile(what: &str, value: &str, detail: &str) -> String {
    let [what, value, detail] = [what, value, detail].map(escape);
    format!(
        "<div class=\"tile\"><div class=\"what\">{what}</div><div class=\"value\">{value}</div><div class=\"detail\">{detail}</div></div>\n"
    )
}

fn was(before: f64, after: f64) -> String {
    let sign = if after <= before { '−' } else { '+' };
    format!("was {}, {sign}{:.0} %", bytes(before), 100.0 * (after - before).abs() / before)
}

fn budgets(budgets: &[Budget]) -> String {
    if budgets.is_empty() {
        return String::new();
    }
    let entry = |b: &Budget| {
        let (class, verdict) = if b.met() { ("", "✓ inside") } else { (" class=\"missed\"", "✗ past") };
        let whole = b.limit.max(b.actual).max(f64::MIN_POSITIVE);
        let title = match b.unit {
            Unit::Bytes => format!("{} of {} B", thousands(b.actual as u64), thousands(b.limit as u64)),
            Unit::Milliseconds => format!("{} of {}", time(b.actual), time(b.limit)),
            Unit::Points => format!("{} of {} points", points(b.actual), points(b.limit)),
        };
        let bar = stacked(
            &[Part {
                class: if b.met() { "own" } else { "over" },
                value: b.actual.max(0.0),
                title: title.clone(),
            }],
            whole,
        );
        format!("<li{class}><b>{}</b> {verdict}: {}{bar}</li>\n", escape(&b.name), escape(&title))
    };
    format!("<ul class=\"budgets\">\n{}</ul>\n", budgets.iter().map(entry).collect::<String>())
}
