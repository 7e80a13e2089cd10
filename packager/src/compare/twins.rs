//! Which tensors of a bundle are which of the source's.

use std::collections::HashMap;
use std::ops::Range;

use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Place, Session};

use super::names::Names;
use super::{alone, reals};
use crate::error::{Error, Result};
use crate::ir::{Graph, TensorId};

/// Most elements of a tensor; the runtime's limit.
const MOST: usize = 1 << 28;

/// One tensor of a bundle.
struct Twin<'n> {
    source: Option<TensorId>,
    /// The first tensor of the bundle that holds elements of the same whole; itself where nothing is in strips.
    whole: usize,
    /// Elements of the whole.
    count: usize,
    /// Bytes of an element.
    size: usize,
    /// Its elements in the whole.
    elements: Range<usize>,
    /// What equalization divided the channels by.
    factors: Option<&'n [f64]>,
}

/// The source's tensors to a bundle's, by tensor id of the bundle.
pub(super) struct Twins<'n>(Vec<Twin<'n>>);

impl<'n> Twins<'n> {
    pub(super) fn of(source: &Graph, session: &Session<'_>, names: &'n Names) -> Result<Self> {
        let computed = source.tensors.iter().enumerate().filter(|(_, t)| !t.is_constant());
        let by_name: HashMap<&str, usize> = computed.map(|(t, tensor)| (&tensor.name[..], t)).collect();
        let mut twins: Vec<Twin<'n>> = Vec::new();
        // First tensor of each name that is in strips.
        let mut wholes: HashMap<&str, usize> = HashMap::new();
        let name_of = |id: u16| -> &'n str { names.tensors.get(id as usize).map_or("", |n| n) };
        let stripped: Vec<&str> = names.rows.keys().map(|&id| name_of(id)).collect();
        for id in 0..session.plan().header.tensors {
            let id = u16::try_from(id).map_err(|_| Error::invalid("it has more tensors than ids"))?;
            let Desc { dtype, shape, place, .. } = session.plan().tensor(id)?.desc;
            let name = name_of(id);
            let factors = names.equalized.get(name).map(|f| &f[..]);
            let last = shape.dims().last().copied().unwrap_or(1) as usize;
            if factors.is_some_and(|f| !last.is_multiple_of(f.len())) {
                return Err(Error::invalid(format!(
                    "its factors of tensor '{name}' do not divide its channels"
                )));
            }
            let (elements, count) = match names.rows.get(&id) {
                // Rows are along the first dimension that is not 1 by necessity: the first of two, else the second.
                Some(&[first, of]) => {
                    let rows = shape.dim(usize::from(shape.rank() > 2));
                    let row = shape.elements() / rows;
                    (first * row..(first + rows) * row, of * row)
                }
                None => (0..shape.elements(), shape.elements()),
            };
            let is_part = place == Place::Arena && stripped.contains(&name);
            let whole = if is_part { *wholes.entry(name).or_insert(id as usize) } else { id as usize };
            let alike = |w: &Twin<'_>| w.count == count && w.size == dtype.size();
            let fits = elements.end <= count && count <= MOST && twins.get(whole).is_none_or(alike);
            if !fits {
                return Err(Error::invalid(format!("its strips of tensor '{name}' do not fit together")));
            }
            let twin = by_name.get(name).copied().filter(|&t| source.tensors[t].elements() == count);
            twins.push(Twin { source: twin, whole, count, size: dtype.size(), elements, factors });
        }
        Ok(Twins(twins))
    }

    /// Tensors of the bundle.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The source's tensor that `id` is, or is part of.
    pub(super) fn source(&self, id: usize) -> Option<TensorId> {
        self.0.get(id).and_then(|t| t.source)
    }

    /// Which of its elements `id` holds.
    pub(super) fn elements(&self, id: usize) -> Range<usize> {
        self.0[id].elements.clone()
    }

    /// The source's values of `id`, from those of all its tensors.
    pub(super) fn want<'v>(&self, id: usize, want: &'v [Option<Vec<f64>>]) -> Option<&'v [f64]> {
        want.get(self.source(id)?)?.as_ref()?.get(self.elements(id))
    }

    /// What tensor `id` stands for in the source, and how many of its elements are at an end of their range. Whole
    /// rows of it may be left out in front.
    pub(super) fn reals(&self, id: usize, desc: &Desc, bytes: &[u8]) -> (Vec<f64>, u64) {
        let (mut values, saturated) = reals(desc, bytes);
        if let Some(factors) = self.0[id].factors {
            // The last dimension is a multiple of the factors' number.
            values.iter_mut().enumerate().for_each(|(k, v)| *v *= factors[k % factors.len()]);
        }
        (values, saturated)
    }

    /// The source's values as tensor `id` holds them.
    pub(super) fn stored(&self, id: usize, desc: Desc, reals: &[f64]) -> Result<Value> {
        let factor = |k: usize| self.0[id].factors.map_or(1.0, |f| f[k % f.len()]);
        let scaled: Vec<f32> = reals.iter().enumerate().map(|(k, x)| (x / factor(k)) as f32).collect();
        alone::levels(desc, &scaled)
    }

    /// Keeps what a step made of tensor `id`.
    pub(super) fn keep(&self, id: usize, value: &Value, made: &mut [Option<Vec<u8>>]) {
        let (twin, size) = (&self.0[id], self.0[id].size);
        let whole = made[twin.whole].get_or_insert_with(|| vec![0; twin.count * size]);
        whole[twin.elements.start * size..twin.elements.end * size].copy_from_slice(value.bytes());
    }

    /// What steps made of tensor `id` before.
    pub(super) fn made(&self, id: usize, desc: Desc, made: &[Option<Vec<u8>>]) -> Result<Value> {
        let (twin, size) = (&self.0[id], self.0[id].size);
        let whole =
            made[twin.whole].as_ref().ok_or_else(|| Error::invalid("an input of its steps is not known"))?;
        let mut value = Value::zeros(desc);
        value.bytes_mut().copy_from_slice(&whole[twin.elements.start * size..twin.elements.end * size]);
        Ok(value)
    }
}
