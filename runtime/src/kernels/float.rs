//! Float primitives with one defined result: the canonical order is sequential with fused multiply-add.

/// How a multiply-accumulate is fused. Every implementation rounds once, so all give the same bits.
pub trait Fma: 'static {
    /// `a * b + c`, rounded once.
    fn fma(a: f32, b: f32, c: f32) -> f32;
}

/// By the `libm` crate: correct on every target, slow where it has no instruction.
#[derive(Clone, Copy, Debug)]
pub struct Soft;

impl Fma for Soft {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        libm::fmaf(a, b, c)
    }
}

/// By the compiler's own fused multiply-add; an instruction inside functions that enable FMA.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct Hard;

#[cfg(feature = "std")]
impl Fma for Hard {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}
