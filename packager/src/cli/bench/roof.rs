//! What this machine can do on one thread: multiply-accumulates per second on shapes that suit the kernels best, and
//! bytes per second from where a model's memory lies. (Williams, Waterman and Patterson, "Roofline", 2009.)

use std::time::{Duration, Instant};

use samara_runtime::{Bundle, Dtype, Session, ops};

use super::measure::Step;
use crate::bundle;
use crate::error::Result;
use crate::files::AlignedBytes;
use crate::ir::{Activation, Graph, Numeric, Op, Quant, Tensor};
use crate::plan::{self, Kernels};

/// Peaks of this machine, as measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roof {
    /// Billions of int8 multiply-accumulates per second.
    pub(super) int8: f64,
    /// Billions of f32 multiply-accumulates per second.
    pub(super) f32: f64,
    /// Billions of bytes per second, read again and again from as much memory as a run touches.
    pub(super) bandwidth: f64,
}

/// Rows and channels of layers that keep any kernel busy: large enough to fill registers, small enough for caches.
const IDEAL: [(usize, usize); 3] = [(96, 128), (96, 256), (192, 512)];
/// How long each peak is looked for.
const TIME: Duration = Duration::from_millis(60);

impl Roof {
    /// Measures for about a fifth of a second. Where a step of the model itself was faster, that is the peak.
    pub(super) fn measure(touched: usize, steps: &[Step]) -> Result<Self> {
        let own = |is_float: bool| {
            let of = steps.iter().filter(|s| (s.dtypes.0 == Dtype::F32) == is_float);
            of.map(|s| s.macs as f64 / s.time_us.max(1e-3) / 1e3).fold(0.0, f64::max)
        };
        Ok(Roof {
            int8: compute(Dtype::I8)?.max(own(false)),
            f32: compute(Dtype::F32)?.max(own(true)),
            bandwidth: bandwidth(touched),
        })
    }

    /// The least microseconds that a step can take here, and whether `compute` or `memory` says so.
    pub(super) fn least_us(&self, step: &Step) -> (f64, &'static str) {
        let peak = match step.dtypes {
            (Dtype::F32, _) => self.f32,
            _ => self.int8,
        };
        let (compute, memory) = (step.macs as f64 / peak / 1e3, step.bytes as f64 / self.bandwidth / 1e3);
        if compute >= memory { (compute, "compute") } else { (memory, "memory") }
    }
}

/// The most multiply-accumulates per nanosecond that the kernels reach on an ideal shape.
fn compute(dtype: Dtype) -> Result<f64> {
    let mut best = 0.0f64;
    for (rows, channels) in IDEAL {
        let plan = plan::plan(&layer(dtype, rows, channels)?, Kernels::HOST)?;
        let bytes = AlignedBytes::new(&bundle::bare("roof", &plan)?);
        let session = Session::load(&Bundle::check(&bytes)?, ops::ALL)?;
        let mut arena = AlignedBytes::zeros(session.arena_bytes());
        let mut run = session.bind(&mut arena)?;
        run.run()?;
        let nanoseconds = least(TIME / IDEAL.len() as u32, || {
            // The same step on the same memory: it has just succeeded.
            let _done = std::hint::black_box(run.run());
        });
        best = best.max(session.macs() as f64 / nanoseconds);
    }
    Ok(best)
}

/// Bytes per nanosecond of a loop that reads `bytes` of memory, at least a first-level cache's worth.
fn bandwidth(bytes: usize) -> f64 {
    let words = vec![1u64; (bytes / 8).max(2048)];
    let read = || {
        // Eight sums, so that the additions do not wait for each other.
        let mut sums = [0u64; 8];
        for chunk in std::hint::black_box(&words).chunks_exact(8) {
            for (sum, word) in sums.iter_mut().zip(chunk) {
                *sum = sum.wrapping_add(*word);
            }
        }
        std::hint::black_box(sums);
    };
    (words.len() * 8) as f64 / least(TIME, read)
}

/// The least nanoseconds of one call within `time`, and of a few calls in any case.
fn least(time: Duration, mut call: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let (mut least, mut calls) = (f64::INFINITY, 0);
    while calls < 5 || begin.elapsed() < time {
        let start = Instant::now();
        call();
        least = least.min(start.elapsed().as_nanos() as f64);
        calls += 1;
    }
    least.max(1.0)
}

/// A fully connected layer, int8 or f32, of `rows` rows with as many inputs as outputs.
pub(super) fn layer(dtype: Dtype, rows: usize, channels: usize) -> Result<Graph> {
    let mut graph = Graph::new("roof", Numeric::Single);
    let shape = vec![rows, channels];
    let levels: Vec<i8> =
        (0..channels * channels).map(|i| (i % 251) as u8 as i8).map(|l| l.max(-127)).collect();
    let (x, weights, bias) = match dtype {
        Dtype::F32 => (
            Tensor::new("x", dtype, shape),
            Tensor::constant(
                "w",
                dtype,
                vec![channels; 2],
                &levels.iter().map(|&l| f32::from(l)).collect::<Vec<_>>(),
            ),
            Tensor::constant("b", dtype, vec![channels], &vec![0f32; channels]),
        ),
        _ => (
            Tensor::new("x", Dtype::I8, shape).quantized(Quant::per_tensor(0.05, -3)),
            Tensor::constant("w", Dtype::I8, vec![channels; 2], &levels)
                .quantized(per_channel(0.01, channels)),
            Tensor::constant("b", Dtype::I32, vec![channels], &vec![0i32; channels])
                .quantized(per_channel(0.05 * 0.01, channels)),
        ),
    };
    let operands = [x, weights, bias].map(|t| Some(graph.add(t)));
    let y = graph.push("y", Op::FullyConnected { activation: Activation::NONE }, &operands)?;
    if dtype != Dtype::F32 {
        graph.tensors[y].quant = Some(Quant::per_tensor(0.5, 4));
    }
    graph.inputs.extend(operands[0]);
    graph.outputs.push(y);
    Ok(graph)
}

fn per_channel(scale: f32, channels: usize) -> Quant {
    Quant { scale: vec![scale; channels], zero_point: vec![0; channels], axis: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_roof_counts() {
        let roof = Roof { int8: 100.0, f32: 10.0, bandwidth: 20.0 };
        let step = |dtype, macs, bytes| Step {
            name: "conv_2d",
            kernel: "k",
            dtypes: (dtype, None),
            macs,
            bytes,
            time_us: 1.0,
        };
        assert_eq!(roof.least_us(&step(Dtype::I8, 1_000_000, 20_000)), (10.0, "compute"));
        assert_eq!(roof.least_us(&step(Dtype::F32, 1_000_000, 20_000)), (100.0, "compute"));
        assert_eq!(roof.least_us(&step(Dtype::I8, 1_000, 40_000)), (2.0, "memory"));
    }
}
