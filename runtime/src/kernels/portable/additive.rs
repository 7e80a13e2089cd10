//! Add and Sub in TFLite's rounding; the others need no long multiplication.

use crate::error::Result;
use crate::kernels::fixed::Tflite;
use crate::kernels::portable::scale::Scale;
use crate::kernels::reference::additive::zero_points;
use crate::kernels::reference::elementwise::binary;
use crate::ops::add::{Additive, LEFT_SHIFT};
use crate::ops::io::Io;
use crate::ops::op::{Context, Op};

/// int8, both inputs on a common scale with more bits, then to the output's.
pub fn int8_tflite<const SUB: bool>(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Additive::<SUB>::parse(attributes)?;
    let [za, zb, zo] = zero_points(io)?;
    let term = |x: i8, zero: i32, scale| {
        Tflite::scale(i32::from(x).wrapping_sub(zero).wrapping_shl(LEFT_SHIFT), scale)
    };
    binary::<i8>(io, |a, b| {
        let (a, b) = (term(a, za, op.left), term(b, zb, op.right));
        let sum = if SUB { a.wrapping_sub(b) } else { a.wrapping_add(b) };
        op.clamp.limit_i32(Tflite::scale(sum, op.output).wrapping_add(zo)) as i8
    })
}
