//! Edits that several passes share.

use crate::ir::{Graph, Node, Op, Quant, Tensor, TensorId};

/// Makes every reader of `old` read `new`, which holds the same values. A graph output keeps its name; false
/// where that is impossible (`new` is an input, a constant or another output), and nothing was done.
pub(super) fn substitute(graph: &mut Graph, old: TensorId, new: TensorId) -> bool {
    if graph.outputs.contains(&old) {
        if graph.inputs.contains(&new) || graph.outputs.contains(&new) || graph.tensors[new].is_constant() {
            return false;
        }
        let name = std::mem::take(&mut graph.tensors[old].name);
        graph.tensors[old].name = std::mem::replace(&mut graph.tensors[new].name, name);
    }
    graph.replace(old, new);
    true
}

/// Inserts a node before position `at`; its output has the given type, shape and parameters.
pub(super) fn insert(
    graph: &mut Graph,
    at: usize,
    name: String,
    op: Op,
    inputs: Vec<Option<TensorId>>,
    output: Tensor,
) -> TensorId {
    let output = graph.add(Tensor { name: name.clone(), data: None, ..output });
    graph.nodes.insert(at, Node { name, op, inputs, outputs: vec![output] });
    output
}

/// The position of the node that alone reads `t`, where there is exactly one reader and it is a node.
pub(super) fn only_reader(graph: &Graph, uses: &[usize], t: TensorId) -> Option<usize> {
    if uses[t] != 1 || graph.outputs.contains(&t) {
        return None;
    }
    graph.nodes.iter().position(|n| n.inputs.contains(&Some(t)))
}

/// Whether two tensors hold elements of the same meaning: type and parameters agree.
pub(super) fn same_meaning(a: &Tensor, b: &Tensor) -> bool {
    fn key(q: &Quant) -> (&[f32], &[i32]) {
        (&q.scale, &q.zero_point)
    }
    a.dtype == b.dtype && a.quant.as_ref().map(key) == b.quant.as_ref().map(key)
}

/// A name that says a tensor holds another's values in another layout.
pub(super) fn moved_name(name: &str) -> String {
    if name.ends_with("/moved") { name.to_owned() } else { format!("{name}/moved") }
}
