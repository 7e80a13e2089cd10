//! What the bundle says of itself.

use samara_runtime::bundle::section::Kind;
use samara_runtime::bundle::verify::digest;
use samara_runtime::bundle::{Bundle, Tag};
use serde_json::Value as Json;

use crate::error::Result;

/// Identity, sections and lineage of a bundle.
#[derive(Clone, PartialEq, Debug)]
pub struct Facts {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The target profile.
    pub target: String,
    /// How integer steps round.
    pub numeric: &'static str,
    /// Hash of the prefix, hexadecimal: the bundle's identity, whoever signs it.
    pub digest: String,
    /// Class labels of output 0.
    pub labels: Vec<String>,
    /// The bundle's bytes.
    pub bytes: usize,
    /// Bytes of each section.
    pub sections: Vec<(String, u64)>,
    /// The card: tool, options, hashes of what it was made from; null where there is none.
    pub card: Json,
}

impl Facts {
    /// Reads a bundle, aligned as [`crate::files::AlignedBytes`] is.
    pub fn read(bytes: &[u8]) -> Result<Facts> {
        let bundle = Bundle::check(bytes)?;
        let text = |tag| bundle.manifest.string(tag).unwrap_or_default().to_owned();
        let name_of = |kind: u16| {
            let known = Kind::ALL.iter().find(|k| **k as u16 == kind);
            known.map_or_else(|| format!("kind {kind}"), |k| k.name().into())
        };
        let card = bundle.sections.get(Kind::Card).and_then(|card| serde_json::from_slice(card).ok());
        Ok(Facts {
            name: text(Tag::Name),
            version: bundle.prefix.version.to_string(),
            target: text(Tag::Target),
            numeric: bundle.plan.header.numeric.name(),
            digest: digest(&bundle.prefix).iter().map(|b| format!("{b:02x}")).collect(),
            labels: bundle.manifest.strings(Tag::Label).map(str::to_owned).collect(),
            bytes: bytes.len(),
            sections: bundle.sections.iter().map(|s| (name_of(s.kind), s.len)).collect(),
            card: card.unwrap_or(Json::Null),
        })
    }

    /// What runs need: plan and weights.
    pub fn plan_and_weights(&self) -> u64 {
        let needed = |kind: &str| [Kind::Plan.name(), Kind::Weights.name()].contains(&kind);
        self.sections.iter().filter(|s| needed(&s.0)).map(|s| s.1).sum()
    }

    /// The card's leaves as `path, value`, in the card's order.
    pub fn lineage(&self) -> Vec<(String, String)> {
        let mut out = Vec::new();
        flatten("", &self.card, &mut out);
        out
    }
}

fn flatten(path: &str, value: &Json, out: &mut Vec<(String, String)>) {
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path} · {key}") };
                flatten(&path, value, out);
            }
        }
        Json::Null => {}
        Json::String(text) => out.push((path.into(), text.clone())),
        other => out.push((path.into(), other.to_string())),
    }
}
