//! What a network of this family looks like, as data.

/// A stem, depthwise-separable blocks and a linear classifier.
#[derive(Debug)]
pub struct Plan {
    /// Name of the graph.
    pub name: &'static str,
    /// For people.
    pub about: &'static str,
    /// Name of the input.
    pub input: &'static str,
    /// Channels, height and width of the input.
    pub shape: [usize; 3],
    /// Channels after the stem.
    pub stem: usize,
    /// Step of the stem's 3x3 window.
    pub stride: usize,
    /// What follows the stem.
    pub blocks: &'static [Block],
    /// Activation after every convolution but the last of a residual block.
    pub activation: Activation,
    /// Labels of the classes.
    pub labels: &'static [&'static str],
    /// Name of the output.
    pub output: &'static str,
}

/// A depthwise 3x3 and a pointwise convolution.
#[derive(Debug)]
pub struct Block {
    /// Path of its layers.
    pub name: &'static str,
    /// Channels after it.
    pub channels: usize,
    /// Step of its 3x3 window.
    pub stride: usize,
    /// Whether its output, without activation, is added to its input; needs stride 1 and equal channels.
    pub residual: bool,
}

/// An activation function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activation {
    /// Not below 0.
    Relu,
    /// Not below 0, not above 6.
    Relu6,
}

impl Plan {
    /// Channels before block `index`; those of the classifier's input for the number of blocks.
    pub fn before(&self, index: usize) -> usize {
        index.checked_sub(1).and_then(|last| self.blocks.get(last)).map_or(self.stem, |block| block.channels)
    }
}
