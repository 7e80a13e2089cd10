//! What every graph must satisfy before anything works on it, whichever format it came from.

use samara_runtime::Dtype;

use crate::error::{About, Error, Result};
use crate::ir::{Graph, Node, Op, Tensor, TensorId};
use crate::lower;
use crate::lower::multiplier::levels;

/// Checks order (every operand is an input, a constant or made before), names, shapes (also against the runtime's
/// inference), constants' sizes and quantization parameters; errors name the node and the tensor.
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
            let made = graph.producers().contains_key(&t);
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
    check_result(graph, node)
}

/// Compares the recorded result with the runtime's own inference. What has no inference is refused by the
/// lowering, which knows why.
fn check_result(graph: &Graph, node: &Node) -> Result<()> {
    let inputs = node.inputs.iter().map(|i| i.map(|t| &graph.tensors[t])).collect();
    let (Ok(inferred), &[first, ..]) = (lower::infer(&node.op, inputs), &node.outputs[..]) else {
        return Ok(());
    };
    let recorded = &graph.tensors[first];
    // The type of these is the recorded one's by definition.
    let typed = !matches!(node.op, Op::Quantize);
    if recorded.shape != inferred.shape || (typed && recorded.dtype != inferred.dtype) {
        return Err(Error::invalid(format!(
            "it is {} {:?} in the file, but {} {:?} by its operands",
            recorded.dtype.name(),
            recorded.shape,
            inferred.dtype.name(),
            inferred.shape
        )))
        .about(subject(recorded));
    }
    Ok(())
}

/// Shape within the runtime's limits, data that fills it, and sound quantization parameters.
fn check_tensor(tensor: &Tensor) -> Result<()> {
    let shape = tensor.runtime_shape()?;
    if let Some(data) = &tensor.data {
        let wanted = tensor.dtype.bytes(shape.elements()).unwrap_or(usize::MAX);
        if data.len() != wanted {
            return Err(Error::invalid(format!(
                "its data has {} bytes, its shape needs {wanted}",
                data.len()
            )));
        }
    }
    if tensor.dtype.is_constant_only() && !tensor.is_constant() {
        return Err(Error::invalid(format!("{} is for constants only", tensor.dtype.name())));
    }
    let Some(quant) = &tensor.quant else { return Ok(()) };
    // A float constant may say which grid its values lie on.
    let grid = tensor.dtype == Dtype::F32 && tensor.is_constant();
    if matches!(tensor.dtype, Dtype::F32 | Dtype::F16 | Dtype::Bool) && !grid {
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
    let (lo, hi) = levels(if grid { Dtype::I32 } else { tensor.dtype })?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Activation, Numeric, Quant};

    /// `x -> Clamp -> y -> Clamp -> z`
    fn graph() -> Graph {
        let mut g = Graph::new("g", Numeric::Tflite);
        let tensor =
            |name: &str| Tensor::new(name, Dtype::I8, vec![1, 2]).quantized(Quant::per_tensor(0.5, 0));
        let [x, y, z] = ["x", "y", "z"].map(|name| g.add(tensor(name)));
        for (from, to) in [(x, y), (y, z)] {
            let name = g.tensors[to].name.clone();
            let op = Op::Clamp { activation: Activation::RELU };
            g.nodes.push(Node { name, op, inputs: vec![Some(from)], outputs: vec![to] });
        }
        (g.inputs, g.outputs) = (vec![x], vec![z]);
        g
    }

    #[track_caller]
    fn refused(edit: impl FnOnce(&mut Graph), with: &str) {
        let mut g = graph();
        edit(&mut g);
        let message = check(&g).unwrap_err().to_string();
        assert!(message.contains(with), "{message}");
    }

    #[test]
    fn a_sound_graph() {
        check(&graph()).unwrap();
    }

    #[test]
    fn order() {
        refused(|g| g.nodes.swap(0, 1), "node 'z' (Clamp): tensor 'y': it is read before it is made");
        refused(|g| drop(g.nodes.remove(0)), "tensor 'y': nothing makes it");
        refused(|g| g.nodes[1].outputs = vec![1], "tensor 'y': it is made twice");
        refused(|g| g.nodes[0].outputs.clear(), "node 'y' (Clamp): it has no result");
        refused(|g| g.nodes[0].inputs[0] = Some(9), "there is no tensor 9");
    }

    #[test]
    fn boundaries() {
        refused(|g| g.outputs.clear(), "no output");
        refused(|g| drop(g.nodes.pop()), "tensor 'z': nothing makes this output");
        refused(|g| g.inputs.push(0), "tensor 'x': it is an input of the model twice");
        refused(|g| g.tensors[0].data = Some(vec![0; 2]), "an input of the model and a constant");
        refused(
            |g| {
                g.tensors[2].name = "y".into();
                g.outputs.push(1);
            },
            "two inputs or two outputs of the model are called 'y'",
        );
    }

    #[test]
    fn tensors() {
        let quant = |scale, zero| Some(Quant::per_tensor(scale, zero));
        refused(|g| g.tensors[1].quant = quant(0.0, 0), "tensor 'y': its scale is 0");
        refused(|g| g.tensors[1].quant = quant(f32::NAN, 0), "its scale is NaN");
        refused(|g| g.tensors[1].quant = quant(1.0, -129), "its zero point -129 is outside int8");
        refused(
            |g| g.tensors[1].quant = Some(Quant { scale: vec![1.0; 3], zero_point: vec![0; 3], axis: 1 }),
            "3 scales and 3 zero points do not fit axis 1",
        );
        refused(|g| g.tensors[0].dtype = Dtype::F32, "float32 values have quantization parameters");
        refused(|g| g.tensors[0].dtype = Dtype::F16, "tensor 'x': float16 is for constants only");
        refused(|g| g.tensors[1].dtype = Dtype::I4, "tensor 'y': int4 is for constants only");
        refused(|g| g.tensors[1].shape = vec![1, 0], "tensor 'y'");
        refused(|g| g.tensors[1].shape = vec![1 << 20; 2], "tensor 'y'");
        refused(|g| g.tensors[1].shape = vec![1; 7], "tensor 'y'");
        refused(
            |g| {
                let short = Tensor { data: Some(vec![0; 3]), ..Tensor::new("c", Dtype::I8, vec![4]) };
                let c = g.add(short);
                g.nodes[1].inputs.push(Some(c));
            },
            "tensor 'c': its data has 3 bytes, its shape needs 4",
        );
    }

    #[test]
    fn recorded_results_are_the_inferred_ones() {
        let mut g = Graph::new("g", Numeric::Tflite);
        let x = g.add(Tensor::new("x", Dtype::F32, vec![1, 4, 4, 1]));
        let w = g.add(Tensor::constant("w", Dtype::F32, vec![2, 1, 1, 1], &[1.0f32, 2.0]));
        let window = samara_runtime::ops::Window::UNIT;
        let op = Op::Conv2d { window, groups: 1, activation: Activation::NONE };
        let y = g.push("y", op, &[Some(x), Some(w)]).unwrap();
        (g.inputs, g.outputs) = (vec![x], vec![y]);
        check(&g).unwrap();
        g.tensors[y].shape = vec![1, 4, 4, 3];
        let message = check(&g).unwrap_err().to_string();
        assert!(message.contains("float32 [1, 4, 4, 3] in the file, but float32 [1, 4, 4, 2]"), "{message}");
    }
}
