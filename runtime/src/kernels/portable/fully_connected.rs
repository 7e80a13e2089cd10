//! FullyConnected, one input row after the other.

use crate::error::Result;
use crate::kernels::portable::rows::Layer;
use crate::kernels::portable::scale::Scale;
use crate::kernels::reference::fully_connected::by_matrix_rows;
use crate::ops::fully_connected::FullyConnected;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// int8 in the rounding `R`.
pub fn int8<R: Scale>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let layer = Layer::<R>::new(io, FullyConnected::parse(attributes)?.clamp)?;
    by_matrix_rows::<i8>(io, |xs, ys| layer.one(xs, ys))
}
