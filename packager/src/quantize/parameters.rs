//! From a real range to a scale and a zero point.

use super::Range;
use crate::ir::Quant;

/// int8 parameters that cover the range and hold zero exactly; 255 steps.
pub fn from_range(range: Range) -> Quant {
    let (lo, hi) = (range.lo.min(0.0) as f64, range.hi.max(0.0) as f64);
    let mut scale = ((hi - lo) / 255.0) as f32;
    // Nothing but zeros was seen: any scale holds them.
    if !(scale.is_normal() && scale.is_finite()) {
        scale = if scale.is_infinite() { f32::MAX / 256.0 } else { 1.0 / 255.0 };
    }
    let zero_point = libm::rint(-128.0 - lo / scale as f64).clamp(-128.0, 127.0) as i32;
    Quant::per_tensor(scale, zero_point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_always_exact_and_ends_are_covered() {
        for (lo, hi) in [(0.0, 6.0), (-1.0, 1.0), (2.0, 5.0), (-3.0, -1.0), (0.0, 0.0), (-1e-3, 7.7)] {
            let (scale, zero) = from_range(Range { lo, hi }).single().unwrap();
            assert!(scale > 0.0 && (-128..=127).contains(&zero));
            let real = |q: i32| scale * (q - zero) as f32;
            assert!(
                real(-128) <= lo.min(0.0) + 0.51 * scale && real(127) >= hi.max(0.0) - 0.51 * scale,
                "{lo} {hi}"
            );
        }
    }
}
