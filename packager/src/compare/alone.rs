//! Each step of a bundle on the inputs that it should have had: its own noise, apart from what it inherits.

use samara_runtime::bundle::Bundle;
use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::{Desc, Dtype, Place, Session};

use super::Twins;
use crate::data::samples::quantize;
use crate::error::{Error, Result};
use crate::lower;

/// Runs steps one by one outside the arena.
pub(super) struct Alone<'s, 'b> {
    session: &'s Session<'b>,
    /// Constants by tensor id.
    constants: Vec<Option<Value>>,
}

impl<'s, 'b> Alone<'s, 'b> {
    /// Reads the constants of every step.
    pub(super) fn new(bundle: &Bundle<'b>, session: &'s Session<'b>, tensors: usize) -> Result<Self> {
        let mut constants = vec![None; tensors];
        for (id, constant) in constants.iter_mut().enumerate() {
            let record = session.plan().tensor(id as u16)?;
            if record.desc.place == Place::Weights {
                let mut value = Value::zeros(record.desc);
                let bytes = bundle
                    .weights
                    .get(record.range())
                    .ok_or_else(|| Error::invalid("a constant is cut off"))?;
                value.bytes_mut().copy_from_slice(bytes);
                *constant = Some(value);
            }
        }
        Ok(Alone { session, constants })
    }

    /// One sample: `see` gets each step and what it makes of the source's values `want` of its inputs. An input
    /// that the source does not have is what the steps before it made.
    pub(super) fn run(
        &self,
        twins: &Twins<'_>,
        want: &[Option<Vec<f64>>],
        mut see: impl FnMut(usize, &Value) -> Result<()>,
    ) -> Result<()> {
        let plan = self.session.plan();
        // By whole tensor.
        let mut made: Vec<Option<Vec<u8>>> = vec![None; self.constants.len()];
        for step in 0..self.session.steps() {
            let record = plan.step(step)?;
            let operand = |k: usize| plan.operand(record.operands as usize + k);
            let ids: Vec<Option<u16>> =
                (0..record.inputs as usize).map(operand).collect::<samara_runtime::Result<_>>()?;
            let mut values: Vec<Option<Value>> = Vec::with_capacity(ids.len());
            for &id in &ids {
                let computed = id.filter(|&id| self.constants[id as usize].is_none());
                let value = computed.map(|id| {
                    let desc = plan.tensor(id)?.desc;
                    let known =
                        twins.want(id as usize, want).map(|real| twins.stored(id as usize, desc, real));
                    known.unwrap_or_else(|| twins.made(id as usize, desc, &made))
                });
                values.push(value.transpose()?);
            }
            let constant = |id: &Option<u16>| id.and_then(|id| self.constants[id as usize].as_ref());
            let inputs: Vec<Option<&Value>> =
                ids.iter().zip(&values).map(|(id, value)| value.as_ref().or(constant(id))).collect();
            let Some(output) = operand(record.inputs as usize)? else { continue };
            let desc = plan.tensor(output)?.desc;
            let attributes = plan.attributes(&record)?;
            let definition = lower::definition(record.op)?;
            let parameters = [(desc.scale, desc.zero_point)];
            let outputs = eval(definition, attributes, record.rounding, record.kernel, &inputs, &parameters)?;
            let Some(value) = outputs.into_iter().next() else { continue };
            see(step, &value)?;
            // What follows gets the source's own values where it has them, and else this.
            twins.keep(output as usize, &value, &mut made);
        }
        Ok(())
    }
}

/// Reals as a tensor holds them, to nearest.
pub(super) fn levels(desc: Desc, reals: &[f32]) -> Result<Value> {
    let mut value = Value::zeros(desc);
    let mut bytes = Vec::with_capacity(desc.bytes());
    match desc.dtype {
        Dtype::F32 => reals.iter().for_each(|x| bytes.extend(x.to_le_bytes())),
        Dtype::I32 => reals.iter().for_each(|x| bytes.extend((*x as i32).to_le_bytes())),
        Dtype::Bool => reals.iter().for_each(|x| bytes.push(u8::from(*x != 0.0))),
        _ => quantize(reals, &desc, &mut bytes)?,
    }
    if bytes.len() != value.bytes().len() {
        return Err(Error::invalid("a tensor's values do not fill it"));
    }
    value.bytes_mut().copy_from_slice(&bytes);
    Ok(value)
}
