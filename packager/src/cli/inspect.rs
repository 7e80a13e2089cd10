//! `samara inspect BUNDLE`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use samara_runtime::bundle::section::Kind;
use samara_runtime::bundle::verify::{Slot, digest};
use samara_runtime::bundle::{Bundle, Family, Tag};
use samara_runtime::{Session, ops};
use serde_json::{Value, json};

use super::output::{Output, hex, size};
use crate::error::{About, Result};
use crate::{files, lower};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The bundle; its hashes are checked, its signatures only listed.
    bundle: PathBuf,
}

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    let bytes = files::read_aligned(&args.bundle)?;
    let report = describe(&bytes).about(args.bundle.display())?;
    output.result(&report, || text(&report));
    Ok(())
}

/// The report that `inspect --json` prints.
pub(super) fn describe(bytes: &[u8]) -> Result<Value> {
    let bundle = Bundle::check(bytes)?;
    let session = Session::load(&bundle, ops::ALL)?;
    let plan = &bundle.plan;
    let mut counts: BTreeMap<u16, (usize, u64)> = BTreeMap::new();
    for i in 0..session.steps() {
        let count = counts.entry(plan.step(i)?.op).or_default();
        count.0 += 1;
        count.1 += session.step_macs(i)?;
    }
    let mut operators = Vec::new();
    for (code, (count, macs)) in counts {
        operators.push(json!({ "name": lower::definition(code)?.name, "count": count, "macs": macs }));
    }
    let tensors = |tag: Tag, ids: Vec<u16>| -> Result<Vec<Value>> {
        let mut names = bundle.manifest.strings(tag);
        ids.into_iter()
            .map(|id| {
                let d = plan.tensor(id)?.desc;
                Ok(json!({
                    "name": names.next().unwrap_or_default(),
                    "shape": d.shape.dims(),
                    "dtype": d.dtype.name(),
                    "scale": d.scale,
                    "zero_point": d.zero_point,
                }))
            })
            .collect()
    };
    let inputs =
        (0..plan.header.inputs as usize).map(|i| plan.input(i)).collect::<samara_runtime::Result<_>>()?;
    let outputs =
        (0..plan.header.outputs as usize).map(|i| plan.output(i)).collect::<samara_runtime::Result<_>>()?;
    let name_of = |kind: u16| {
        Kind::ALL
            .iter()
            .find(|k| **k as u16 == kind)
            .map_or_else(|| format!("kind {kind}"), |k| k.name().into())
    };
    let sections: Vec<Value> =
        bundle.sections.iter().map(|s| json!({ "kind": name_of(s.kind), "bytes": s.len })).collect();
    let plans = plans(bytes, &bundle)?;
    let mut signatures = Vec::new();
    for i in 0..bundle.prefix.slots as usize {
        if let Some(slot) = Slot::parse(bytes, i)? {
            signatures.push(json!({ "key_id": hex(&slot.key_id) }));
        }
    }
    let class: String = bundle.prefix.class.iter().take_while(|&&b| b != 0).map(|&b| char::from(b)).collect();
    Ok(json!({
        "name": bundle.manifest.string(Tag::Name).unwrap_or_default(),
        "version": bundle.prefix.version.to_string(),
        "security_counter": bundle.prefix.security_counter,
        "digest": hex(&digest(&bundle.prefix)),
        "class": class,
        "contract": bundle.manifest.contract().map(|c| hex(&c)),
        "numeric": plan.header.numeric.name(),
        "target": bundle.manifest.string(Tag::Target).unwrap_or("host"),
        "labels": bundle.manifest.strings(Tag::Label).collect::<Vec<_>>(),
        "bytes": bytes.len(),
        "macs": session.macs(),
        "steps": session.steps(),
        "operators": operators,
        // The stack depends on the target and its operator list; only measured profiles know it.
        "memory": { "arena_bytes": session.arena_bytes(), "stack_bytes": Value::Null },
        "sections": sections,
        "plans": plans,
        "inputs": tensors(Tag::Input, inputs)?,
        "outputs": tensors(Tag::Output, outputs)?,
        "golden_vectors": bundle.golden.map_or(0, |g| g.vectors()),
        "signatures": signatures,
    }))
}

/// Every plan: whose it is, and the arena it needs.
fn plans(bytes: &[u8], bundle: &Bundle<'_>) -> Result<Vec<Value>> {
    let is_there = |family: &&Family| {
        bundle.sections.iter().any(|s| s.kind == Kind::Plan as u16 && s.family == **family as u16)
    };
    let plan = |family: &Family| {
        let bundle = Bundle::parse_for(bytes, *family)?;
        let session = Session::load(&bundle, ops::ALL)?;
        Ok(
            json!({ "family": family.name(), "arena_bytes": session.arena_bytes(), "weight_bytes": bundle.weights.len(),
                   "steps": session.steps() }),
        )
    };
    Family::ALL.iter().filter(is_there).map(plan).collect()
}

fn text(r: &Value) -> String {
    let list = |key: &str| r[key].as_array().cloned().unwrap_or_default();
    let string = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let bytes = |v: &Value| size(v.as_u64().unwrap_or(0) as usize);
    let mut out = format!("{} {}  {}\n", string(&r["name"]), string(&r["version"]), bytes(&r["bytes"]));
    out += &format!("  digest   {}\n", string(&r["digest"]));
    out += &format!("  numeric  {}, target {}\n", string(&r["numeric"]), string(&r["target"]));
    out += &format!(
        "  arena    {}, {} MACs in {} steps\n",
        bytes(&r["memory"]["arena_bytes"]),
        r["macs"],
        r["steps"]
    );
    let plans = list("plans");
    for p in plans.iter().filter(|_| plans.len() > 1) {
        let (arena, weights) = (bytes(&p["arena_bytes"]), bytes(&p["weight_bytes"]));
        out += &format!("  plan     {:10} arena {arena}, weights {weights}\n", string(&p["family"]));
    }
    for (title, key) in [("input", "inputs"), ("output", "outputs")] {
        for t in list(key) {
            let quant = if t["scale"] == 0.0 {
                String::new()
            } else {
                format!(", scale {}, zero point {}", t["scale"], t["zero_point"])
            };
            out +=
                &format!("  {title:8} {} {}{}{quant}\n", string(&t["name"]), string(&t["dtype"]), t["shape"]);
        }
    }
    for o in list("operators") {
        out += &format!("  {:>4} x {:18} {:>12} MACs\n", o["count"], string(&o["name"]), o["macs"]);
    }
    for s in list("sections") {
        out += &format!("  section  {:9} {}\n", string(&s["kind"]), bytes(&s["bytes"]));
    }
    let signatures = list("signatures");
    if signatures.is_empty() {
        out += "  unsigned\n";
    }
    for s in signatures {
        out += &format!("  signed by {}\n", string(&s["key_id"]));
    }
    out
}
