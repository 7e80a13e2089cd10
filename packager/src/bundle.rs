//! Writes a plan and what belongs to it as one bundle.

use samara_runtime::bundle::golden::{self, Tolerance};
use samara_runtime::bundle::manifest::{self, Tag};
use samara_runtime::bundle::prefix::{CONTENT_ALIGN, HASH_LEN, SLOT_LEN};
use samara_runtime::bundle::section::{self, Kind, SECTION_ALIGN, Section};
use samara_runtime::bundle::{Family, Prefix, Version};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::quantize::equalize;

/// log2 of the chunk size that pack writes: 4 KiB, a flash sector of most microcontrollers.
pub const CHUNK_LOG2: u8 = 12;
/// Signature slots that pack leaves free.
pub const SIGNATURE_SLOTS: u8 = 4;

/// What a bundle says of itself beside its plan.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Raised when older versions must never run again.
    pub security_counter: u32,
    /// Device class it is meant for; empty for any.
    pub class: String,
    /// `classification`, …; empty where unknown.
    pub task: String,
    /// Class labels of output 0.
    pub labels: Vec<String>,
    /// Target profiles, with commas between them.
    pub target: String,
}

/// One golden vector: bytes of each input, then of each output.
#[derive(Clone, Debug)]
pub struct Vector {
    /// In graph order, exact sizes.
    pub inputs: Vec<Vec<u8>>,
    /// In graph order, exact sizes.
    pub outputs: Vec<Vec<u8>>,
}

/// All parts of a bundle.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// Who it is.
    pub identity: &'a Identity,
    /// What it runs: one plan for any processor, or one for each of several families.
    pub plans: &'a [(Family, &'a Plan)],
    /// Its self-test.
    pub golden: &'a [Vector],
    /// Tolerance of every float output of the self-test.
    pub tolerance: Tolerance,
    /// Lineage and licence, JSON; empty for none.
    pub card: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The plan that speaks for all: inputs and outputs are the same in each.
    fn first(&self) -> Result<&'a Plan> {
        self.plans.first().map(|&(_, plan)| plan).ok_or_else(|| Error::invalid("a bundle without a plan"))
    }
}

/// A bundle that only says its name and what it runs: for benchmarks and tests.
pub fn bare(name: &str, plan: &Plan) -> Result<Vec<u8>> {
    let identity = Identity { name: name.into(), ..Identity::default() };
    let (plans, tolerance) = ([(Family::Any, plan)], Tolerance { absolute: 0.0, relative: 0.0 });
    write(&Parts { identity: &identity, plans: &plans, golden: &[], tolerance, card: &[] })
}

/// The bundle's bytes, unsigned. Equal parts give equal bytes.
pub fn write(parts: &Parts<'_>) -> Result<Vec<u8>> {
    let any = |kind, bytes| (kind, Family::Any, bytes);
    let mut sections = vec![
        any(Kind::Manifest, manifest(parts)?),
        any(Kind::Golden, golden_section(parts)?),
        any(Kind::Card, parts.card.to_vec()),
    ];
    for &(family, plan) in parts.plans {
        sections.push((Kind::Plan, family, plan.emit()?));
        sections.push((Kind::Weights, family, plan.weights.clone()));
        sections.push((Kind::Names, family, names(plan)?));
    }
    let content = content(sections);
    let table: Vec<u8> =
        content.chunks(1 << CHUNK_LOG2).flat_map(|c| <[u8; HASH_LEN]>::from(Sha256::digest(c))).collect();
    let mut class = [0u8; 32];
    let bytes = parts.identity.class.as_bytes();
    if bytes.len() > class.len() || !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(Error::invalid(format!(
            "device class '{}' is not at most 32 printable ASCII characters",
            parts.identity.class
        )));
    }
    class[..bytes.len()].copy_from_slice(bytes);
    let prefix = Prefix {
        chunk_log2: CHUNK_LOG2,
        slots: SIGNATURE_SLOTS,
        content_len: content.len() as u64,
        table_hash: Sha256::digest(&table).into(),
        name_hash: Sha256::digest(parts.identity.name.as_bytes()).into(),
        version: parts.identity.version,
        security_counter: parts.identity.security_counter,
        class,
    };
    let mut out = prefix.emit().to_vec();
    out.resize(out.len() + SIGNATURE_SLOTS as usize * SLOT_LEN, 0);
    out.extend(table);
    out.resize(out.len().next_multiple_of(CONTENT_ALIGN), 0);
    out.extend(content);
    Ok(out)
}

fn content(sections: Vec<(Kind, Family, Vec<u8>)>) -> Vec<u8> {
    let needed = |kind| matches!(kind, Kind::Manifest | Kind::Plan | Kind::Weights);
    let mut used: Vec<_> =
        sections.into_iter().filter(|(kind, _, bytes)| !bytes.is_empty() || needed(*kind)).collect();
    used.sort_by_key(|&(kind, family, _)| (kind as u16, family));
    let mut at = section::TABLE_HEADER_LEN + used.len() * section::RECORD_LEN;
    let mut out = section::emit_table_header(used.len() as u32).to_vec();
    for (kind, family, bytes) in &used {
        at = at.next_multiple_of(SECTION_ALIGN);
        let (offset, len) = (at as u64, bytes.len() as u64);
        out.extend(Section { kind: *kind as u16, family: *family as u16, offset, len }.emit());
        at += bytes.len();
    }
    for (_, _, bytes) in used {
        out.resize(out.len().next_multiple_of(SECTION_ALIGN), 0);
        out.extend(bytes);
    }
    out
}

fn manifest(parts: &Parts<'_>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut put = |tag: Tag, text: &str| -> Result<()> {
        let value = postcard::to_stdvec(text).map_err(|e| Error::invalid(e.to_string()))?;
        if value.len() > manifest::MAX_VALUE {
            return Err(Error::invalid(format!("a name of {} bytes is too long for a manifest", text.len())));
        }
        out.extend(manifest::emit_header(tag, value.len() as u32));
        out.extend(value);
        Ok(())
    };
    let identity = parts.identity;
    put(Tag::Name, &identity.name)?;
    for (tag, text) in [(Tag::Task, &identity.task), (Tag::Target, &identity.target)] {
        if !text.is_empty() {
            put(tag, text)?;
        }
    }
    let plan = parts.first()?;
    for &t in &plan.inputs {
        put(Tag::Input, &plan.tensors[t].name)?;
    }
    for &t in &plan.outputs {
        put(Tag::Output, &plan.tensors[t].name)?;
    }
    for label in &identity.labels {
        put(Tag::Label, label)?;
    }
    let contract = contract(identity, plan);
    out.extend(manifest::emit_header(Tag::Contract, contract.len() as u32));
    out.extend(contract);
    Ok(out)
}

/// What an application compiles against: names, types, shapes and parameters of inputs and outputs, and labels.
pub fn contract(identity: &Identity, plan: &Plan) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"samara-contract-1\0");
    let mut field = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    for (side, tensors) in [(b"i", &plan.inputs), (b"o", &plan.outputs)] {
        for &t in tensors {
            let t = &plan.tensors[t];
            field(side);
            field(t.name.as_bytes());
            field(&[t.desc.dtype as u8]);
            field(&t.desc.shape.dims().iter().flat_map(|d| d.to_le_bytes()).collect::<Vec<_>>());
            field(&t.desc.scale.to_bits().to_le_bytes());
            field(&t.desc.zero_point.to_le_bytes());
        }
    }
    identity.labels.iter().for_each(|l| field(l.as_bytes()));
    hash.finalize().into()
}

fn golden_section(parts: &Parts<'_>) -> Result<Vec<u8>> {
    if parts.golden.is_empty() {
        return Ok(Vec::new());
    }
    let plan = parts.first()?;
    let outputs = &plan.outputs;
    let mut out = golden::emit_header(parts.golden.len() as u32, outputs.len() as u32).to_vec();
    for &o in outputs {
        let float = plan.tensors[o].desc.dtype == samara_runtime::Dtype::F32;
        out.extend(if float { parts.tolerance } else { Tolerance { absolute: 0.0, relative: 0.0 } }.emit());
    }
    for vector in parts.golden {
        for bytes in vector.inputs.iter().chain(&vector.outputs) {
            out.extend(bytes);
            out.resize(out.len().next_multiple_of(4), 0);
        }
    }
    Ok(out)
}

/// Names for people, as JSON: tensors by id, steps by index; of tensors that are rows of the one they are named after,
/// `[id, first row, rows of the whole]`; factors of equalized tensors by name, in eighths of octaves.
fn names(plan: &Plan) -> Result<Vec<u8>> {
    let tensors: Vec<&str> = plan.tensors.iter().map(|t| &t.name[..]).collect();
    let steps: Vec<&str> = plan.steps.iter().map(|s| &s.name[..]).collect();
    let mut names = serde_json::json!({ "tensors": tensors, "steps": steps });
    let strips = plan.tensors.iter().enumerate().filter_map(|(t, tensor)| Some((t, tensor.rows?)));
    let strips: Vec<_> = strips.map(|(t, rows)| serde_json::json!([t, rows.first, rows.of])).collect();
    if !strips.is_empty() {
        names["rows"] = strips.into();
    }
    let equalized: serde_json::Map<_, _> = plan
        .equalized
        .iter()
        .filter(|(name, _)| tensors.contains(&&name[..]))
        .map(|(name, factors)| (name.clone(), serde_json::json!(equalize::eighths(factors))))
        .collect();
    if !equalized.is_empty() {
        names["equalized"] = equalized.into();
    }
    serde_json::to_vec(&names).map_err(|e| Error::invalid(e.to_string()))
}
