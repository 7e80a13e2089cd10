//! Runs a graph on the host, node by node, with the runtime's own kernels and no memory plan.
//!
//! Every tensor can be observed, which is what calibration, layer comparison and constant folding need. The
//! steps are those that the plan will hold, so a quantized graph gives the device's bits. Float layers take the kernels
//! that vectors are best at, whose bits are the same; their weights are laid out once.

use std::sync::OnceLock;

use samara_runtime::ops::eval::{Checked, Value};
use samara_runtime::ops::layer::{self, BIAS, WEIGHTS, kernel};
use samara_runtime::ops::{Conv2d, FullyConnected, Op as _, OpDef};
use samara_runtime::{Desc, Dtype, Place};

use crate::error::{About, Error, Result};
use crate::ir::{Graph, Node, Op, Quant, Tensor, TensorId};
use crate::lower::{self, Lowered, Operand, View};

/// A graph with every node lowered once, ready for any number of runs.
#[derive(Debug)]
pub struct Interpreter<'g> {
    graph: &'g Graph,
    constants: Vec<Option<Value>>,
    steps: Vec<Step>,
    /// The step after which each tensor is read no more; outputs of the graph are never dropped.
    last_use: Vec<usize>,
}

/// A node lowered once, ready for any number of runs.
#[derive(Debug)]
pub(crate) struct Step {
    lowered: Lowered,
    definition: &'static OpDef,
    parameters: Vec<(f32, i32)>,
    /// What the first run has checked; the operands of others hardly ever differ.
    checked: OnceLock<Checked>,
}

impl<'g> Interpreter<'g> {
    /// Lowers every node; fails where one has no lowering or its constants do not fit.
    pub fn new(graph: &'g Graph) -> Result<Self> {
        let mut constants = vec![None; graph.tensors.len()];
        let mut last_use = vec![0; graph.tensors.len()];
        let mut steps = Vec::with_capacity(graph.nodes.len());
        for (n, node) in graph.nodes.iter().enumerate() {
            steps.push(Step::new(graph, node)?);
            for &t in node.inputs.iter().flatten() {
                last_use[t] = n;
                if constants[t].is_none() && graph.tensors[t].is_constant() {
                    constants[t] = Some(graph.tensors[t].value()?);
                }
            }
        }
        for &t in &graph.outputs {
            last_use[t] = usize::MAX;
            if constants[t].is_none() && graph.tensors[t].is_constant() {
                constants[t] = Some(graph.tensors[t].value()?);
            }
        }
        Ok(Interpreter { graph, constants, steps, last_use })
    }

    /// One run: `inputs` in the graph's order, of the graph's types and shapes; returns the graph's outputs.
    ///
    /// `observe` sees the inputs first, then every computed tensor in the order in which it is made. Tensors
    /// are freed after their last reader, so memory is that of the widest cut of the graph.
    pub fn run(
        &self,
        inputs: Vec<Value>,
        mut observe: impl FnMut(TensorId, &Value) -> Result<()>,
    ) -> Result<Vec<Value>> {
        let graph = self.graph;
        if inputs.len() != graph.inputs.len() {
            let (want, got) = (graph.inputs.len(), inputs.len());
            return Err(Error::invalid(format!("the model has {want} inputs, {got} were given")));
        }
        let mut values: Vec<Option<Value>> = vec![None; graph.tensors.len()];
        for (&t, mut value) in graph.inputs.iter().zip(inputs) {
            accept(&graph.tensors[t], &mut value)?;
            observe(t, &value)?;
            values[t] = Some(value);
        }
        for (n, (node, step)) in graph.nodes.iter().zip(&self.steps).enumerate() {
            let outputs = step.run(node, |t| values[t].as_ref().or(self.constants[t].as_ref()))?;
            for (&t, value) in node.outputs.iter().zip(outputs) {
                observe(t, &value)?;
                values[t] = Some(value);
            }
            for &t in node.inputs.iter().flatten() {
                if self.last_use[t] == n {
                    values[t] = None;
                }
            }
        }
        let take = |&t: &TensorId| {
            let value = values[t].as_ref().or(self.constants[t].as_ref()).cloned();
            value.ok_or_else(|| Error::invalid("nothing computes it").about(&graph.tensors[t].name))
        };
        graph.outputs.iter().map(take).collect()
    }
}

/// One run with every computed tensor kept, inputs included, by [`TensorId`]; constants are `None`.
pub fn run(graph: &Graph, inputs: Vec<Value>) -> Result<Vec<Option<Value>>> {
    let mut all = vec![None; graph.tensors.len()];
    Interpreter::new(graph)?.run(inputs, |t, value| {
        all[t] = Some(value.clone());
        Ok(())
    })?;
    Ok(all)
}

/// The outputs of one node whose inputs are all constants.
pub fn fold(graph: &Graph, node: &Node) -> Result<Vec<Value>> {
    let mut inputs = vec![None; graph.tensors.len()];
    for &t in node.inputs.iter().flatten() {
        inputs[t] = Some(graph.tensors[t].value()?);
    }
    Step::new(graph, node)?.run(node, |t| inputs[t].as_ref())
}

impl Step {
    /// Fails where the node has no lowering or its constants do not fit.
    pub(crate) fn new(graph: &Graph, node: &Node) -> Result<Self> {
        let tensor = |&i: &Option<TensorId>| i.map(|t| &graph.tensors[t]);
        let inputs: Vec<Option<&Tensor>> = node.inputs.iter().map(tensor).collect();
        let subject = || format!("node '{}' ({})", node.name, node.op.name());
        let output =
            node.outputs.first().ok_or_else(|| Error::invalid("it has no output")).about(subject())?;
        let output = &graph.tensors[*output];
        let view = View { op: &node.op, inputs: &inputs, output, numeric: graph.numeric };
        let mut lowered = lower::lower(&view).about(subject())?;
        lay_out(&view, &mut lowered).about(subject())?;
        let definition = lower::definition(lowered.code).about(subject())?;
        let of = |&t: &TensorId| graph.tensors[t].quant.as_ref().and_then(Quant::single).unwrap_or((0.0, 0));
        let parameters = node.outputs.iter().map(of).collect();
        Ok(Step { lowered, definition, parameters, checked: OnceLock::new() })
    }

    /// The node's outputs for the values of its operands.
    pub(crate) fn run<'v>(
        &self,
        node: &Node,
        value: impl Fn(TensorId) -> Option<&'v Value>,
    ) -> Result<Vec<Value>>
    where
        Self: 'v,
    {
        let subject = || format!("node '{}' ({})", node.name, node.op.name());
        let mut operands: Vec<Option<&Value>> = Vec::with_capacity(self.lowered.operands.len());
        for operand in &self.lowered.operands {
            operands.push(match operand {
                Operand::Input(i) => match node.inputs.get(*i).copied().flatten() {
                    Some(t) => Some(
                        value(t)
                            .ok_or_else(|| Error::invalid(format!("operand {i} has no value")))
                            .about(subject())?,
                    ),
                    None => None,
                },
                Operand::Constant(c) => Some(c),
                Operand::Absent => None,
            });
        }
        let Lowered { attributes, rounding, kernel, .. } = &self.lowered;
        let attributes = attributes.bytes();
        let run = || -> samara_runtime::Result<Vec<Value>> {
            if let Some(checked) = self.checked.get().filter(|c| c.suits(&operands)) {
                return checked.run(attributes, *rounding, &operands);
            }
            let checked =
                Checked::new(self.definition, attributes, *rounding, *kernel, &operands, &self.parameters)?;
            self.checked.get_or_init(|| checked.clone());
            checked.run(attributes, *rounding, &operands)
        };
        run().about(subject())
    }
}

/// Gives a float layer with constant weights the kernel that reads them in lanes. Its bits are the dense kernel's.
fn lay_out(view: &View<'_>, step: &mut Lowered) -> Result<()> {
    let grouped = matches!(view.op, Op::Conv2d { groups, .. } if *groups != 1);
    if grouped || !matches!(step.code, Conv2d::CODE | FullyConnected::CODE) {
        return Ok(());
    }
    let (x, weights) = (view.input(0)?, view.input(WEIGHTS)?);
    if x.dtype == Dtype::F32 && weights.dtype == Dtype::F32 && weights.is_constant() {
        let bias = view.optional(BIAS).filter(|b| b.is_constant()).map(Tensor::value).transpose()?;
        let prepared = layer::prepare(kernel::LANES, false, &weights.value()?, bias.as_ref(), 0)?;
        step.kernel = kernel::LANES;
        step.operands[WEIGHTS] = Operand::Constant(prepared.weights);
    }
    Ok(())
}

/// Checks an input against its tensor and gives it the tensor's parameters.
pub(crate) fn accept(tensor: &Tensor, value: &mut Value) -> Result<()> {
    let want = Desc { place: Place::Arena, ..tensor.desc()? };
    let got = value.desc;
    if (got.dtype, got.shape) != (want.dtype, want.shape) {
        let cause = format!(
            "the model wants {} {:?}, the data is {} {:?}",
            want.dtype.name(),
            want.shape.dims(),
            got.dtype.name(),
            got.shape.dims()
        );
        return Err(Error::invalid(cause).about(format_args!("input '{}'", tensor.name)));
    }
    value.desc = want;
    Ok(())
}

#[cfg(test)]
mod tests {
    use samara_runtime::ops::Window;
    use samara_runtime::{Dtype, Shape};

    use super::*;
    use crate::ir::{Activation, Numeric, Op};

    /// Two 1x1 convolutions in a row: y = relu(2x + 1) * 3.
    fn graph() -> Graph {
        let mut g = Graph::new("two", Numeric::Single);
        let x = g.add(Tensor::new("x", Dtype::F32, vec![1, 2, 1, 1]));
        let w = g.add(Tensor::constant("w", Dtype::F32, vec![1, 1, 1, 1], &[2f32]));
        let b = g.add(Tensor::constant("b", Dtype::F32, vec![1], &[1f32]));
        let v = g.add(Tensor::constant("v", Dtype::F32, vec![1, 1, 1, 1], &[3f32]));
        let conv = |activation| Op::Conv2d { window: Window::UNIT, groups: 1, activation };
        let h = g.push("h", conv(Activation::RELU), &[Some(x), Some(w), Some(b)]).unwrap();
        let y = g.push("y", conv(Activation::NONE), &[Some(h), Some(v)]).unwrap();
        (g.inputs, g.outputs) = (vec![x], vec![y]);
        g
    }

    fn input(elements: &[f32]) -> Value {
        let shape = Shape::new(&[1, elements.len() as u32, 1, 1]).unwrap();
        Value::new(Desc::new(Dtype::F32, shape), elements).unwrap()
    }

    #[test]
    fn runs_and_shows_every_tensor() {
        let g = graph();
        let mut seen = Vec::new();
        let outputs = Interpreter::new(&g)
            .unwrap()
            .run(vec![input(&[1.0, -4.0])], |t, v| {
                seen.push((g.tensors[t].name.clone(), v.elements::<f32>().to_vec()));
                Ok(())
            })
            .unwrap();
        assert_eq!(outputs[0].elements::<f32>(), &[9.0, 0.0]);
        let want = [("x", vec![1.0, -4.0]), ("h", vec![3.0, 0.0]), ("y", vec![9.0, 0.0])]
            .map(|(n, v)| (n.to_owned(), v));
        assert_eq!(seen, want);
        let all = run(&g, vec![input(&[0.0, 0.5])]).unwrap();
        assert_eq!(all[g.outputs[0]].as_ref().unwrap().elements::<f32>(), &[3.0, 6.0]);
    }

    #[test]
    fn refuses_inputs_of_another_shape_or_count() {
        let g = graph();
        let error = run(&g, vec![input(&[1.0, 2.0, 3.0])]).unwrap_err().to_string();
        assert!(error.contains("input 'x'") && error.contains("[1, 2, 1, 1]"), "{error}");
        let error = run(&g, vec![]).unwrap_err().to_string();
        assert!(error.contains("1 inputs, 0"), "{error}");
    }
}
