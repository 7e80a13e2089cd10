//! Add of floats of one shape, sixteen elements at a time. What is broadcast goes to the plain loops.
#![allow(unsafe_code)]

use super::{LANES, Lanes};
use crate::error::{Error, Result};
use crate::kernels::reference::additive;
use crate::ops::add::Additive;
use crate::ops::broadcast::Walk;
use crate::ops::io::Io;
use crate::ops::op::{Context, Op, Rounding};
use crate::ops::view::View;

/// The whole operator. Operands that share memory with the output do not start below it, so elements are read before they
/// are overwritten.
///
/// # Safety
///
/// The processor has the instructions of `L`.
#[inline(always)]
pub unsafe fn add<L: Lanes>(attributes: &[u8], io: &mut Io<'_>) -> Result<()> {
    let op = Additive::<false>::parse(attributes)?;
    let (a, b, y) = (io.input_desc(0)?.shape, io.input_desc(1)?.shape, io.output_desc(0)?.shape);
    if Walk::new(&a, &b, &y).run() != (y.elements(), 1, 1) {
        return additive::f32::<false>(attributes, io, &Context { rounding: Rounding::None });
    }
    let (lo, hi) = op.clamp.as_f32();
    let ([a, b], y) = io.views::<f32, 2>([0, 1], 0)?;
    let count = y.len();
    let (Some(a), Some(b)) = (start(&a, count), start(&b, count)) else { return Err(Error::Internal) };
    let to = y.as_ptr().cast::<f32>().cast_mut();
    let whole = count - count % LANES;
    // SAFETY: `count` elements are within both operands and the output, whose cells may be written through a shared
    // reference; everything is read before it is written. The caller has the instructions.
    unsafe {
        for at in (0..whole).step_by(LANES) {
            L::load(a.add(at)).add(L::load(b.add(at))).limit(lo, hi).store(to.add(at));
        }
        let rest = count - whole;
        if rest > 0 {
            let sums = L::load_first(a.add(whole), rest).add(L::load_first(b.add(whole), rest));
            sums.limit(lo, hi).store_first(to.add(whole), rest);
        }
    }
    Ok(())
}

/// The first of `count` elements; `None` where there are fewer.
#[inline(always)]
fn start(view: &View<'_, f32>, count: usize) -> Option<*const f32> {
    let (at, len) = match view {
        View::Shared(x) => (x.as_ptr(), x.len()),
        View::Inside(x) => (x.as_ptr().cast::<f32>(), x.len()),
    };
    (len >= count).then_some(at)
}
