//! ResizeNearest: every output pixel is one input pixel.

use crate::error::{Error, Result};
use crate::kernels::reference::resize_nearest as reference;
use crate::layout::Layout;
use crate::ops::attr::Attr;
use crate::ops::moves::same_parameters;
use crate::ops::op::{Constants, Entry, Inferred, Inputs, Isa, Op, Rounding, reader};
use crate::ops::sampling::Sampling;
use crate::tensor::{Desc, Dtype};

/// How a coordinate becomes an index, before it is limited to the input. The numbers are the wire's.
///
/// TFLite's `align_corners` is [`Nearest::RoundPreferCeil`], everything else in TFLite [`Nearest::Floor`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Nearest {
    /// Towards minus infinity.
    Floor = 0,
    /// To the nearest, halves down: ONNX's default.
    RoundPreferFloor = 1,
    /// To the nearest, halves up.
    RoundPreferCeil = 2,
    /// Towards infinity.
    Ceil = 3,
}

impl Nearest {
    /// All modes, in the order of their numbers.
    pub const ALL: [Nearest; 4] =
        [Nearest::Floor, Nearest::RoundPreferFloor, Nearest::RoundPreferCeil, Nearest::Ceil];

    /// The index for `coordinate`, limited to `0..input`.
    pub fn index(self, coordinate: f32, input: usize) -> usize {
        let floor = libm::floorf(coordinate);
        // Exact: a float minus its floor is a float.
        let rest = coordinate - floor;
        let up = match self {
            Nearest::Floor => false,
            Nearest::RoundPreferFloor => rest > 0.5,
            Nearest::RoundPreferCeil => rest >= 0.5,
            Nearest::Ceil => rest > 0.0,
        };
        // The cast saturates; what is below 0 becomes 0.
        let index = (floor as i32).saturating_add(i32::from(up));
        let index = if index > 0 { index as usize } else { 0 };
        index.min(input.saturating_sub(1))
    }
}

/// Operands: input `[N,H,W,C]`. Attributes: [`Sampling`], then the rounding of coordinates as `u8`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ResizeNearest {
    /// Output size and coordinates.
    pub sampling: Sampling,
    /// From coordinate to index.
    pub nearest: Nearest,
}

/// Any element type.
pub const ANY: Entry = Entry {
    id: 0,
    name: "reference_resize_nearest_any",
    dtypes: &Dtype::COMPUTED,
    weights: &[],
    layout: Layout::Dense,
    roundings: &[Rounding::None],
    isa: Isa::Reference,
    overlap: false,
    run: reference::any,
};

impl Op for ResizeNearest {
    const CODE: u16 = 28;
    const NAME: &'static str = "resize_nearest";
    const KERNELS: &'static [Entry] = &[ANY];

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = reader(attributes);
        let sampling = Sampling::parse(&mut r)?;
        let number = r.u8()?;
        r.end()?;
        let nearest = Nearest::ALL.into_iter().find(|&n| n as u8 == number).ok_or(Error::Attribute)?;
        Ok(ResizeNearest { sampling, nearest })
    }

    fn emit(&self) -> Attr {
        self.sampling.emit(Attr::new()).u8(self.nearest as u8)
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        self.sampling.infer(inputs)
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], _constants: &Constants<'_>) -> Result<()> {
        same_parameters(inputs.get(0)?, outputs.first().ok_or(Error::Operand)?)
    }
}
