//! Writes codes, tables and biases as constants of the graph.

use samara_runtime::Dtype;

use super::bias::Input;
use super::coded::Coded;
use super::grid::Levels;
use super::layer::Layer;
use crate::error::{Error, Result};
use crate::ir::{Graph, Node, Quant, Tensor};
use crate::quantize::Activations;

/// Puts codes and what decodes them in place of a node's weights.
pub(crate) fn weights(graph: &mut Graph, node: &mut Node, layer: &Layer, coded: &Coded) -> Result<()> {
    // A second quantization of the same node keeps the first one's name.
    let name = match graph.input(node, 1) {
        Some(t) => t.name.clone(),
        None => return Err(Error::invalid("it has no weights")),
    };
    let source = NAMES.iter().find_map(|n| name.strip_suffix(n)).unwrap_or(&name).to_owned();
    let shape = layer.shape.clone();
    let (tensor, table) = match coded.grids.first().map(|g| &g.levels) {
        Some(Levels::Uniform { limit: 127 }) => {
            (Tensor::constant(format!("{source}{INT8}"), Dtype::I8, shape, &coded.codes), None)
        }
        Some(Levels::Uniform { .. }) => (int4(&source, shape, coded), None),
        Some(Levels::Grouped { .. }) => {
            let rows = coded.grids.iter().map(|g| match &g.levels {
                Levels::Grouped { multipliers, .. } => &multipliers[..],
                Levels::Uniform { .. } | Levels::Table(_) => &[],
            });
            let multipliers = rows.collect::<Vec<_>>().concat();
            let shape_of = vec![layer.channels, multipliers.len() / layer.channels];
            let name = format!("{source}/multipliers");
            (int4(&source, shape, coded), Some(Tensor::constant(name, Dtype::I8, shape_of, &multipliers)))
        }
        Some(Levels::Table(_)) => {
            let tables = coded.tables();
            let name = format!("{source}/table");
            let table = Tensor::constant(name, Dtype::I8, vec![tables.len(), 16], tables.as_flattened());
            let name = format!("{source}{PALETTE}");
            (Tensor::packed4(name, Dtype::U4, shape, &coded.codes), Some(table))
        }
        None => return Err(Error::invalid("it has no output channels")),
    };
    let scale: Vec<f32> = coded.grids.iter().map(|g| g.scale as f32).collect();
    let quant = Quant { zero_point: vec![0; layer.channels], scale, axis: layer.axis() };
    let id = graph.add(tensor.quantized(quant));
    set(node, 1, Some(id));
    let table = table.map(|table| graph.add(table));
    if table.is_some() || node.inputs.len() > 3 {
        set(node, 3, table);
    }
    Ok(())
}

/// What is added to the name of weights.
const NAMES: [&str; 3] = [INT8, INT4, PALETTE];
const INT8: &str = "/int8";
const INT4: &str = "/int4";
const PALETTE: &str = "/palette";

fn int4(source: &str, shape: Vec<usize>, coded: &Coded) -> Tensor {
    Tensor::packed4(format!("{source}{INT4}"), Dtype::I4, shape, &coded.codes)
}

/// Puts a bias in place of a node's, or adds one; `None` leaves the node without.
pub(crate) fn bias(graph: &mut Graph, node: &mut Node, coded: &Coded, reals: Option<&[f64]>, input: &Input) {
    let Some(reals) = reals else { return };
    let source = graph.input(node, 2).map_or_else(|| format!("{}/bias", node.name), |t| t.name.clone());
    let source = source.strip_suffix(INT32).or(source.strip_suffix(INT64)).unwrap_or(&source).to_owned();
    let shape = vec![reals.len()];
    let (scale, format) = match input {
        Input::Float => {
            let values: Vec<f32> = reals.iter().map(|&b| b as f32).collect();
            let id = graph.add(Tensor::constant(source, Dtype::F32, shape, &values));
            return set(node, 2, Some(id));
        }
        Input::Integer { scale, format, .. } => (scale, format),
    };
    let levels: Vec<i64> = reals.iter().zip(&coded.grids).map(|(&b, g)| input.level(b, g.scale)).collect();
    let tensor = if *format == Activations::Int16 {
        Tensor::constant(format!("{source}{INT64}"), Dtype::I64, shape, &levels)
    } else {
        let levels: Vec<i32> = levels.iter().map(|&l| l as i32).collect();
        Tensor::constant(format!("{source}{INT32}"), Dtype::I32, shape, &levels)
    };
    let scales = coded.grids.iter().map(|g| g.scale as f32 * scale).collect();
    let quant = Quant { zero_point: vec![0; reals.len()], scale: scales, axis: 0 };
    let id = graph.add(tensor.quantized(quant));
    set(node, 2, Some(id));
}

const INT32: &str = "/int32";
const INT64: &str = "/int64";

/// Puts float16 weights in place of a node's, to nearest; refuses ones beyond its range.
pub(crate) fn f16(graph: &mut Graph, node: &mut Node, layer: &Layer) -> Result<()> {
    let halves: Vec<u16> = layer.values.iter().map(|&w| half::f16::from_f32(w).to_bits()).collect();
    if let Some(i) = halves.iter().position(|&b| !half::f16::from_bits(b).is_finite()) {
        let cause = format!("weight {i} ({}) is beyond float16", layer.values[i]);
        return Err(Error::invalid(cause).remedy("keep this layer's weights float32"));
    }
    let name = graph.input(node, 1).map_or_else(String::new, |t| format!("{}/float16", t.name));
    let id = graph.add(Tensor::constant(name, Dtype::F16, layer.shape.clone(), &halves));
    set(node, 1, Some(id));
    Ok(())
}

/// Operand `i` of a node, which may be past its last.
fn set(node: &mut Node, i: usize, id: Option<usize>) {
    if node.inputs.len() <= i {
        node.inputs.resize(i + 1, None);
    }
    node.inputs[i] = id;
}
