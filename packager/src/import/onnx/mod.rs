//! ONNX models, operator sets 7 and later.
//!
//! Operators become nodes of the graph in the model's own order. Spatial operators are wrapped in explicit
//! transposes (NCHW to NHWC and back) which [`crate::passes`] then eliminate. Values known at import (shapes
//! are, since every dimension is) are folded as int64, so the shape arithmetic of exporters disappears here.

mod builder;
mod call;
mod constant;
mod fold;
mod ops;
mod proto;
mod qlinear;
mod registry;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::rc::Rc;

use prost::Message;
use samara_runtime::Dtype;

use self::builder::{Builder, Call, Value, node_name};
use self::constant::{Constant, graph_dtype};
use self::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use self::qlinear::Step;
use super::Options;
use crate::error::{About, Error, Result};
use crate::ir::{Graph, Numeric, Op, Tensor};

/// The oldest operator set that is read.
const OLDEST: i64 = 7;
/// The newest operator set whose operators were looked at; later ones are read as long as their nodes fit.
const NEWEST: i64 = 28;
/// Most nodes of a model.
const MAX_NODES: usize = 1 << 16;
/// The domain of ONNX Runtime's own operators.
const MICROSOFT: &str = "com.microsoft";

/// Reads a model and calls the graph `name`. Errors list every node that cannot be imported.
pub fn load(bytes: &[u8], name: &str, options: &Options) -> Result<Graph> {
    let model = ModelProto::decode(bytes)
        .map_err(|e| Error::invalid(format!("not an ONNX model, or a damaged one ({e})")))?;
    let opset = model.opset_import.iter().find(|o| is_default(&o.domain)).map(|o| o.version);
    let opset = opset.ok_or_else(|| Error::invalid("not an ONNX model: it names no operator set"))?;
    if !(OLDEST..=NEWEST).contains(&opset) {
        let cause = format!("operator set {opset} is not supported, {OLDEST} to {NEWEST} are");
        return Err(Error::invalid(cause).remedy("export the model again with one of those"));
    }
    let graph = model.graph.as_ref().ok_or_else(|| Error::invalid("the ONNX model holds no graph"))?;
    if !graph.sparse_initializer.is_empty() {
        return Err(Error::invalid("sparse initializers are not supported"));
    }
    if graph.node.len() > MAX_NODES {
        return Err(Error::invalid(format!("the model has more than {MAX_NODES} nodes")));
    }
    let steps = qlinear::expand(&graph.node)?;
    refuse_unknown(&steps)?;
    Import::new(graph, &steps, opset, name, options)?.run()
}

fn is_default(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// One message with every operator that has no entry, before anything else is looked at.
fn refuse_unknown(steps: &[Step]) -> Result<()> {
    let unknown = |n: &&NodeProto| registry::find(&n.op_type, &n.domain).is_none();
    let list: Vec<&NodeProto> = steps.iter().map(|(n, _)| n).filter(unknown).collect();
    if list.is_empty() {
        return Ok(());
    }
    let place = |n: &&NodeProto| {
        let domain = if is_default(&n.domain) { String::new() } else { format!("{}.", n.domain) };
        format!("{domain}{} at '{}'", n.op_type, node_name(n))
    };
    let places: Vec<String> = list.iter().map(place).collect();
    let error = Error::invalid(format!("{} unsupported operators: {}", list.len(), places.join(", ")));
    // Scales that a run chooses, or sums that have none, leave nothing to keep.
    let dynamic = ["DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"];
    if list.iter().any(|n| dynamic.contains(&&n.op_type[..])) {
        return Err(error.remedy("quantize the model statically, with scales in the file"));
    }
    Err(error)
}

struct Import<'m> {
    source: &'m GraphProto,
    steps: &'m [Step],
    opset: i64,
    builder: Builder,
    values: HashMap<&'m str, Value>,
}

impl<'m> Import<'m> {
    fn new(
        source: &'m GraphProto,
        steps: &'m [Step],
        opset: i64,
        name: &str,
        options: &Options,
    ) -> Result<Self> {
        let quantized = steps.iter().any(|(n, _)| n.op_type == "QuantizeLinear");
        let numeric = if quantized { Numeric::Onnx } else { Numeric::Single };
        let builder = Builder { graph: Graph::new(name, numeric), unsigned16: false };
        let mut import = Import { source, steps, opset, builder, values: HashMap::new() };
        for t in &source.initializer {
            let constant = Constant::read(t).about(format_args!("initializer '{}'", t.name))?;
            import.values.insert(&t.name, Value::Constant(Rc::new(constant)));
        }
        // Before IR version 4 every initializer was also listed as an input.
        let inputs: Vec<&ValueInfoProto> =
            source.input.iter().filter(|i| !import.values.contains_key(i.name.as_str())).collect();
        let unknown = |name: &String| inputs.iter().all(|i| i.name != *name);
        if let Some((name, _)) = options.input_shapes.iter().find(|(name, _)| unknown(name)) {
            return Err(Error::invalid(format!(
                "a shape is given for '{name}', which is not an input of the model"
            )));
        }
        for info in inputs {
            let given = options.input_shapes.iter().find(|(name, _)| *name == info.name).map(|(_, s)| &s[..]);
            let tensor = input(info, given).about(format_args!("input '{}'", info.name))?;
            let t = import.builder.graph.add(tensor);
            import.builder.graph.inputs.push(t);
            import.values.insert(&info.name, Value::Tensor(t));
        }
        Ok(import)
    }

    fn run(mut self) -> Result<Graph> {
        let mut errors: Vec<String> = Vec::new();
        for (node, opset) in self.steps {
            // A node behind a failed one is not an error of its own.
            let operand = |name: &String| match name.as_str() {
                "" => Some(None),
                name => self.values.get(name).cloned().map(Some),
            };
            let known: Option<Vec<Option<Value>>> = node.input.iter().map(operand).collect();
            let Some(values) = known else {
                if errors.is_empty() {
                    let missing =
                        node.input.iter().find(|i| !i.is_empty() && !self.values.contains_key(i.as_str()));
                    let missing = missing.map_or("", String::as_str);
                    return Err(Error::invalid(format!("nothing computes its input '{missing}' before it"))
                        .about(format_args!("node '{}' ({})", node_name(node), node.op_type)));
                }
                continue;
            };
            let before = (self.builder.graph.tensors.len(), self.builder.graph.nodes.len());
            match self.node(node, opset.unwrap_or(self.opset), values) {
                Ok(outputs) => self.name_outputs(node, outputs, before),
                Err(e) => errors
                    .push(e.about(format_args!("node '{}' ({})", node_name(node), node.op_type)).to_string()),
            }
        }
        match &errors[..] {
            [] => self.finish(),
            [one] => Err(Error::invalid(one.clone())),
            many => {
                Err(Error::invalid(format!("{} nodes cannot be imported: {}", many.len(), many.join("; "))))
            }
        }
    }

    fn node(&mut self, node: &'m NodeProto, opset: i64, values: Vec<Option<Value>>) -> Result<Vec<Value>> {
        let entry = registry::find(&node.op_type, &node.domain);
        let entry = entry.ok_or_else(|| Error::invalid("the operator is not supported"))?;
        let call = Call::new(node, opset, values);
        if let Some(fold) = entry.fold
            && let Some(outputs) = fold(&self.builder, &call)?
        {
            call.all_read()?;
            return Ok(outputs.into_iter().map(Value::from).collect());
        }
        let Some(emit) = entry.emit else {
            return Err(Error::invalid(
                "the operator is only supported where its inputs are known at import",
            ));
        };
        let outputs = emit(&mut self.builder, &call)?;
        call.only_outputs(outputs.len())?;
        call.all_read()?;
        Ok(outputs)
    }

    /// Records a node's outputs, and gives what it made the model's names.
    fn name_outputs(&mut self, node: &'m NodeProto, outputs: Vec<Value>, (tensors, nodes): (usize, usize)) {
        let graph = &mut self.builder.graph;
        for (name, value) in node.output.iter().zip(outputs) {
            if let Value::Tensor(t) = value
                && t >= tensors
            {
                graph.tensors[t].name = name.clone();
                let maker = graph.nodes[nodes..].iter_mut().find(|n| n.outputs.contains(&t));
                if let Some(maker) = maker {
                    maker.name = node_name(node).to_owned();
                }
            }
            if !name.is_empty() {
                self.values.insert(name, value);
            }
        }
    }

    /// Outputs that are an input, a constant, or listed twice become tensors of their own.
    fn finish(mut self) -> Result<Graph> {
        for info in &self.source.output {
            let subject = format!("output '{}'", info.name);
            let value = self.values.get(info.name.as_str());
            let value = value.ok_or_else(|| Error::invalid("no node computes it")).about(&subject)?;
            let graph = &self.builder.graph;
            let t = match value {
                Value::Tensor(t)
                    if graph.tensors[*t].name == info.name
                        && !graph.inputs.contains(t)
                        && !graph.outputs.contains(t) =>
                {
                    *t
                }
                Value::Tensor(t) => {
                    let (t, shape) = (*t, graph.tensors[*t].shape.clone());
                    self.builder.push(&info.name, Op::Reshape { shape }, &[t]).about(&subject)?
                }
                Value::Constant(c) => {
                    let (shape, tensor) = (c.dims.clone(), c.tensor(&info.name).about(&subject)?);
                    let t = self.builder.graph.add(tensor);
                    self.builder.push(&info.name, Op::Reshape { shape }, &[t]).about(&subject)?
                }
            };
            self.builder.graph.outputs.push(t);
        }
        if self.builder.graph.outputs.is_empty() {
            return Err(Error::invalid("the model has no outputs"));
        }
        Ok(self.builder.graph)
    }
}

/// A graph input: a symbolic batch becomes 1, other symbolic dimensions come from `given` or are refused.
fn input(info: &ValueInfoProto, given: Option<&[usize]>) -> Result<Tensor> {
    let declared = info.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let declared = declared.ok_or_else(|| Error::invalid("it is not a tensor"))?;
    let dtype: Dtype = graph_dtype(declared.elem_type)?;
    let remedy = || format!("give it with --input-shape {}=1x…", info.name);
    let Some(shape) = declared.shape.as_ref() else {
        let given = given.ok_or_else(|| Error::invalid("it has no shape").remedy(remedy()))?;
        return Ok(Tensor::new(&info.name, dtype, given.to_vec()));
    };
    if let Some(given) = given
        && given.len() != shape.dim.len()
    {
        let cause =
            format!("the given shape has {} dimensions, the model's has {}", given.len(), shape.dim.len());
        return Err(Error::invalid(cause));
    }
    let mut dims = Vec::with_capacity(shape.dim.len());
    for (k, dim) in shape.dim.iter().enumerate() {
        let fixed = usize::try_from(dim.dim_value).ok().filter(|&d| d > 0);
        let d = match (fixed, given.map(|g| g[k])) {
            (Some(fixed), Some(given)) if fixed != given => {
                return Err(Error::invalid(format!(
                    "dimension {k} is {fixed} in the model, {given} is given"
                )));
            }
            (Some(d), _) | (None, Some(d)) => d,
            (None, None) if k == 0 => 1,
            (None, None) => {
                let symbol = if dim.dim_param.is_empty() { "?" } else { &dim.dim_param };
                return Err(
                    Error::invalid(format!("dimension {k} is symbolic ('{symbol}')")).remedy(remedy())
                );
            }
        };
        dims.push(d);
    }
    let tensor = Tensor::new(&info.name, dtype, dims);
    tensor.runtime_shape()?;
    Ok(tensor)
}
