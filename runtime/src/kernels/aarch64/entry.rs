//! The kernels of one set of instructions, from its functions for a tile and for a strip.

use crate::kernels::aarch64::end::{Both, Rescale, Right};
use crate::kernels::fixed::{Onnx, Requant, Single, Tflite};

/// A rounding's two forms in vectors.
pub trait Rounded: Requant {
    /// For all constants.
    type Any: Rescale<Requant = Self>;
    /// For those of which [`Rounded::is_usual`] holds.
    type Usual: Rescale<Requant = Self>;

    /// Whether [`Rounded::Usual`] takes the constant.
    fn is_usual(scale: Self::Scale) -> bool;
}

impl Rounded for Tflite {
    type Any = Both;
    type Usual = Right;

    #[inline(always)]
    fn is_usual([_, shift]: [i32; 2]) -> bool {
        shift < 0
    }
}

impl Rounded for Single {
    type Any = Single;
    type Usual = Single;

    #[inline(always)]
    fn is_usual(_: [i32; 2]) -> bool {
        true
    }
}

impl Rounded for Onnx {
    type Any = Onnx;
    type Usual = Onnx;

    #[inline(always)]
    fn is_usual(_: f32) -> bool {
        true
    }
}

/// Defines the kernels of a processor that has `$isa`, whose features are `$features`: `$sums` computes the sums of
/// tiles of at most `$most` pixels, of `$n` where there are `$count`, and `$strip` a strip of a depthwise convolution.
/// Both are told whether `$mild` holds of the layer.
macro_rules! kernels {
    ($features:literal, $isa:expr, $most:literal [$($count:pat => $n:literal),*], $sums:ident, $strip:ident, $mild:expr) => {
        use crate::error::{Error, Result};
        use crate::kernels::aarch64::depthwise::$strip;
        use crate::kernels::aarch64::end::{Ends, Rescale};
        use crate::kernels::aarch64::entry::Rounded;
        use crate::kernels::blocks::layer::{Layer, Room};
        use crate::kernels::blocks::{depthwise, walk};
        use crate::layout::BLOCK;
        use crate::ops::conv_2d::Conv2d;
        use crate::ops::depthwise_conv_2d::DepthwiseConv2d;
        use crate::ops::fully_connected::FullyConnected;
        use crate::ops::io::Io;
        use crate::ops::op::{Context, Isa, Op};

        /// Refuses processors without the instructions.
        fn available() -> Result<()> {
            if $isa.available() { Ok(()) } else { Err(Error::NoKernel) }
        }

        /// Conv2D in the rounding `R`; refuses where the processor lacks the features.
        pub fn conv_2d<R: Rounded>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
            available()?;
            let op = Conv2d::parse(attributes)?;
            let layer = Layer::<R>::new(io, op.clamp)?;
            let (kinds, mut room) = (kinds(&layer), Room::default());
            walk::conv_2d(io, &op, $most, |tile, count, slots| {
                // SAFETY: the processor has the features, as asked above.
                unsafe { outputs(&layer, &mut room, kinds, tile, count, slots) }
            })
        }

        /// FullyConnected in the rounding `R`; refuses where the processor lacks the features.
        pub fn fully_connected<R: Rounded>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
            available()?;
            let op = FullyConnected::parse(attributes)?;
            let layer = Layer::<R>::new(io, op.clamp)?;
            let mut room = Room::default();
            // Few rows do not repay a look at all weights.
            let kinds = (layer.all(R::is_usual), false);
            walk::fully_connected(io, $most, |tile, count, slots| {
                // SAFETY: the processor has the features, as asked above.
                unsafe { outputs(&layer, &mut room, kinds, tile, count, slots) }
            })
        }

        /// DepthwiseConv2D in the rounding `R`; refuses where the processor lacks the features.
        pub fn depthwise_conv_2d<R: Rounded>(
            attributes: &[u8],
            io: &mut Io<'_>,
            _cx: &Context,
        ) -> Result<()> {
            available()?;
            let op = DepthwiseConv2d::parse(attributes)?;
            let layer = Layer::<R>::new(io, op.clamp)?;
            let (is_usual, is_mild) = kinds(&layer);
            depthwise::walk(io, &op, |strip, slots| {
                // SAFETY: the processor has the features, as asked above.
                #[allow(unused_unsafe)]
                unsafe {
                    match is_usual {
                        true => $strip::<R::Usual>(&op, &layer, is_mild, strip, slots),
                        false => $strip::<R::Any>(&op, &layer, is_mild, strip, slots),
                    }
                }
            })
        }

        /// Whether all constants are usual, and whether all weights are mild, where that matters.
        fn kinds<R: Rounded>(layer: &Layer<'_, R>) -> (bool, bool) {
            let is_mild: fn(&Layer<'_, R>) -> bool = $mild;
            (layer.all(R::is_usual), is_mild(layer))
        }

        /// All channels of a tile's pixels.
        #[target_feature(enable = $features)]
        fn outputs<R: Rounded>(
            layer: &Layer<'_, R>,
            room: &mut Room<R>,
            (is_usual, is_mild): (bool, bool),
            tile: &Tile<'_>,
            count: usize,
            slots: &mut [i8],
        ) -> Result<()> {
            match (count, is_usual) {
                $(
                    ($count, true) => outputs_of::<R::Usual, $n>(layer, room, is_mild, tile, count, slots),
                    ($count, false) => outputs_of::<R::Any, $n>(layer, room, is_mild, tile, count, slots),
                )*
                _ => Err(Error::Internal),
            }
        }

        #[target_feature(enable = $features)]
        fn outputs_of<S: Rescale, const N: usize>(
            layer: &Layer<'_, S::Requant>,
            room: &mut Room<S::Requant>,
            is_mild: bool,
            tile: &Tile<'_>,
            count: usize,
            slots: &mut [i8],
        ) -> Result<()> {
            if tile.runs().quads() != layer.quads {
                return Err(Error::Internal);
            }
            let ends = Ends::<S>::new(layer);
            for b in 0..layer.blocks() {
                let block = layer.block(b, room)?;
                let mut sums = $sums::<N>(tile, block.weights, block.bias, is_mild);
                let slots = slots.get_mut(b * BLOCK..).ok_or(Error::Internal)?;
                ends.store(&block, &mut sums, count, slots, layer.outputs)?;
            }
            Ok(())
        }
    };
}
