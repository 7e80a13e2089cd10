//! Golden vectors: pseudo-random inputs and what the reference kernels make of them.

use samara_runtime::Dtype;
use samara_runtime::ops::eval::Value;

use crate::bundle::Vector;
use crate::error::Result;
use crate::interpret::Interpreter;
use crate::ir::{Graph, Tensor};

/// Most bytes of golden vectors beyond the first: they travel to every device.
const GOLDEN_BUDGET: usize = 8 * 1024;
/// Most golden vectors.
const GOLDEN_VECTORS: usize = 4;

/// The vectors that the device tests itself with, side by side: reference kernels take their time, and only small inputs
/// get more than one vector.
pub(super) fn golden(graph: &Graph) -> Result<Vec<Vector>> {
    let interpreter = &Interpreter::new(graph)?;
    let size: usize = graph.inputs.iter().map(|&t| graph.tensors[t].bytes().unwrap_or(usize::MAX)).sum();
    let vectors = (GOLDEN_BUDGET / size.max(1)).clamp(1, GOLDEN_VECTORS);
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..vectors).map(|v| scope.spawn(move || vector(interpreter, graph, v))).collect();
        runs.into_iter()
            .map(|run| run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn vector(interpreter: &Interpreter<'_>, graph: &Graph, v: usize) -> Result<Vector> {
    let tensors = graph.inputs.iter().enumerate();
    let inputs: Vec<Value> =
        tensors.map(|(i, &t)| noise(&graph.tensors[t], (v * 64 + i) as u64)).collect::<Result<_>>()?;
    let bytes = |values: &[Value]| values.iter().map(|v| v.bytes().to_vec()).collect();
    let kept = bytes(&inputs);
    let outputs = interpreter.run(inputs, |_, _| Ok(()))?;
    Ok(Vector { inputs: kept, outputs: bytes(&outputs) })
}

/// Uniform over an integer type's levels, uniform in [-1, 1] for floats, zeros for indices and flags, which
/// have ranges of their own.
fn noise(tensor: &Tensor, seed: u64) -> Result<Value> {
    let mut value = Value::zeros(tensor.desc()?);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995;
    let mut next = || {
        // xorshift64*, a fixed sequence.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    };
    match tensor.dtype {
        Dtype::I8 | Dtype::U8 | Dtype::I16 => value.bytes_mut().iter_mut().for_each(|b| *b = next() as u8),
        Dtype::F32 => {
            for b in value.bytes_mut().chunks_exact_mut(4) {
                b.copy_from_slice(&(next() as f32 / (1u64 << 31) as f32 - 1.0).to_le_bytes());
            }
        }
        Dtype::I32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {}
    }
    Ok(value)
}
