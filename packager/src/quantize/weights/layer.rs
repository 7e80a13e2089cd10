//! The constants of a convolution or fully connected node, by output channel.

use crate::error::{Error, Result};
use crate::ir::{Graph, Node, Op};

/// Float weights and bias of one node; weight `k` of channel `o` stands at [`Layer::index`] of the storage order.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// Weights in storage order.
    pub(crate) values: Vec<f32>,
    /// The weights' shape.
    pub(crate) shape: Vec<usize>,
    /// One per output channel, where the node has a bias.
    pub(crate) bias: Option<Vec<f32>>,
    /// Output channels.
    pub(crate) channels: usize,
    /// Weights of one output channel.
    pub(crate) inner: usize,
    /// Whether the output channel is the last dimension, not the first.
    pub(crate) depthwise: bool,
}

impl Layer {
    /// From a node of a float graph; fails where weights or bias are no float constants.
    pub(crate) fn of(graph: &Graph, node: &Node) -> Result<Self> {
        let weights = graph.input(node, 1).ok_or_else(|| Error::invalid("it has no weights"))?;
        let values = weights.f32s().ok_or_else(|| Error::invalid("its weights are not constant floats"))?;
        let depthwise = matches!(node.op, Op::DepthwiseConv2d { .. });
        let axis = if depthwise { weights.shape.last() } else { weights.shape.first() };
        let channels = *axis.ok_or_else(|| Error::invalid("its weights have no dimensions"))?;
        let bias = match graph.input(node, 2) {
            Some(t) => Some(t.f32s().ok_or_else(|| Error::invalid("its bias is not constant floats"))?),
            None => None,
        };
        if channels == 0 || values.is_empty() || bias.as_ref().is_some_and(|b| b.len() != channels) {
            return Err(Error::invalid("its weights and bias do not fit each other"));
        }
        if !values.iter().chain(bias.iter().flatten()).all(|v| v.is_finite()) {
            return Err(Error::invalid("a weight or bias is not finite"));
        }
        let inner = values.len() / channels;
        Ok(Layer { values, shape: weights.shape.clone(), bias, channels, inner, depthwise })
    }

    /// Place of weight `k` of channel `o`.
    pub(crate) fn index(&self, o: usize, k: usize) -> usize {
        if self.depthwise { k * self.channels + o } else { o * self.inner + k }
    }

    /// The dimension along which scales run.
    pub(crate) fn axis(&self) -> usize {
        if self.depthwise { self.shape.len() - 1 } else { 0 }
    }

    /// Weights of channel `o`.
    pub(crate) fn row(&self, o: usize) -> Vec<f64> {
        (0..self.inner).map(|k| self.values[self.index(o, k)] as f64).collect()
    }

    /// Bias of channel `o`; 0 where there is none.
    pub(crate) fn bias_at(&self, o: usize) -> f64 {
        self.bias.as_ref().map_or(0.0, |b| b[o] as f64)
    }
}
