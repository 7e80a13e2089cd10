//! From a real range to a scale and a zero point.

use super::{Activations, Range};
use crate::ir::Quant;

/// Parameters of the format that cover the range and hold zero exactly; float activations are treated as int8,
/// whose parameters constants between them have.
pub fn cover(range: Range, format: Activations) -> Quant {
    match format {
        Activations::F32 | Activations::Int8 => from_range(range),
        Activations::Int16 => symmetric(range),
    }
}

/// int8 parameters that cover the range and hold zero exactly; 255 steps.
pub fn from_range(range: Range) -> Quant {
    let (lo, hi) = (range.lo.min(0.0) as f64, range.hi.max(0.0) as f64);
    let scale = usable((hi - lo) / 255.0, 255.0);
    let zero_point = libm::rint(-128.0 - lo / scale as f64).clamp(-128.0, 127.0) as i32;
    Quant::per_tensor(scale, zero_point)
}

/// int16 parameters that cover the range around zero; the zero point is 0, as 16-bit operators have it.
pub fn symmetric(range: Range) -> Quant {
    let reach = (range.hi as f64).max(-range.lo as f64).max(0.0);
    Quant::per_tensor(usable(reach / 32767.0, 32767.0), 0)
}

/// The scale as a normal float. Where nothing but zeros was seen any scale holds them.
fn usable(scale: f64, steps: f64) -> f32 {
    let single = scale as f32;
    if single.is_normal() && single.is_finite() {
        single
    } else if scale > 1.0 {
        f32::MAX / 256.0
    } else {
        (1.0 / steps) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGES: [(f32, f32); 6] =
        [(0.0, 6.0), (-1.0, 1.0), (2.0, 5.0), (-3.0, -1.0), (0.0, 0.0), (-1e-3, 7.7)];

    #[test]
    fn zero_is_always_exact_and_ends_are_covered() {
        for (lo, hi) in RANGES {
            let (scale, zero) = from_range(Range { lo, hi }).single().unwrap();
            assert!(scale > 0.0 && (-128..=127).contains(&zero));
            let real = |q: i32| scale * (q - zero) as f32;
            assert!(
                real(-128) <= lo.min(0.0) + 0.51 * scale && real(127) >= hi.max(0.0) - 0.51 * scale,
                "{lo} {hi}"
            );
        }
    }

    #[test]
    fn sixteen_bits_are_symmetric() {
        for (lo, hi) in RANGES {
            let (scale, zero) = symmetric(Range { lo, hi }).single().unwrap();
            assert!(zero == 0 && scale > 0.0);
            assert!(32767.0 * scale >= hi.max(-lo) * 0.999_999, "{lo} {hi}");
        }
    }
}
