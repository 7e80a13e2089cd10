//! What every graph must satisfy before anything works on it, whichever format it came from.

use samara_runtime::Dtype;

use crate::error::{About, Error, Result};
use crate::ir::{Graph, Node, Tensor, TensorId};
use crate::lower::multiplier::levels;

/// Checks order (every operand is an input, a constant or made before), names, shapes, constants' sizes and
/// quantization parameters; errors name the node and the tensor.
pub fn check(graph: &Graph) -> Result<()> {
    let mut known = vec![false; graph.tensors.len()];
    for &t in &graph.inputs {
        let tensor = in_range(graph, t).about("an input of the model")?;
        if tensor.is_constant() {
            return Err(Error::invalid("it is an input of the model and a constant")).about(subject(tensor));
        }
        if std::mem::replace(&mut known[t], true) {
            return Err(Error::invalid("it is an input of the model twice")).about(subject(tensor));
        }
        check_tensor(tensor).about(subject(tensor))?;
    }
    for node in &graph.nodes {
        check_node(graph, node, &mut known).about(format_args!(
            "node '{}' ({})",
            node.name,
            node.op.name()
        ))?;
    }
    if graph.outputs.is_empty() {
        return Err(Error::invalid("the model has no output"));
    }
    for &t in &graph.outputs {
        let tensor = in_range(graph, t).about("an output of the model")?;
        if !known[t] && !tensor.is_constant() {
            return Err(Error::invalid("nothing makes this output of the model")).about(subject(tensor));
        }
        check_tensor(tensor).about(subject(tensor))?;
    }
    unique_names(graph)
}

fn subject(tensor: &Tensor) -> String {
    format!("tensor '{}'", tensor.name)
}

fn in_range(graph: &Graph, t: TensorId) -> Result<&Tensor> {
    graph.tensors.get(t).ok_or_else(|| Error::invalid(format!("there is no tensor {t}")))
}

fn check_node(graph: &Graph, node: &Node, known: &mut [bool]) -> Result<()> {
    for &t in node.inputs.iter().flatten() {
        let tensor = in_range(graph, t)?;
        if !known[t] && !tensor.is_constant() {
            let made = graph.nodes.iter().any(|n| n.outputs.contains(&t));
            let cause = if made { "it is read before it is made" } else { "nothing makes it" };
            return Err(Error::invalid(cause)).about(subject(tensor));
        }
        check_tensor(tensor).about(subject(tensor))?;
    }
    if node.outputs.is_empty() {
        return Err(Error::invalid("it has no result"));
    }
    for &t in &node.outputs {
        let tensor = in_range(graph, t)?;
        if tensor.is_constant() {
            return Err(Error::invalid("it is a constant and a result")).about(subject(tensor));
        }
        if std::mem::replace(&mut known[t], true) {
            return Err(Error::invalid("it is made twice or is an input")).about(subject(tensor));
        }
        check_tensor(tensor).about(subject(tensor))?;
    }
    Ok(())
}

/// Shape within the runtime's limits, data that fills it, and sound quantization parameters.
fn check_tensor(tensor: &Tensor) -> Result<()> {
    let shape = tensor.runtime_shape()?;
    if let Some(data) = &tensor.data {
        let wanted = shape.elements() * tensor.dtype.size();
        if data.len() != wanted {
            return Err(Error::invalid(format!(
                "its data has {} bytes, its shape needs {wanted}",
                data.len()
            )));
        }
    }
    let Some(quant) = &tensor.quant else { return Ok(()) };
    if matches!(tensor.dtype, Dtype::F32 | Dtype::Bool) {
        return Err(Error::invalid(format!("{} values have quantization parameters", tensor.dtype.name())));
    }
    let (scales, zero_points) = (quant.scale.len(), quant.zero_point.len());
    if scales != zero_points || (scales != 1 && tensor.shape.get(quant.axis) != Some(&scales)) {
        let cause = format!("{scales} scales and {zero_points} zero points do not fit axis {}", quant.axis);
        return Err(Error::invalid(cause));
    }
    if let Some(scale) = quant.scale.iter().find(|s| !s.is_finite() || **s <= 0.0) {
        return Err(Error::invalid(format!("its scale is {scale}; scales are positive and finite")));
    }
    let (lo, hi) = levels(tensor.dtype)?;
    if let Some(z) = quant.zero_point.iter().find(|z| !(lo..=hi).contains(z)) {
        return Err(Error::invalid(format!("its zero point {z} is outside {}", tensor.dtype.name())));
    }
    Ok(())
}

/// Inputs and outputs are addressed by name.
fn unique_names(graph: &Graph) -> Result<()> {
    for side in [&graph.inputs, &graph.outputs] {
        let mut names: Vec<&str> = side.iter().map(|&t| &graph.tensors[t].name[..]).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|p| p[0] == p[1]) {
            let cause = format!("two inputs or two outputs of the model are called '{}'", pair[0]);
            return Err(Error::invalid(cause));
        }
    }
    Ok(())
}
