//! Lowers every node and gathers constants; leaves arena offsets open.

use std::collections::{BTreeMap, HashMap};

use samara_runtime::ops::eval::Value;
use samara_runtime::ops::layer::BIAS;
use samara_runtime::ops::{Inputs, Rounding};
use samara_runtime::{Desc, Dtype, Layout, Place, Shape};

use super::kernels::{self, Kernels};
use super::{Plan, PlannedStep, PlannedTensor};
use crate::error::{About, Error, Result};
use crate::ir::{Graph, Node, TensorId};
use crate::lower::{self, Lowered, Operand, View};

/// Constants start at multiples of this, at least.
const CONSTANT_ALIGN: usize = 16;

pub(super) fn steps(graph: &Graph, kernels: Kernels) -> Result<Plan> {
    let mut builder = Builder {
        graph,
        kernels,
        plan: Plan {
            tensors: Vec::new(),
            steps: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            weights: Vec::new(),
            kernels,
            arena: 0,
            numeric: Rounding::None,
            equalized: BTreeMap::new(),
            patched: None,
        },
        places: HashMap::new(),
        constants: HashMap::new(),
    };
    for &t in &graph.inputs {
        let t = builder.tensor(t)?;
        builder.plan.inputs.push(t);
    }
    for node in &graph.nodes {
        builder.step(node).about(format_args!("node '{}' ({})", node.name, node.op.name()))?;
    }
    for &t in &graph.outputs {
        if graph.tensors[t].is_constant() {
            return Err(Error::invalid("is constant; a model must compute its outputs"))
                .about(format_args!("output '{}'", graph.tensors[t].name));
        }
        let t = builder.tensor(t)?;
        builder.plan.outputs.push(t);
    }
    Ok(builder.plan)
}

struct Builder<'a> {
    graph: &'a Graph,
    kernels: Kernels,
    plan: Plan,
    places: HashMap<TensorId, usize>,
    /// Offset in the weights by content.
    constants: HashMap<Vec<u8>, usize>,
}

impl Builder<'_> {
    fn step(&mut self, node: &Node) -> Result<()> {
        let inputs: Vec<_> = node.inputs.iter().map(|t| t.map(|t| &self.graph.tensors[t])).collect();
        let [output] = node.outputs[..] else {
            return Err(Error::invalid(format!("has {} outputs where one is planned", node.outputs.len())));
        };
        let view = View {
            op: &node.op,
            inputs: &inputs,
            output: &self.graph.tensors[output],
            numeric: self.graph.numeric,
        };
        let mut lowered = lower::lower(&view)?;
        kernels::choose(self.kernels, &view, &mut lowered)?;
        let Lowered { code, attributes, rounding, kernel, operands } = lowered;
        let mut step = PlannedStep {
            name: node.name.clone(),
            op: code,
            kernel,
            rounding,
            attributes: attributes.bytes().to_vec(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            scratch: None,
            macs: 0,
            beside: false,
        };
        for (i, operand) in operands.into_iter().enumerate() {
            let tensor = match operand {
                Operand::Absent => None,
                Operand::Constant(value) => {
                    // What was made of the node's own operand keeps its name.
                    let name = view.optional(i).map(|t| t.name.clone()).filter(|_| i <= BIAS);
                    let name = name.unwrap_or_else(|| format!("{}/constant", node.name));
                    Some(self.constant(&name, &value))
                }
                Operand::Input(i) => match node.inputs.get(i).copied().flatten() {
                    Some(t) => Some(self.tensor(t)?),
                    None => None,
                },
            };
            step.inputs.push(tensor);
        }
        step.outputs.push(self.tensor(output)?);
        self.measure(&mut step)?;
        if rounding != Rounding::None {
            self.plan.numeric = rounding;
        }
        self.plan.steps.push(step);
        Ok(())
    }

    /// Scratch and multiply-accumulates, and that the runtime's inference agrees with the graph.
    fn measure(&mut self, step: &mut PlannedStep) -> Result<()> {
        let def = lower::definition(step.op)?;
        let inputs: Vec<Option<Desc>> =
            step.inputs.iter().map(|t| t.map(|t| self.plan.tensors[t].desc)).collect();
        let outputs: Vec<Desc> = step.outputs.iter().map(|&t| self.plan.tensors[t].desc).collect();
        let inferred = def.infer(&step.attributes, &Inputs(&inputs))?;
        for (inferred, planned) in inferred.outputs().iter().zip(&outputs) {
            if (inferred.dtype, inferred.shape) != (planned.dtype, planned.shape) {
                return Err(Error::invalid(format!(
                    "the model says its output is {} {:?}, but it is {} {:?}",
                    planned.dtype.name(),
                    planned.shape.dims(),
                    inferred.dtype.name(),
                    inferred.shape.dims()
                )));
            }
        }
        step.macs = def.macs(&step.attributes, &Inputs(&inputs), &outputs)?;
        let scratch = def.scratch(&step.attributes, &Inputs(&inputs), &outputs, step.kernel)?;
        if scratch > 0 {
            let desc = Desc::new(Dtype::U8, Shape::new(&[scratch as u32])?);
            self.plan.tensors.push(PlannedTensor {
                name: format!("{}/scratch", step.name),
                desc,
                offset: 0,
                rows: None,
            });
            step.scratch = Some(self.plan.tensors.len() - 1);
        }
        Ok(())
    }

    fn tensor(&mut self, id: TensorId) -> Result<usize> {
        if let Some(&t) = self.places.get(&id) {
            return Ok(t);
        }
        let tensor = &self.graph.tensors[id];
        let t = if tensor.is_constant() {
            self.constant(&tensor.name, &tensor.value()?)
        } else {
            self.plan.tensors.push(PlannedTensor {
                name: tensor.name.clone(),
                desc: tensor.desc()?,
                offset: 0,
                rows: None,
            });
            self.plan.tensors.len() - 1
        };
        self.places.insert(id, t);
        Ok(t)
    }

    fn constant(&mut self, name: &str, value: &Value) -> usize {
        let weights = &mut self.plan.weights;
        let align = match value.desc.layout {
            Layout::Dense if value.desc.dtype != Dtype::F32 => CONSTANT_ALIGN,
            _ => CONSTANT_ALIGN.max(self.kernels.alignment()),
        };
        let offset = *self.constants.entry(value.bytes().to_vec()).or_insert_with(|| {
            weights.resize(weights.len().next_multiple_of(align), 0);
            let offset = weights.len();
            weights.extend(value.bytes());
            offset
        });
        let desc = Desc { place: Place::Weights, ..value.desc };
        self.plan.tensors.push(PlannedTensor { name: name.into(), desc, offset, rows: None });
        self.plan.tensors.len() - 1
    }
}
