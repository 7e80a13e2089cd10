//! What float models share whose graph another library's operators run.

use samara_packager::ir::{Graph, Node};
use samara_packager::{import, interpret, pipeline};
use samara_runtime::ops::eval::Value;

use std::path::Path;

/// Reads a model of one input and one output; their numbers come with it.
pub(crate) fn read(path: &Path) -> Result<(Graph, usize, usize), String> {
    let graph = pipeline::import(path, &import::Options::default()).map_err(|e| e.to_string())?;
    match (&graph.inputs[..], &graph.outputs[..]) {
        (&[input], &[output]) => Ok((graph, input, output)),
        _ => Err("the model has several inputs or outputs".into()),
    }
}

/// Values and shape.
pub(crate) type Constant = (Vec<f32>, Vec<usize>);

/// A node's constant operand; `None` where it is absent.
pub(crate) fn constant(graph: &Graph, node: &Node, i: usize) -> Result<Option<Constant>, String> {
    let Some(tensor) = graph.input(node, i) else { return Ok(None) };
    let data = tensor.f32s().ok_or_else(|| format!("'{}': input {i} is no float constant", node.name))?;
    Ok(Some((data, tensor.shape.clone())))
}

/// Compares a library's output for this input with the interpreter's.
pub(crate) fn compare(graph: &Graph, input: &[f32], own: &[f32]) -> Result<(), String> {
    let desc = graph.tensors[graph.inputs[0]].desc().map_err(|e| e.to_string())?;
    let mut value = Value::zeros(desc);
    value.bytes_mut().copy_from_slice(bytemuck::cast_slice(input));
    let interpreter = interpret::Interpreter::new(graph).map_err(|e| e.to_string())?;
    let outputs = interpreter.run(vec![value], |_, _| Ok(())).map_err(|e| e.to_string())?;
    let bytes = outputs[0].bytes().chunks_exact(4);
    let right: Vec<f32> = bytes.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let largest = right.iter().fold(0.0f32, |m, y| m.max(y.abs()));
    let off = own.iter().zip(&right).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
    if own.len() != right.len() || off > 1e-3 * largest {
        return Err(format!("its output is off by {off} of {largest}"));
    }
    Ok(())
}
