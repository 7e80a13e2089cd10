//! How sums become levels: in the loops' few instructions where a channel's constants are ordinary ones, else by the
//! functions that define it.

use super::{four, one, three};
use crate::kernels::fixed::{Onnx, Requant, Single, Tflite};

/// A rounding with loops of its own.
pub trait Scale: Requant {
    /// Whether the loops' instructions give this constant's levels.
    fn is_plain(scale: Self::Scale) -> bool;

    /// How the loops take the output's zero point.
    fn zero(zero: i32) -> i32;

    /// The level before the zero point of a sum, as the kernel id has it.
    fn level(sum: i32, scale: Self::Scale) -> i32;

    /// Four pixels' sums of pairs of channels.
    const FOUR: unsafe fn(&mut four::Four);

    /// One pixel's.
    const ONE: unsafe fn(&mut one::One);

    /// A row of depthwise convolution with a window of 3 by 3, and with every second output.
    const THREE: [unsafe fn(&mut three::Three); 2];
}

impl Scale for Tflite {
    /// With larger shifts what is added before the last one could overflow; without any there is nothing to add.
    fn is_plain([multiplier, shift]: [i32; 2]) -> bool {
        multiplier >= 0 && (-22..=-1).contains(&shift)
    }

    fn zero(zero: i32) -> i32 {
        zero.wrapping_mul(2).wrapping_add(1)
    }

    fn level(sum: i32, scale: [i32; 2]) -> i32 {
        // The loops double it.
        Tflite::apply(sum.wrapping_shl(1) >> 1, scale)
    }

    const FOUR: unsafe fn(&mut four::Four) = four::tflite;
    const ONE: unsafe fn(&mut one::One) = one::tflite;
    const THREE: [unsafe fn(&mut three::Three); 2] = [three::ones_tflite, three::twos_tflite];
}

impl Scale for Single {
    fn is_plain([multiplier, shift]: [i32; 2]) -> bool {
        multiplier >= 0 && shift == 0
    }

    fn zero(zero: i32) -> i32 {
        zero
    }

    fn level(sum: i32, scale: [i32; 2]) -> i32 {
        Single::apply(sum, scale)
    }

    const FOUR: unsafe fn(&mut four::Four) = four::single;
    const ONE: unsafe fn(&mut one::One) = one::single;
    const THREE: [unsafe fn(&mut three::Three); 2] = [three::ones_single, three::twos_single];
}

/// In floats; only the products are the loops'.
impl Scale for Onnx {
    fn is_plain(_: f32) -> bool {
        false
    }

    fn zero(zero: i32) -> i32 {
        zero
    }

    fn level(sum: i32, scale: f32) -> i32 {
        Onnx::apply(sum, scale)
    }

    const FOUR: unsafe fn(&mut four::Four) = four::single;
    const ONE: unsafe fn(&mut one::One) = one::single;
    const THREE: [unsafe fn(&mut three::Three); 2] = [three::ones_single, three::twos_single];
}
