//! Minimum and Maximum.

use crate::error::Result;
use crate::kernels::level::Level;
use crate::kernels::reference::elementwise::binary;
use crate::ops::io::Io;
use crate::ops::minimum::Extremum;
use crate::ops::op::{Context, Op};

/// Any integer type: levels of one scale compare as their reals do.
pub fn integer<const MAX: bool, T: Level>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let clamp = Extremum::<MAX>::parse(attributes)?.clamp;
    binary::<T>(io, |a, b| {
        let (a, b) = (a.widen(), b.widen());
        T::narrow(clamp.limit_i32(if (a > b) == MAX { a } else { b }))
    })
}

/// Floats; NaN wins.
pub fn f32<const MAX: bool>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let clamp = Extremum::<MAX>::parse(attributes)?.clamp;
    binary::<f32>(io, |a, b| {
        let first = if MAX { a > b } else { a < b };
        clamp.limit_f32(if first || a.is_nan() { a } else { b })
    })
}
