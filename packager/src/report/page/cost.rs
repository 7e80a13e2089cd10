//! Estimated time on every target.

use crate::report::Report;
use crate::report::cost::{Estimate, Family, instructions, speed};
use crate::report::html::{Cell, table};
use crate::report::svg::bars::{Part, stacked};
use crate::report::text::{count, escape, time};

/// A table of targets, and which kernels the work goes to.
pub(super) fn content(r: &Report<'_>) -> String {
    let longest = r.costs.iter().filter_map(Estimate::milliseconds).fold(0.0, f64::max);
    // Targets are decades apart.
    let length = |ms: f64| libm::log1p(1000.0 * ms);
    let row = |e: &Estimate| {
        let ms = e.milliseconds();
        let title = format!("{}: about {}", e.target, ms.map_or("refused".into(), time));
        let class = if e.target == r.inputs.target.name { "weights" } else { "before" };
        let part = Part { class, value: ms.map_or(0.0, length), title };
        vec![
            Cell::Text(e.target.into()),
            Cell::Number(Some(e.megahertz), format!("{} MHz", e.megahertz)),
            Cell::Picture(stacked(&[part], length(longest))),
            Cell::Number(ms, ms.map_or(String::new(), time)),
            Cell::Number(e.cycles, e.cycles.map_or(String::new(), |c| count(c as u64))),
        ]
    };
    let columns = [
        ("target", false),
        ("assumed clock", true),
        ("logarithmic", false),
        ("one run", true),
        ("cycles", true),
    ];
    let mut out = table("sortable", &columns, &r.costs.iter().map(row).collect::<Vec<_>>(), None);
    let plan = r.inputs.plan;
    let kernels = speed(r.inputs.target).kernels;
    let all: f64 = plan.steps.iter().map(|s| instructions(plan, s, kernels)).sum();
    let shares: Vec<String> = Family::ALL
        .iter()
        .filter_map(|f| {
            let of_family = plan.steps.iter().filter(|s| Family::of(s.op) == *f);
            let sum: f64 = of_family.map(|s| instructions(plan, s, kernels)).sum();
            (sum >= 0.005 * all).then(|| format!("{} {:.0} %", f.name(), 100.0 * sum / all))
        })
        .collect();
    let refused = if r.costs.iter().any(|e| e.cycles.is_none()) {
        " A dash: the target has no floating point and refuses the bundle."
    } else {
        ""
    };
    out += &format!(
        "<p class=\"note\">Work by kernel: {}.{refused} Measure with <code>samara bench</code> on the device; caches and flash wait states move these figures by a factor of two.</p>\n",
        escape(&shares.join(", "))
    );
    out
}
