//! Padding becomes part of the window behind it.

use samara_runtime::ops::Window;

use super::activation::fused;
use super::rewrite::only_reader;
use crate::error::Result;
use crate::ir::{Graph, Op, PoolKind, TensorId};

/// Fuses spatial Pads into convolutions (zeros), average pools (zeros that count) and max pools.
pub(super) fn run(graph: &mut Graph) -> Result<bool> {
    let mut changed = false;
    for n in 0..graph.nodes.len() {
        changed |= fuse(graph, n).is_some();
    }
    Ok(changed)
}

fn fuse(graph: &mut Graph, n: usize) -> Option<()> {
    let Op::Pad { before, after, value } = &graph.nodes[n].op else { return None };
    let (&[0, top, left, 0], &[0, bottom, right, 0]) = (&before[..], &after[..]) else { return None };
    let (amounts, value) = ([top, left, bottom, right], *value);
    let (x, y) = (graph.nodes[n].inputs[0]?, graph.nodes[n].outputs[0]);
    let reader = only_reader(graph, &graph.uses(), y)?;
    if graph.nodes[reader].inputs[0] != Some(y) {
        return None;
    }
    let never_negative = never_negative(graph, x);
    match &mut graph.nodes[reader].op {
        Op::Conv2d { window, .. } | Op::DepthwiseConv2d { window, .. } if value == 0.0 => {
            *window = widened(window, amounts)?;
        }
        Op::Pool2d { kind: PoolKind::Average { count_include_pad }, window, .. }
            if value == 0.0 && (*count_include_pad || window.pad == [0; 4]) =>
        {
            *window = widened(window, amounts)?;
            *count_include_pad = true;
        }
        Op::Pool2d { kind: PoolKind::Max, window, size, .. } => {
            // The pool ignores padding, so the pad's value must never win, and no window may lie in it wholly.
            let loses = value == f32::NEG_INFINITY || (value == 0.0 && never_negative);
            let inside = (0..4).all(|k| amounts[k] < size[k % 2] as usize) && window.pad == [0; 4];
            if !(loses && inside && window.dilation == [1, 1]) {
                return None;
            }
            *window = widened(window, amounts)?;
        }
        _ => return None,
    }
    graph.nodes[reader].inputs[0] = Some(x);
    Some(())
}

fn widened(window: &Window, amounts: [usize; 4]) -> Option<Window> {
    let mut wider = *window;
    for (pad, amount) in wider.pad.iter_mut().zip(amounts) {
        *pad = pad.checked_add(u16::try_from(amount).ok()?)?;
    }
    Some(wider)
}

/// Whether the tensor is the output of an operator that clamps at or above zero.
fn never_negative(graph: &Graph, t: TensorId) -> bool {
    let maker = graph.nodes.iter().find(|n| n.outputs.contains(&t));
    maker.is_some_and(|n| fused(&mut n.op.clone()).is_some_and(|a| a.lo >= 0.0))
}
