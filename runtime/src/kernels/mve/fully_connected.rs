//! FullyConnected, one input row after the other.

use crate::error::Result;
use crate::kernels::mve::dot::NO_SUMS;
use crate::kernels::mve::level::Vector;
use crate::kernels::mve::matrix::Matrix;
use crate::kernels::reference::fully_connected::by_matrix_rows;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::io::Io;
use crate::ops::layer::WEIGHTS;
use crate::ops::op::{Context, Op};

/// int8 in the rounding `R`.
pub fn int8<R: Vector>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let clamp = FullyConnected::parse(attributes)?.clamp;
    let matrix = Matrix::<R>::new(io, io.input_desc(WEIGHTS)?.shape.dim(1), clamp)?;
    let mut sums = NO_SUMS;
    by_matrix_rows::<i8>(io, |xs, ys| matrix.pixels(&[xs], ys, &mut sums))
}
