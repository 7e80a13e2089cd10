//! Cross-layer equalization: channels of one tensor are scaled to like ranges, so that one scale serves them all.
//!
//! Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (2019), on the ranges
//! that activations were seen to have, with the balance between activations and weights of Xiao et al.,
//! "SmoothQuant" (2022). A layer's output channels are divided by factors and the next layer's input channels
//! multiplied by them; what lies between is positively homogeneous in each channel, so the graph computes the
//! same function. Weights have a scale for each output channel here, so dividing a producer costs nothing and
//! multiplying a depthwise consumer neither; a dense consumer pays, because its input channels share a scale.
//! For the same reason streams do not influence each other, and one pass settles all of them.

mod apply;
mod factors;
mod stream;

use std::collections::BTreeMap;

use super::Range;
use crate::error::Result;
use crate::ir::{Graph, TensorId};

/// How to equalize.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Options {
    /// How much of the difficulty goes from activations to a dense consumer's weights, 0 to 1; depthwise
    /// consumers take all of it. `None` takes, for each stream, the least noise by estimate.
    pub alpha: Option<f32>,
    /// Whether to cross finite caps (ReLU6) with a Minimum of per-channel caps. The solver takes the Minimum out
    /// again where saturation does its work, as it does where ranges become equal.
    pub caps: bool,
    /// How many times its observed range a scaled channel can reach before it saturates, at least 1: unseen data
    /// goes further than what was seen, and scaling takes from small channels the room that large ones gave them.
    pub headroom: f32,
    /// Streams whose estimated noise falls by less are left as they are, in decibels.
    pub least_gain_db: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { alpha: None, caps: true, headroom: 2.0, least_gain_db: 1.0 }
    }
}

/// What was scaled, so that comparisons can undo it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Equalization {
    /// By tensor name: `original[..., c] = factor[c % factors] * stored[..., c]` along the last axis.
    pub factors: BTreeMap<String, Vec<f32>>,
    /// What was done, in the graph's order.
    pub streams: Vec<Scaled>,
    /// Channels that stand out of their tensor, before scaling.
    pub outliers: Vec<Outlier>,
}

/// Tensors that were scaled alike.
#[derive(Clone, PartialEq, Debug)]
pub struct Scaled {
    /// Their names, in the order in which they are computed.
    pub tensors: Vec<String>,
    /// By how much the consumers' noise falls by estimate, in decibels.
    pub gain_db: f64,
    /// Minimum nodes put in for finite caps.
    pub caps: usize,
}

/// A channel whose range is far above its tensor's median channel's.
#[derive(Clone, PartialEq, Debug)]
pub struct Outlier {
    /// The tensor's name.
    pub tensor: String,
    /// Index along the last axis.
    pub channel: usize,
    /// Its range over the median range.
    pub ratio: f32,
}

/// A channel counts as an outlier above this many times the median.
pub const OUTLIER: f32 = 8.0;

/// Scales the channels of a float graph; `channels` gives the observed range of each index along a tensor's
/// last axis. Streams of tensors without observations are left alone. Afterwards ranges are others, so observe
/// again.
pub fn equalize<'r>(
    graph: &mut Graph,
    channels: impl Fn(TensorId) -> Option<&'r [Range]>,
    options: &Options,
) -> Result<Equalization> {
    let mut done = Equalization { outliers: outliers(graph, &channels), ..Equalization::default() };
    let mut caps = Vec::new();
    for stream in stream::find(graph, options.caps) {
        let Some(chosen) = factors::choose(graph, &stream, &channels, options) else { continue };
        if chosen.gain_db < options.least_gain_db {
            continue;
        }
        apply::scale(graph, &stream, &chosen.factors)?;
        let mut tensors: Vec<String> =
            stream.tensors.iter().map(|&t| graph.tensors[t].name.clone()).collect();
        for &n in &stream.capped {
            let cap = apply::Cap { node: n, factors: chosen.factors.clone() };
            tensors.push(cap.uncapped(graph));
            caps.push(cap);
        }
        for name in &tensors {
            done.factors.insert(name.clone(), chosen.factors.clone());
        }
        done.streams.push(Scaled { tensors, gain_db: chosen.gain_db, caps: stream.capped.len() });
    }
    apply::cap(graph, caps)?;
    Ok(done)
}

fn outliers<'r>(graph: &Graph, channels: &impl Fn(TensorId) -> Option<&'r [Range]>) -> Vec<Outlier> {
    let mut found = Vec::new();
    for &t in graph.inputs.iter().chain(graph.nodes.iter().flat_map(|n| &n.outputs)) {
        let reach: Vec<f32> = channels(t).unwrap_or_default().iter().map(factors::reach).collect();
        let mut sorted: Vec<f32> = reach.iter().copied().filter(|&r| r > 0.0).collect();
        sorted.sort_by(f32::total_cmp);
        let Some(&median) = sorted.get(sorted.len() / 2) else { continue };
        for (channel, r) in reach.into_iter().enumerate().filter(|(_, r)| *r > OUTLIER * median) {
            found.push(Outlier { tensor: graph.tensors[t].name.clone(), channel, ratio: r / median });
        }
    }
    found
}
