//! Rewrites float operations that have no integer form into ones that have.

use samara_runtime::Dtype;

use crate::error::Result;
use crate::ir::{Binary, Function, Graph, Node, Op, Tensor};

/// Division becomes multiplication by the reciprocal: of a constant ahead of time, of an activation by a table.
pub fn prepare(graph: &mut Graph) -> Result<()> {
    let nodes = std::mem::take(&mut graph.nodes);
    for mut node in nodes {
        if let Op::Binary { kind: Binary::Div, activation } = node.op
            && let Some(divisor) = node.inputs.get(1).copied().flatten()
            && graph.tensors[divisor].dtype == Dtype::F32
        {
            let Tensor { name, shape, .. } = graph.tensors[divisor].clone();
            let name = format!("{name}/reciprocal");
            let inverse = match graph.tensors[divisor].f32s() {
                Some(values) => {
                    let inverse: Vec<f32> = values.iter().map(|&v| 1.0 / v).collect();
                    graph.add(Tensor::constant(name, Dtype::F32, shape, &inverse))
                }
                None => {
                    let out = graph.add(Tensor::new(name.clone(), Dtype::F32, shape));
                    let op = Op::Unary { function: Function::Reciprocal };
                    graph.nodes.push(Node { name, op, inputs: vec![Some(divisor)], outputs: vec![out] });
                    out
                }
            };
            node.op = Op::Binary { kind: Binary::Mul, activation };
            node.inputs[1] = Some(inverse);
        }
        graph.nodes.push(node);
    }
    Ok(())
}
