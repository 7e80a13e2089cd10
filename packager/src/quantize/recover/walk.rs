//! One graph, node by node over all samples; what is still read lies on tapes.

use std::collections::BTreeMap;

use samara_runtime::Dtype;
use samara_runtime::ops::eval::Value;

use super::tape::Tape;
use crate::data::samples::quantize;
use crate::error::{Error, Result};
use crate::interpret::{Step, accept};
use crate::ir::{Graph, TensorId};

/// The tensors of one graph that nodes still read.
#[derive(Debug)]
pub(crate) struct Side {
    tapes: BTreeMap<TensorId, Tape>,
    /// How many nodes have yet to read each tensor.
    readers: Vec<usize>,
}

impl Side {
    /// Empty tapes for the graph's inputs.
    pub(crate) fn new(graph: &Graph) -> Result<Self> {
        let mut readers = vec![0; graph.tensors.len()];
        for node in &graph.nodes {
            operands(node).into_iter().for_each(|t| readers[t] += 1);
        }
        let tape = |&t: &TensorId| Ok((t, Tape::new(graph.tensors[t].desc()?)?));
        Ok(Side { tapes: graph.inputs.iter().map(tape).collect::<Result<_>>()?, readers })
    }

    /// A tensor's tape at its first sample.
    pub(crate) fn reader(&mut self, t: Option<TensorId>) -> Result<&mut Tape> {
        let tape = t.and_then(|t| self.tapes.get_mut(&t));
        let tape = tape.ok_or_else(|| Error::invalid("its input is computed by no node before it"))?;
        tape.rewind()?;
        Ok(tape)
    }

    /// Runs node `n` for all samples and drops what nobody reads after it.
    pub(crate) fn run(&mut self, graph: &Graph, n: usize, count: usize) -> Result<()> {
        let node = &graph.nodes[n];
        let step = Step::new(graph, node)?;
        let mut constants = BTreeMap::new();
        for t in operands(node) {
            match self.tapes.get_mut(&t) {
                Some(tape) => tape.rewind()?,
                None => drop(constants.insert(t, graph.tensors[t].value()?)),
            }
        }
        let mut made: Vec<Tape> = Vec::new();
        for _ in 0..count {
            let mut values = BTreeMap::new();
            for t in operands(node) {
                if let Some(tape) = self.tapes.get_mut(&t) {
                    values.insert(t, tape.next()?);
                }
            }
            let outputs = step.run(node, |t| values.get(&t).or(constants.get(&t)))?;
            for (i, value) in outputs.iter().enumerate() {
                if made.len() == i {
                    made.push(Tape::new(value.desc)?);
                }
                made[i].push(value)?;
            }
        }
        for t in operands(node) {
            // Constants that were made since have no place here.
            if let Some(readers) = self.readers.get_mut(t) {
                *readers -= 1;
                if *readers == 0 {
                    self.tapes.remove(&t);
                }
            }
        }
        for (&t, tape) in node.outputs.iter().zip(made) {
            if self.readers[t] > 0 {
                self.tapes.insert(t, tape);
            }
        }
        Ok(())
    }
}

/// Writes samples to both graphs' inputs; returns how many there were.
pub(crate) fn record(
    float: &Graph,
    quantized: &Graph,
    left: &mut Side,
    right: &mut Side,
    samples: impl Iterator<Item = Result<Vec<Value>>>,
) -> Result<usize> {
    let mut count = 0;
    for sample in samples {
        let inputs = float.inputs.iter().zip(&quantized.inputs).zip(sample?);
        for ((&f, &q), mut value) in inputs {
            accept(&float.tensors[f], &mut value)?;
            if let Some(tape) = left.tapes.get_mut(&f) {
                tape.push(&value)?;
            }
            if let Some(tape) = right.tapes.get_mut(&q) {
                tape.push(&as_input(quantized, q, &value)?)?;
            }
        }
        count += 1;
    }
    if count == 0 { Err(Error::invalid("the calibration data holds no sample")) } else { Ok(count) }
}

/// A float input as another graph takes it: quantized where its tensor is.
pub(crate) fn as_input(graph: &Graph, t: TensorId, value: &Value) -> Result<Value> {
    let desc = graph.tensors[t].desc()?;
    if value.desc.dtype == desc.dtype || value.desc.dtype != Dtype::F32 {
        return Ok(value.clone());
    }
    let mut bytes = Vec::with_capacity(desc.bytes());
    quantize(value.elements::<f32>(), &desc, &mut bytes)?;
    let mut quantized = Value::zeros(desc);
    quantized.bytes_mut().copy_from_slice(&bytes);
    Ok(quantized)
}

/// Tensors that a node reads, each once.
fn operands(node: &crate::ir::Node) -> Vec<TensorId> {
    let mut all: Vec<TensorId> = node.inputs.iter().flatten().copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}
