//! What a bundle says of its tensors to people and tools.

use std::collections::BTreeMap;

use samara_runtime::bundle::{Bundle, Kind};

use crate::error::{Error, Result};
use crate::quantize::equalize;

/// Names and factors from a bundle's names section.
#[derive(Clone, Debug)]
pub(super) struct Names {
    /// Of the plan's tensors, by id.
    pub(super) tensors: Vec<String>,
    /// By tensor id: first row and rows of the whole, of tensors that hold some rows of the one they are named after.
    pub(super) rows: BTreeMap<u16, [usize; 2]>,
    /// By name: what equalization divided each channel by (see [`crate::plan::Plan::equalized`]).
    pub(super) equalized: BTreeMap<String, Vec<f64>>,
}

impl Names {
    pub(super) fn of(bundle: &Bundle<'_>) -> Result<Self> {
        let section = bundle
            .sections
            .get(Kind::Names)
            .ok_or_else(|| Error::invalid("it carries no names of its layers"))?;
        let names: serde_json::Value = serde_json::from_slice(section)
            .map_err(|e| Error::invalid(format!("its names cannot be read ({e})")))?;
        let tensors = names["tensors"].as_array().cloned().unwrap_or_default();
        let tensors = tensors.into_iter().map(|n| n.as_str().unwrap_or_default().to_owned()).collect();
        let rows = names["rows"].as_array().into_iter().flatten().map(self::rows);
        let rows = rows.collect::<Result<_>>()?;
        let equalized = names["equalized"].as_object().into_iter().flatten();
        let equalized = equalized.map(|(name, factors)| Ok((name.clone(), self::factors(name, factors)?)));
        Ok(Names { tensors, rows, equalized: equalized.collect::<Result<_>>()? })
    }
}

/// Id, first row and rows of the whole.
fn rows(value: &serde_json::Value) -> Result<(u16, [usize; 2])> {
    let number = |i: usize| value.get(i).and_then(serde_json::Value::as_u64).filter(|&n| n < 1 << 28);
    match (number(0).and_then(|n| u16::try_from(n).ok()), number(1), number(2)) {
        (Some(id), Some(first), Some(of)) if first < of => Ok((id, [first as usize, of as usize])),
        _ => Err(Error::invalid("its names say which rows a tensor holds, but not as [id, first, of]")),
    }
}

/// Factors from their eighths of octaves.
fn factors(name: &str, value: &serde_json::Value) -> Result<Vec<f64>> {
    let one = |v: &serde_json::Value| {
        let eighths = v.as_i64().filter(|e| (-1000..=1000).contains(e))?;
        Some(f64::from(equalize::of_eighths(eighths as i32)))
    };
    let factors: Option<Vec<f64>> = value.as_array().into_iter().flatten().map(one).collect();
    factors
        .filter(|f| !f.is_empty())
        .ok_or_else(|| Error::invalid(format!("its factors of tensor '{name}' are not eighths of octaves")))
}
