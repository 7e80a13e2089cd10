//! The head of the page: what it is, and its few most important numbers.

use crate::report::svg::bars::{Part, stacked};
use crate::report::text::{bytes, count, escape, real, score, time};
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
    let needed = r.facts.plan_and_weights() as f64;
    let constants = (r.sizes.before.total() as f64, r.sizes.after.total() as f64);
    let mut out = match &r.inputs.model {
        Some((name, size)) => tile(
            "Size of the bundle",
            &format!("{} <small>was {}</small>", bytes(r.facts.bytes as f64), bytes(*size as f64)),
            &format!("{name}; plan and weights alone {}", bytes(needed)),
        ),
        None => tile(
            "Size of the bundle",
            &bytes(r.facts.bytes as f64),
            &format!("plan and weights alone {}", bytes(needed)),
        ),
    };
    if constants.0 > 0.0 {
        out += &tile(
            "Constants",
            &format!("{} <small>was {}</small>", bytes(constants.1), bytes(constants.0)),
            &change(constants.0, constants.1),
        );
    }
    if let Some(evaluation) = r.inputs.evaluation
        && let Some(o) = evaluation.outcomes.first()
    {
        let before =
            o.source.map_or(String::new(), |s| format!(" <small>was {}</small>", escape(&score(s, o.unit))));
        let detail = match o.drop() {
            Some(drop) if drop == 0.0 => format!("no drop on {} samples", evaluation.samples),
            Some(drop) if drop < 0.0 => {
                format!("{} points better on {} samples", real(-drop), evaluation.samples)
            }
            Some(drop) => format!("drop of {} points on {} samples", real(drop), evaluation.samples),
            None => format!("on {} samples", evaluation.samples),
        };
        out += &tile(&o.name, &format!("{}{before}", escape(&score(o.bundle, o.unit))), &detail);
    }
    out += &tile("Arena", &bytes(r.memory.arena as f64), "all the RAM that a run needs, beside its stack");
    let estimate = r.costs.iter().find(|e| e.target == r.inputs.target.name);
    let detail = match estimate.and_then(|e| e.milliseconds()) {
        Some(ms) => format!("about {} on {} (estimate)", time(ms), r.inputs.target.name),
        None => "multiply-accumulates".into(),
    };
    out + &tile("Work of one run", &format!("{} <small>MACs</small>", count(r.inputs.plan.macs())), &detail)
}

/// `value` is HTML, the others are text.
fn tile(what: &str, value: &str, detail: &str) -> String {
    format!(
        "<div class=\"tile\"><div class=\"what\">{}</div><div class=\"value\">{value}</div><div class=\"detail\">{}</div></div>\n",
        escape(what),
        escape(detail)
    )
}

fn change(before: f64, after: f64) -> String {
    let share = 100.0 * (after - before).abs() / before;
    let word = if after <= before { "less" } else { "more" };
    format!("{share:.0} % {word}; weights, biases and tables")
}

fn budgets(budgets: &[Budget]) -> String {
    if budgets.is_empty() {
        return String::new();
    }
    let number = |b: &Budget, x: f64| match b.unit {
        Unit::Bytes => bytes(x),
        Unit::Milliseconds => time(x),
        Unit::Points => format!("{} points", real(x)),
    };
    let entry = |b: &Budget| {
        let (class, verdict) = if b.met() { ("", "✓ inside") } else { (" class=\"missed\"", "✗ past") };
        let whole = b.limit.max(b.actual).max(f64::MIN_POSITIVE);
        let title = format!("{} of {}", number(b, b.actual), number(b, b.limit));
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
