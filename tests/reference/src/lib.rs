//! Runs float models in tract and through Samara's session, and measures how far apart the results are.
//!
//! `cargo test -p samara-reference -- --nocapture` prints the tables. The crate is no default member: tract
//! takes minutes to build.

pub mod device;
pub mod tract;

use samara_packager::data::Array;
use samara_runtime::Dtype;

/// Absolute part of the tolerance.
pub const ABSOLUTE: f64 = 1e-5;
/// Part of the tolerance that grows with the reference's magnitude.
pub const RELATIVE: f64 = 1e-4;

/// Greatest `|got - want| / (ABSOLUTE + RELATIVE * |want|)` over all elements: at most 1 passes. Infinite for
/// NaN, and for types, shapes or integers that differ.
pub fn excess(got: &Array, want: &Array) -> f64 {
    if (got.dtype, &got.shape, got.bytes.len()) != (want.dtype, &want.shape, want.bytes.len()) {
        return f64::INFINITY;
    }
    if got.dtype != Dtype::F32 {
        return if got.bytes == want.bytes { 0.0 } else { f64::INFINITY };
    }
    let share = |(a, b): (f64, f64)| {
        let share = (a - b).abs() / (ABSOLUTE + RELATIVE * b.abs());
        if share.is_nan() { f64::INFINITY } else { share }
    };
    reals(got).zip(reals(want)).map(share).fold(0.0, f64::max)
}

/// Elements of a float array.
pub fn reals(array: &Array) -> impl Iterator<Item = f64> + '_ {
    array.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f64)
}

/// A float array from its elements.
pub fn floats(name: &str, shape: &[usize], elements: &[f32]) -> Array {
    let bytes = elements.iter().flat_map(|x| x.to_le_bytes()).collect();
    Array { name: name.into(), dtype: Dtype::F32, shape: shape.to_vec(), bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerance_is_absolute_near_zero_and_relative_far_from_it() {
        let of = |a: f32, b: f32| excess(&floats("", &[1], &[a]), &floats("", &[1], &[b]));
        assert!(of(0.9e-5, 0.0) < 1.0 && of(1.1e-5, 0.0) > 1.0);
        assert!(of(1000.09, 1000.0) < 1.0 && of(1000.2, 1000.0) > 1.0);
        assert_eq!(of(f32::NAN, 1.0), f64::INFINITY);
        assert_eq!(of(f32::INFINITY, f32::INFINITY), f64::INFINITY);
        assert_eq!(excess(&floats("", &[2], &[1.0, 1.0]), &floats("", &[1, 2], &[1.0, 1.0])), f64::INFINITY);
    }
}
