//! Sums of products of bytes, two channels at a time. Functions of their own, so that all registers are theirs.

#[cfg(all(target_arch = "arm", not(target_has_atomic = "32")))]
use super::small;

/// As many pixels as share a load of weights: a processor with eight registers has none for a second one.
pub(crate) const PIXELS: usize =
    if cfg!(all(target_arch = "arm", not(target_has_atomic = "32"))) { 1 } else { 2 };

/// Bytes per round of the loops below.
const ROUND: usize = 4;

/// `sums[o] + x * weights[o]` for two rows of weights as long as `x`.
#[cfg(all(target_arch = "arm", not(target_has_atomic = "32")))]
#[inline(never)]
pub(crate) fn one(x: &[i8], [wa, wb]: [&[i8]; 2], mut sums: [i32; 2]) -> [i32; 2] {
    let done = small::rounds(x, [wa, wb], &mut sums);
    let [x, wa, wb] = [x, wa, wb].map(|bytes| bytes.get(done..).unwrap_or(&[]));
    for ((&x, &wa), &wb) in x.iter().zip(wa).zip(wb) {
        sums[0] = sums[0].wrapping_add(i32::from(x).wrapping_mul(i32::from(wa)));
        sums[1] = sums[1].wrapping_add(i32::from(x).wrapping_mul(i32::from(wb)));
    }
    sums
}

/// `sums[o] + x * weights[o]` for two rows of weights as long as `x`.
#[cfg(not(all(target_arch = "arm", not(target_has_atomic = "32"))))]
#[inline(never)]
pub(crate) fn one(x: &[i8], [wa, wb]: [&[i8]; 2], [mut a, mut b]: [i32; 2]) -> [i32; 2] {
    let (xs, x_rest) = x.as_chunks::<ROUND>();
    let (was, wa_rest) = wa.as_chunks::<ROUND>();
    let (wbs, wb_rest) = wb.as_chunks::<ROUND>();
    let mut step = |x: i8, wa: i8, wb: i8| {
        let x = i32::from(x);
        a = a.wrapping_add(x.wrapping_mul(i32::from(wa)));
        b = b.wrapping_add(x.wrapping_mul(i32::from(wb)));
    };
    for ((x, wa), wb) in xs.iter().zip(was).zip(wbs) {
        step(x[0], wa[0], wb[0]);
        step(x[1], wa[1], wb[1]);
        step(x[2], wa[2], wb[2]);
        step(x[3], wa[3], wb[3]);
    }
    for ((&x, &wa), &wb) in x_rest.iter().zip(wa_rest).zip(wb_rest) {
        step(x, wa, wb);
    }
    [a, b]
}

/// `sums[p][o] + x[p] * weights[o]` for two pixels and two rows of weights, all of one length.
#[inline(never)]
pub(crate) fn two([xa, xb]: [&[i8]; 2], [wa, wb]: [&[i8]; 2], [a, b]: [i32; 2]) -> [[i32; 2]; 2] {
    let (xas, xa_rest) = xa.as_chunks::<ROUND>();
    let (xbs, xb_rest) = xb.as_chunks::<ROUND>();
    let (was, wa_rest) = wa.as_chunks::<ROUND>();
    let (wbs, wb_rest) = wb.as_chunks::<ROUND>();
    let (mut aa, mut ab, mut ba, mut bb) = (a, b, a, b);
    let mut step = |xa: i8, xb: i8, wa: i8, wb: i8| {
        let (xa, xb, wa, wb) = (i32::from(xa), i32::from(xb), i32::from(wa), i32::from(wb));
        aa = aa.wrapping_add(xa.wrapping_mul(wa));
        ab = ab.wrapping_add(xa.wrapping_mul(wb));
        ba = ba.wrapping_add(xb.wrapping_mul(wa));
        bb = bb.wrapping_add(xb.wrapping_mul(wb));
    };
    for (((xa, xb), wa), wb) in xas.iter().zip(xbs).zip(was).zip(wbs) {
        step(xa[0], xb[0], wa[0], wb[0]);
        step(xa[1], xb[1], wa[1], wb[1]);
        step(xa[2], xb[2], wa[2], wb[2]);
        step(xa[3], xb[3], wa[3], wb[3]);
    }
    for (((&xa, &xb), &wa), &wb) in xa_rest.iter().zip(xb_rest).zip(wa_rest).zip(wb_rest) {
        step(xa, xb, wa, wb);
    }
    [[aa, ab], [ba, bb]]
}
