//! The report for machines; keys that are there stay.

use serde_json::{Value as Json, json};

use super::memory::Life;
use super::sizes::{LayerSize, Parts};
use crate::quantize::recover::Outcome;

use super::{Budget, Histogram, LayerError, Report, Trial, Unit};

/// See [`Report::json`].
pub(super) fn json(r: &Report<'_>) -> Json {
    let f = &r.facts;
    let section = |(kind, bytes): &(String, u64)| json!({ "kind": kind, "bytes": bytes });
    json!({
        "name": f.name,
        "version": f.version,
        "digest": f.digest,
        "target": f.target,
        "numeric": f.numeric,
        "tool": concat!("samara ", env!("CARGO_PKG_VERSION")),
        "bytes": { "model": r.inputs.model.as_ref().map(|m| m.1), "bundle": f.bytes, "plan_and_weights": f.plan_and_weights() },
        "sections": f.sections.iter().map(section).collect::<Vec<_>>(),
        "macs": r.inputs.plan.macs(),
        "budgets": r.inputs.budgets.iter().map(budget).collect::<Vec<_>>(),
        "accuracy": r.inputs.evaluation.map(|e| e.json()),
        "sizes": {
            "before": parts(&r.sizes.before),
            "after": parts(&r.sizes.after),
            "padding": r.sizes.padding,
            "layers": r.sizes.layers.iter().map(layer_size).collect::<Vec<_>>(),
        },
        "errors": r.inputs.layers.iter().map(layer_error).collect::<Vec<_>>(),
        "activations": r.inputs.histograms.iter().map(|h| histogram(r, h)).collect::<Vec<_>>(),
        "memory": {
            "arena_bytes": r.memory.arena,
            "peak_step": r.memory.peak,
            "times": r.memory.times,
            "heights": r.memory.heights,
            "used": r.memory.used,
            "tensors": r.memory.lives.iter().map(life).collect::<Vec<_>>(),
        },
        "patch": r.inputs.plan.patched.as_ref().map(|p| p.json()),
        "estimates": r.costs.iter().map(|e| json!({
            "target": e.target,
            "megahertz": e.megahertz,
            "cycles": e.cycles,
            "milliseconds": e.milliseconds(),
        })).collect::<Vec<_>>(),
        "recipe": r.inputs.recipe.map(|recipe| recipe.json()),
        "recovered": r.inputs.recovered.iter().map(recovered).collect::<Vec<_>>(),
        "trials": r.inputs.trials.iter().map(trial).collect::<Vec<_>>(),
        "lineage": f.card,
    })
}

fn parts(p: &Parts) -> Json {
    json!({ "weights": p.weights, "bias": p.bias, "tables": p.tables, "total": p.total() })
}

fn layer_size(l: &LayerSize) -> Json {
    json!({
        "name": l.name,
        "operator": l.operator,
        "format": l.format,
        "before": parts(&l.before),
        "after": parts(&l.after),
        "macs": l.macs,
    })
}

/// JSON has no infinity: what is exact has null decibels.
fn finite(x: f64) -> Option<f64> {
    Some(x).filter(|x| x.is_finite())
}

fn layer_error(l: &LayerError) -> Json {
    json!({
        "name": l.name,
        "sqnr_db": finite(l.sqnr_db),
        "own_db": l.own_db.and_then(finite),
        "cosine": l.cosine,
        "max_error": l.max_error,
        "saturated": l.saturated,
    })
}

fn histogram(r: &Report<'_>, h: &Histogram) -> Json {
    let chosen = h.chosen(r.inputs.packed);
    json!({
        "tensor": h.tensor,
        // [from, to, count]
        "bins": h.bins.iter().map(|b| json!([b.lo, b.hi, b.count])).collect::<Vec<_>>(),
        "range": chosen.map(|(lo, hi)| json!([lo, hi])),
        "outside": chosen.map(|c| h.outside(c)),
    })
}

fn life(l: &Life) -> Json {
    json!({
        "name": l.name,
        // First and last; null for all.
        "rows": l.rows.as_ref().map(|rows| json!([rows.start, rows.end.max(1) - 1])),
        "role": l.role.name(),
        "offset": l.offset,
        "bytes": l.bytes,
        "first_step": l.born,
        "last_step": l.dies,
    })
}

fn budget(b: &Budget) -> Json {
    let unit = match b.unit {
        Unit::Bytes => "bytes",
        Unit::Milliseconds => "ms",
        Unit::Points => "points",
    };
    json!({ "name": b.name, "unit": unit, "limit": b.limit, "actual": b.actual, "met": b.met() })
}

fn recovered(o: &Outcome) -> Json {
    json!({
        "layer": o.node,
        "nearest_db": finite(o.nearest_db),
        "kept_db": finite(o.kept_db),
        "moved": o.moved,
        "channels": o.channels,
    })
}

fn trial(t: &Trial) -> Json {
    json!({
        "name": t.name,
        "bytes": t.bytes,
        "arena": t.arena,
        "milliseconds": t.milliseconds,
        "sqnr_db": t.sqnr_db.and_then(finite),
        "agreement": t.agreement,
        "drop": t.drop,
        "chosen": t.chosen,
    })
}
