//! Which factors: candidates between leaving channels as they are and making their ranges equal, judged by an
//! estimate of the noise that 8 bits add to the consumers' outputs.

use super::super::Range;
use super::Options;
use super::apply::Layer;
use super::stream::Stream;
use crate::ir::{Graph, TensorId};

/// Greatest factor between a tensor's channels: below that share of the greatest, a channel's range says more of
/// the samples than of the channel.
const SPREAD: f64 = 65536.0;
/// Exponents of the activation range that are tried.
const ALPHAS: [f64; 4] = [0.25, 0.5, 0.75, 1.0];
/// An activation's least and greatest value are taken to be so many standard deviations from zero.
const DEVIATIONS: f64 = 4.0;

/// Factors for a stream, and how far they lower the noise by estimate.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) factors: Vec<f32>,
    pub(super) gain_db: f64,
}

/// Greatest distance from zero.
pub(super) fn reach(range: &Range) -> f32 {
    range.hi.max(-range.lo).max(0.0)
}

/// The factors with the least estimated noise, or those of `alpha`; none where a tensor was not observed.
pub(super) fn choose<'r>(
    graph: &Graph,
    stream: &Stream,
    channels: &impl Fn(TensorId) -> Option<&'r [Range]>,
    options: &Options,
) -> Option<Chosen> {
    let read: Vec<(TensorId, Layer)> = stream
        .consumers
        .iter()
        .map(|&n| Some((graph.nodes[n].inputs.first().copied().flatten()?, Layer::of(graph, n)?)))
        .collect::<Option<_>>()?;
    let fold = |t: TensorId| Some(Folded::of(channels(t)?, stream.channels));
    let tensors: Vec<Folded> = stream.tensors.iter().map(|&t| fold(t)).collect::<Option<_>>()?;
    let inputs: Vec<Folded> = read.iter().map(|&(t, _)| fold(t)).collect::<Option<_>>()?;
    let ranges = relative(&tensors, stream.channels);
    let dense = read.iter().any(|(_, layer)| !layer.depthwise);
    let columns = columns(read.iter().map(|(_, layer)| layer), stream.channels);
    let scaled = |alpha: f64, cost: f64| -> Vec<f64> {
        let one = |(&r, &u): (&f64, &f64)| {
            let weight = if dense && u > 0.0 { libm::pow(u, cost) } else { 1.0 };
            // A channel that never left zero has no range to go by.
            if r > 0.0 { libm::pow(r, if dense { alpha } else { 1.0 }) / weight } else { f64::NAN }
        };
        let factors = normalized(ranges.iter().zip(&columns).map(one).collect(), &tensors, &columns);
        let room = |(f, &r): (f64, &f64)| f.max((options.headroom as f64 * r).min(1.0)) as f32 as f64;
        factors.into_iter().zip(&ranges).map(room).collect()
    };
    let noise = |factors: &[f64]| -> f64 {
        let of = |((_, layer), input): (&(TensorId, Layer), &Folded)| layer_noise(layer, input, factors);
        read.iter().zip(&inputs).map(of).sum::<f64>() / read.len() as f64
    };
    let before = noise(&vec![1.0; stream.channels]);
    let candidates: Vec<Vec<f64>> = match options.alpha {
        Some(alpha) => vec![scaled(alpha as f64, 1.0 - alpha as f64)],
        None => ALPHAS.iter().flat_map(|&a| [scaled(a, 1.0 - a), scaled(a, 0.0)]).collect(),
    };
    let judged = candidates.into_iter().map(|c| (noise(&c), c));
    let (after, factors) = judged.reduce(|best, next| if next.0 < best.0 { next } else { best })?;
    let gain_db = if after > 0.0 && before > 0.0 { 10.0 * libm::log10(before / after) } else { 0.0 };
    Some(Chosen { factors: factors.into_iter().map(|f| f as f32).collect(), gain_db })
}

/// A tensor's ranges by factor.
struct Folded(Vec<Range>);

impl Folded {
    fn of(channels: &[Range], count: usize) -> Self {
        let mut folded = vec![Range::EMPTY; count];
        for (c, &range) in channels.iter().enumerate() {
            folded[c % count] = folded[c % count].with(range);
        }
        Folded(folded)
    }

    /// Width of the whole tensor's range around zero, its channels divided by factors.
    fn width(&self, factors: &[f64]) -> f64 {
        let (mut lo, mut hi) = (0f64, 0f64);
        for (r, f) in self.0.iter().zip(factors) {
            lo = lo.min(r.lo as f64 / f);
            hi = hi.max(r.hi as f64 / f);
        }
        hi - lo
    }
}

/// Each channel's range as a share of its tensor's greatest, the greatest share over all tensors.
fn relative(tensors: &[Folded], count: usize) -> Vec<f64> {
    let mut shares = vec![0f64; count];
    for tensor in tensors {
        let most = tensor.0.iter().map(reach).fold(0f32, f32::max) as f64;
        for (share, range) in shares.iter_mut().zip(&tensor.0).filter(|_| most > 0.0) {
            *share = share.max(reach(range) as f64 / most);
        }
    }
    shares.into_iter().map(|s| if s > 0.0 { s.max(1.0 / SPREAD) } else { 0.0 }).collect()
}

/// Each input channel's greatest weight as a share of its output channel's greatest, over all dense consumers.
fn columns<'l>(layers: impl Iterator<Item = &'l Layer>, count: usize) -> Vec<f64> {
    let mut shares = vec![0f64; count];
    for layer in layers.filter(|l| !l.depthwise) {
        let mut most = vec![0f64; layer.outputs];
        layer.each(|_, o, w| most[o] = most[o].max((w as f64).abs()));
        layer.each(|i, o, w| {
            if most[o] > 0.0 {
                let share = &mut shares[i % count];
                *share = share.max((w as f64).abs() / most[o]);
            }
        });
    }
    shares
}

/// Within [`SPREAD`] of 1, and so that no tensor's range grows. Channels that never left zero have NaN: they keep
/// 1, or less where their weights would stand out of the scaled ones and take the consumers' levels.
fn normalized(factors: Vec<f64>, tensors: &[Folded], columns: &[f64]) -> Vec<f64> {
    let ones = vec![1.0; factors.len()];
    let known: Vec<f64> = factors.iter().map(|f| if f.is_nan() { f64::INFINITY } else { *f }).collect();
    let growth = |t: &Folded| {
        let whole = t.width(&ones);
        if whole > 0.0 { t.width(&known) / whole } else { 0.0 }
    };
    let growth = tensors.iter().map(growth).fold(0f64, f64::max);
    let growth = if growth > 0.0 { growth } else { 1.0 };
    let live = factors.iter().zip(columns).filter(|(f, _)| !f.is_nan());
    let heaviest = live.map(|(f, u)| f * growth * u).fold(0f64, f64::max);
    let one = |(f, &u): (f64, &f64)| {
        let f = match f.is_nan() {
            true if heaviest > 0.0 && u > heaviest => heaviest / u,
            true => 1.0,
            false => f * growth,
        };
        // Rounded here, so that the estimate judges what is applied.
        f.clamp(1.0 / SPREAD, SPREAD) as f32 as f64
    };
    factors.into_iter().zip(columns).map(one).collect()
}

/// Mean over output channels of noise power to signal power at a consumer's output, at most 1 each: 8-bit
/// activations with one scale, 8-bit weights with one scale for each output channel.
fn layer_noise(layer: &Layer, input: &Folded, factors: &[f64]) -> f64 {
    let count = factors.len();
    let step = input.width(factors) / 255.0;
    let power = |c: usize| {
        let deviation = reach(&input.0[c]) as f64 / DEVIATIONS;
        deviation * deviation
    };
    let mut signal = vec![0f64; layer.outputs];
    let mut activation = vec![0f64; layer.outputs];
    let mut spread = vec![0f64; layer.outputs];
    let mut greatest = vec![0f64; layer.outputs];
    layer.each(|i, o, w| {
        let (w, f, p) = (w as f64, factors[i % count], power(i % count));
        signal[o] += w * w * p;
        activation[o] += w * w * f * f;
        spread[o] += p / (f * f);
        greatest[o] = greatest[o].max((w * f).abs());
    });
    let (mut sum, mut live) = (0f64, 0usize);
    for o in (0..layer.outputs).filter(|&o| signal[o] > 0.0) {
        let weight_step = greatest[o] / 127.0;
        let noise = (step * step * activation[o] + weight_step * weight_step * spread[o]) / 12.0;
        sum += (noise / signal[o]).min(1.0);
        live += 1;
    }
    if live > 0 { sum / live as f64 } else { 0.0 }
}
