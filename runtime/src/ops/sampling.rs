//! Where the resize operators read: the coordinate conventions of TFLite and of ONNX.

use crate::error::{Error, Result};
use crate::ops::attr::{Attr, Reader};
use crate::ops::op::{Inferred, Inputs};
use crate::tensor::Shape;

/// From an output index `x` to an input coordinate. TFLite multiplies by the ratio input/output, ONNX divides by
/// the scale that the model states; the two differ in the last bit. The numbers are the wire's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Coordinates {
    /// `x * (input / output)`: TFLite without flags.
    Tflite = 0,
    /// `x * ((input - 1) / (output - 1))`, for one output as [`Coordinates::Tflite`]: TFLite's `align_corners`.
    TfliteAlignCorners = 1,
    /// `(x + 0.5) * (input / output)`, for bilinear `- 0.5`: TFLite's `half_pixel_centers`.
    TfliteHalfPixel = 2,
    /// `x / scale`: ONNX `asymmetric`.
    Asymmetric = 3,
    /// `(x + 0.5) / scale - 0.5`: ONNX `half_pixel`.
    HalfPixel = 4,
    /// `x * (input - 1) / (output - 1)`, 0 for one output: ONNX `align_corners`.
    AlignCorners = 5,
    /// As `half_pixel`, but 0 for one output: ONNX `pytorch_half_pixel`.
    PytorchHalfPixel = 6,
    /// `(x + 0.5) / scale`: ONNX `tf_half_pixel_for_nn` of opset 11.
    TfHalfPixelForNn = 7,
}

impl Coordinates {
    /// All conventions, in the order of their numbers.
    pub const ALL: [Coordinates; 8] = [
        Coordinates::Tflite,
        Coordinates::TfliteAlignCorners,
        Coordinates::TfliteHalfPixel,
        Coordinates::Asymmetric,
        Coordinates::HalfPixel,
        Coordinates::AlignCorners,
        Coordinates::PytorchHalfPixel,
        Coordinates::TfHalfPixelForNn,
    ];

    /// Whether it is one of TFLite's.
    pub const fn is_tflite(self) -> bool {
        matches!(self, Coordinates::Tflite | Coordinates::TfliteAlignCorners | Coordinates::TfliteHalfPixel)
    }

    /// Whether it reads [`Sampling::scale`].
    pub const fn reads_scale(self) -> bool {
        !self.is_tflite() && !matches!(self, Coordinates::AlignCorners)
    }
}

/// Output size and coordinate convention of a resize; 17 bytes of attributes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sampling {
    /// Output height and width.
    pub size: [u32; 2],
    /// From output to input.
    pub coordinates: Coordinates,
    /// Output by input height and width as the model states them, finite and above 0, where
    /// [`Coordinates::reads_scale`]; 0 otherwise.
    pub scale: [f32; 2],
}

impl Sampling {
    /// Seventeen bytes of attributes.
    pub fn emit(&self, attr: Attr) -> Attr {
        let [height, width] = self.size;
        let [vertical, horizontal] = self.scale;
        attr.u32(height).u32(width).u8(self.coordinates as u8).f32(vertical).f32(horizontal)
    }

    /// The counterpart of [`Sampling::emit`].
    pub fn parse(r: &mut Reader<'_>) -> Result<Self> {
        let size = [r.u32()?, r.u32()?];
        let number = r.u8()?;
        let coordinates = Coordinates::ALL.into_iter().find(|&c| c as u8 == number);
        let sampling =
            Sampling { size, coordinates: coordinates.ok_or(Error::Attribute)?, scale: [r.f32()?, r.f32()?] };
        let fits = match sampling.coordinates.reads_scale() {
            true => sampling.scale.iter().all(|&s| s.is_finite() && s > 0.0),
            false => sampling.scale.iter().all(|&s| s.to_bits() == 0),
        };
        if fits { Ok(sampling) } else { Err(Error::Attribute) }
    }

    /// One NHWC input, resized in its two middle axes.
    pub fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(1, 1)?;
        let x = inputs.get(0)?;
        let [n, _, _, c] = x.shape.dims4()?;
        let [height, width] = self.size;
        Ok(Inferred::one(x.dtype, Shape::new(&[n as u32, height, width, c as u32])?))
    }

    /// Input coordinate of output index `at` along `axis` (0 vertical, 1 horizontal) of `input` elements.
    /// ONNX's conventions are limited to `0..=input - 1`; TFLite's half pixels reach half an element outside.
    pub fn coordinate(&self, axis: usize, at: usize, input: usize) -> f32 {
        match self.coordinates {
            Coordinates::TfliteHalfPixel => self.raw(axis, at, input) - 0.5,
            c if c.is_tflite() => self.raw(axis, at, input),
            _ => within(self.raw(axis, at, input), input),
        }
    }

    /// [`Sampling::coordinate`] for nearest neighbours: TFLite's half pixels stay `(x + 0.5) * ratio`, and
    /// nothing is limited yet.
    pub fn nearest(&self, axis: usize, at: usize, input: usize) -> f32 {
        self.raw(axis, at, input)
    }

    fn raw(&self, axis: usize, at: usize, input: usize) -> f32 {
        let output = self.output(axis);
        let scale = self.scale.get(axis & 1).copied().unwrap_or(1.0);
        let (x, spread) = (at as f32, output > 1);
        match self.coordinates {
            Coordinates::Tflite => x * (input as f32 / output as f32),
            Coordinates::TfliteHalfPixel => (x + 0.5) * (input as f32 / output as f32),
            Coordinates::TfliteAlignCorners if spread => {
                x * (input.wrapping_sub(1) as f32 / (output - 1) as f32)
            }
            Coordinates::TfliteAlignCorners => x * (input as f32 / output as f32),
            Coordinates::Asymmetric => x / scale,
            Coordinates::HalfPixel => (x + 0.5) / scale - 0.5,
            Coordinates::PytorchHalfPixel if spread => (x + 0.5) / scale - 0.5,
            Coordinates::AlignCorners if spread => {
                x * input.wrapping_sub(1) as f32 / output.wrapping_sub(1) as f32
            }
            Coordinates::AlignCorners | Coordinates::PytorchHalfPixel => 0.0,
            Coordinates::TfHalfPixelForNn => (x + 0.5) / scale,
        }
    }

    /// [`Sampling::coordinate`] in units of 1/1024: TFLite's conventions in the integer arithmetic of TFLite
    /// Micro's int8 kernel, ONNX's rounded to the nearest.
    pub fn fixed(&self, axis: usize, at: usize, input: usize) -> i64 {
        let output = self.output(axis) as i64;
        let (at, size) = (at as i64, input as i64);
        // Rounded to nearest; `numerator` is never negative.
        let ratio = |numerator: i64, denominator: i64| {
            (numerator * 1024 + denominator / 2).checked_div(denominator).unwrap_or(0)
        };
        match self.coordinates {
            Coordinates::TfliteAlignCorners if output > 1 => at * ratio(size - 1, output - 1),
            Coordinates::Tflite | Coordinates::TfliteAlignCorners => at * ratio(size, output),
            Coordinates::TfliteHalfPixel => {
                let step = ratio(size, output);
                at * step + step / 2 - 512
            }
            _ => libm::rintf(self.coordinate(axis, at as usize, input) * 1024.0) as i64,
        }
    }

    fn output(&self, axis: usize) -> u32 {
        self.size.get(axis & 1).copied().unwrap_or(1)
    }
}

fn within(x: f32, input: usize) -> f32 {
    let last = input.saturating_sub(1) as f32;
    // An output far outside a hostile scale may be infinite, never NaN: x is finite and the scale is not 0.
    if x > last {
        last
    } else if x > 0.0 {
        x
    } else {
        0.0
    }
}
