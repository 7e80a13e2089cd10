//! The kernels of one set of instructions, from its functions for a tile and for a strip.

use crate::error::Result;
use crate::kernels::aarch64::rescale::{Both, Full, Positive, Rescale, Right, fits_16_bits};
use crate::kernels::blocks::layer::Layer;
use crate::kernels::fixed::{Onnx, Requant, Single, Tflite};
use crate::layout::QUAD;
use crate::ops::attr::Clamp;
use crate::ops::io::Io;

/// A rounding's forms in vectors.
pub trait Rounded: Requant {
    /// For all layers.
    type Any: Rescale<Requant = Self>;
    /// Where [`Rounded::is_usual`] holds of all constants.
    type Usual: Rescale<Requant = Self>;
    /// Where, besides, outputs are all that int8 holds.
    type Full: Rescale<Requant = Self>;
    /// Where, besides, the zero point is the least level.
    type Positive: Rescale<Requant = Self>;

    /// Whether [`Rounded::Usual`] takes the constant.
    fn is_usual(scale: Self::Scale) -> bool;

    /// Whether what becomes of sums of so many products of two levels, which begin with these biases, is known to fit 16
    /// bits.
    #[inline(always)]
    fn is_short(_products: usize, _bias: &[i32], _scales: &[Self::Scale]) -> bool {
        false
    }
}

impl Rounded for Tflite {
    type Any = Both;
    type Usual = Right;
    type Full = Full<Right>;
    type Positive = Positive<Right>;

    #[inline(always)]
    fn is_usual([_, shift]: [i32; 2]) -> bool {
        shift < 0
    }

    fn is_short(products: usize, bias: &[i32], scales: &[[i32; 2]]) -> bool {
        fits_16_bits(products, bias, scales)
    }
}

impl Rounded for Single {
    type Any = Single;
    type Usual = Single;
    type Full = Full<Single>;
    type Positive = Positive<Single>;

    #[inline(always)]
    fn is_usual(_: [i32; 2]) -> bool {
        true
    }
}

impl Rounded for Onnx {
    type Any = Onnx;
    type Usual = Onnx;
    type Full = Full<Onnx>;
    type Positive = Full<Onnx>;

    #[inline(always)]
    fn is_usual(_: f32) -> bool {
        true
    }
}

/// Which of a rounding's forms a layer takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// [`Rounded::Any`].
    Any,
    /// [`Rounded::Usual`].
    Usual,
    /// [`Rounded::Full`].
    Full,
    /// [`Rounded::Positive`].
    Positive,
}

impl Form {
    /// Of a layer.
    pub fn of<R: Rounded>(layer: &Layer<'_, R>) -> Self {
        if layer.all(R::is_usual) { Form::of_outputs(layer.zero, layer.clamp) } else { Form::Any }
    }

    /// Where constants are usual, of outputs with this zero point and these limits.
    pub fn of_outputs(zero: i32, clamp: Clamp) -> Self {
        let limits = (i32::from(i8::MIN), i32::from(i8::MAX));
        if clamp.as_i32() != limits {
            Form::Usual
        } else if zero != limits.0 {
            Form::Full
        } else {
            Form::Positive
        }
    }
}

/// The constants of a step, with what is known of its sums.
#[inline(always)]
pub fn layer<'a, R: Rounded>(io: &Io<'a>, clamp: Clamp) -> Result<Layer<'a, R>> {
    let (mut layer, output) = (Layer::<R>::new(io, clamp)?, io.output_desc(0)?);
    // A few pixels do not repay the look at all channels.
    if output.shape.elements() / 16 >= layer.outputs {
        let (bias, scales) = layer.ends();
        layer.is_short = R::is_short(layer.quads * QUAD, bias, scales);
    }
    Ok(layer)
}

/// Defines the kernels of a processor that has `$isa`: `$sums` computes the sums of
/// `$n` pixels side by side, at most `$most`, of which a multiple of `$unit` is best, and `$strip` a strip of a depthwise
/// convolution. Both are told whether `$mild` holds of the layer. The module's `start` makes what sums
/// begin with, and `hold` the weights of a block for many tiles; `whole` is asked first whether it computes all of a field.
macro_rules! kernels {
    ($isa:expr, $most:literal / $unit:literal [$($n:literal),*], $sums:ident, $strip:ident, $mild:expr) => {
        use crate::error::{Error, Result};
        use crate::kernels::aarch64::depthwise::$strip;
        use crate::kernels::aarch64::end::{Ends, constants};
        use crate::kernels::aarch64::entry::{self, Form, Rounded};
        use crate::kernels::aarch64::rescale::Rescale;
        use crate::kernels::blocks::layer::{Layer, Room};
        use crate::kernels::blocks::tile::{Field, cut};
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
            let layer = entry::layer::<R>(io, op.clamp)?;
            let is_mild: fn(&Layer<'_, R>) -> bool = $mild;
            let (form, is_mild, mut room) = (Form::of(&layer), is_mild(&layer), Room::default());
            walk::conv_2d(io, &op, |field, slots| {
                // SAFETY: the processor has the instructions, as asked above.
                unsafe { outputs(&layer, &mut room, form, is_mild, field, slots) }
            })
        }

        /// FullyConnected in the rounding `R`; refuses where the processor lacks the features.
        pub fn fully_connected<R: Rounded>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
            available()?;
            let op = FullyConnected::parse(attributes)?;
            let layer = entry::layer::<R>(io, op.clamp)?;
            let (form, mut room) = (Form::of(&layer), Room::default());
            // Few rows do not repay a look at all weights.
            walk::fully_connected(io, |field, slots| {
                // SAFETY: the processor has the instructions, as asked above.
                unsafe { outputs(&layer, &mut room, form, false, field, slots) }
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
            let layer = entry::layer::<R>(io, op.clamp)?;
            let is_mild: fn(&Layer<'_, R>) -> bool = $mild;
            let (form, is_mild) = (Form::of(&layer), is_mild(&layer));
            depthwise::walk(io, &op, |strip, slots| {
                // SAFETY: the processor has the instructions, as asked above.
                #[allow(unused_unsafe)]
                unsafe {
                    match form {
                        Form::Any => $strip::<R::Any>(&op, &layer, is_mild, strip, slots),
                        Form::Usual => $strip::<R::Usual>(&op, &layer, is_mild, strip, slots),
                        Form::Full => $strip::<R::Full>(&op, &layer, is_mild, strip, slots),
                        Form::Positive => $strip::<R::Positive>(&op, &layer, is_mild, strip, slots),
                    }
                }
            })
        }

        /// All channels of a field's pixels.
        ///
        /// # Safety
        /// The processor has the instructions.
        #[inline(always)]
        unsafe fn outputs<R: Rounded>(
            layer: &Layer<'_, R>,
            room: &mut Room<R>,
            form: Form,
            is_mild: bool,
            field: &Field<'_>,
            slots: &mut [i8],
        ) -> Result<()> {
            // SAFETY: as the caller promises.
            unsafe {
                match form {
                    Form::Any => outputs_of::<R::Any>(layer, room, is_mild, field, slots),
                    Form::Usual => outputs_of::<R::Usual>(layer, room, is_mild, field, slots),
                    Form::Full => outputs_of::<R::Full>(layer, room, is_mild, field, slots),
                    Form::Positive => outputs_of::<R::Positive>(layer, room, is_mild, field, slots),
                }
            }
        }

        /// As [`outputs`], with constants that `S` takes.
        ///
        /// # Safety
        /// The processor has the instructions.
        #[inline(never)]
        unsafe fn outputs_of<S: Rescale>(
            layer: &Layer<'_, S::Requant>,
            room: &mut Room<S::Requant>,
            is_mild: bool,
            field: &Field<'_>,
            slots: &mut [i8],
        ) -> Result<()> {
            let [rows, width] = field.grid().size;
            let (pixels, stride) = (rows * width, layer.outputs);
            if field.runs().quads() != layer.quads || slots.len() / stride.max(1) < pixels {
                return Err(Error::Internal);
            }
            // SAFETY: the processor has the instructions; quads and slots were checked above.
            if unsafe { whole::<S>(layer, room, field, slots)? } {
                return Ok(());
            }
            let mut first = 0;
            for [n, tiles] in cut(pixels, $most, $unit) {
                if tiles > 0 {
                    // SAFETY: the processor has the instructions, as the kernels ask. The tiles are pixels of the field, which
                    // have as many quads as the layer; the slots hold all channels of all pixels, as checked above.
                    unsafe {
                        match n {
                            $($n => several::<S, $n>(layer, room, is_mild, field, slots, [first, tiles])?,)*
                            _ => return Err(Error::Internal),
                        }
                    }
                }
                first += n * tiles;
            }
            Ok(())
        }

        /// All channels of `tiles` tiles of `N` pixels, row by row, from pixel `first` on.
        ///
        /// # Safety
        /// The processor has the instructions; the field has these pixels and as many quads as the layer; the slots hold all
        /// channels of all pixels of the field.
        #[inline(never)]
        unsafe fn several<S: Rescale, const N: usize>(
            layer: &Layer<'_, S::Requant>,
            room: &mut Room<S::Requant>,
            is_mild: bool,
            field: &Field<'_>,
            slots: &mut [i8],
            [first, tiles]: [usize; 2],
        ) -> Result<()> {
            let (ends, runs, stride) = (Ends::<S>::new(layer), field.runs(), layer.outputs);
            let begin = field.walk::<N>(first);
            let mut room_for_weights = held();
            for (b, weights) in layer.weights().enumerate() {
                let block = layer.block(b, weights, room)?;
                let (start, count) = (start(block.bias), block.count);
                let (mut walk, mut to) =
                    (begin, slots.as_mut_ptr().wrapping_add(first * stride + b * BLOCK));
                // SAFETY: as the caller promises. A block has as many steps of weights as the layer has quads, and so the
                // runs; its channels are some of the layer's.
                unsafe {
                    let weights = hold(weights.as_ptr(), &runs, tiles, &mut room_for_weights);
                    if count > BLOCK / 2 {
                        for _ in 0..tiles {
                            let (at, apart) = walk.take();
                            let sums = $sums::<N, false>(at, &apart, &runs, weights, &start, is_mild);
                            ends.store(&sums, &constants::<S>(block.scales), count, to, stride);
                            to = to.wrapping_add(N * stride);
                        }
                    } else {
                        for _ in 0..tiles {
                            let (at, apart) = walk.take();
                            let sums = $sums::<N, true>(at, &apart, &runs, weights, &start, is_mild);
                            ends.store(&sums, &constants::<S>(block.scales), count, to, stride);
                            to = to.wrapping_add(N * stride);
                        }
                    }
                }
            }
            Ok(())
        }
    };
}
