//! NumPy's element types: what each becomes here, and how.

use half::f16;
use samara_runtime::Dtype;

use crate::error::{Error, Result};

/// A NumPy type that a model's input can be given in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element {
    /// Bytes of one element in the file.
    pub(super) size: usize,
    /// What it becomes: float64 and float16 float32, int64 int32.
    pub(super) dtype: Dtype,
    /// Elements of the file as little-endian elements of `dtype`; refuses what does not fit.
    pub(super) narrow: fn(&[u8]) -> Result<Vec<u8>>,
}

/// The element type that a header calls `kind`.
pub(super) fn element(kind: &str) -> Result<Element> {
    let same = |size: usize, dtype: Dtype| Element { size, dtype, narrow: |b| Ok(b.to_vec()) };
    Ok(match kind {
        "<f4" => same(4, Dtype::F32),
        "|i1" => same(1, Dtype::I8),
        "|u1" => same(1, Dtype::U8),
        "<i2" => same(2, Dtype::I16),
        "<i4" => same(4, Dtype::I32),
        "|b1" => Element {
            size: 1,
            dtype: Dtype::Bool,
            narrow: |b| Ok(b.iter().map(|&b| u8::from(b != 0)).collect()),
        },
        "<f2" => Element {
            size: 2,
            dtype: Dtype::F32,
            narrow: |b| Ok(parts(b).flat_map(|w| f16::from_le_bytes(w).to_f32().to_le_bytes()).collect()),
        },
        "<f8" => Element {
            size: 8,
            dtype: Dtype::F32,
            narrow: |b| Ok(parts(b).flat_map(|w| (f64::from_le_bytes(w) as f32).to_le_bytes()).collect()),
        },
        "<i8" => Element {
            size: 8,
            dtype: Dtype::I32,
            narrow: |b| {
                let mut out = Vec::with_capacity(b.len() / 2);
                for w in parts(b) {
                    let value = i64::from_le_bytes(w);
                    let narrow = i32::try_from(value)
                        .map_err(|_| Error::invalid(format!("the int64 value {value} does not fit int32")))?;
                    out.extend(narrow.to_le_bytes());
                }
                Ok(out)
            },
        },
        other if other.starts_with('>') => {
            return Err(Error::invalid(format!("'{other}' is big-endian")).remedy("save it as little-endian"));
        }
        other => {
            return Err(Error::invalid(format!("elements of type '{other}' are not supported"))
                .remedy("use float16/32/64, int8/16/32/64, uint8 or bool"));
        }
    })
}

/// A NumPy integer type, for labels: bytes of one element, and what they are.
pub(super) type Integer = (usize, fn(&[u8]) -> i64);

/// The integer type that a header calls `kind`; `None` for other types.
pub(super) fn integer(kind: &str) -> Option<Integer> {
    // Shorter slices than the element's size cannot happen; they would read as zeros in front.
    fn wide<const N: usize>(b: &[u8]) -> [u8; N] {
        b.first_chunk().copied().unwrap_or([0; N])
    }
    Some(match kind {
        "|b1" => (1, |b| i64::from(wide::<1>(b)[0] != 0)),
        "|i1" => (1, |b| i8::from_le_bytes(wide(b)).into()),
        "|u1" => (1, |b| u8::from_le_bytes(wide(b)).into()),
        "<i2" => (2, |b| i16::from_le_bytes(wide(b)).into()),
        "<u2" => (2, |b| u16::from_le_bytes(wide(b)).into()),
        "<i4" => (4, |b| i32::from_le_bytes(wide(b)).into()),
        "<u4" => (4, |b| u32::from_le_bytes(wide(b)).into()),
        "<i8" => (8, |b| i64::from_le_bytes(wide(b))),
        _ => return None,
    })
}

/// Bytes in groups of one element.
fn parts<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats_are_widened() {
        // numpy: array([1.5, -2, 65504, 6e-8], 'float16').tobytes()
        let stored = [0x00, 0x3e, 0x00, 0xc0, 0xff, 0x7b, 0x01, 0x00];
        let narrow = element("<f2").unwrap();
        let got: Vec<f32> = bytemuck::pod_collect_to_vec(&(narrow.narrow)(&stored).unwrap());
        assert_eq!((narrow.dtype, got), (Dtype::F32, vec![1.5, -2.0, 65504.0, 5.9604645e-8]));
    }

    #[test]
    fn integers_of_every_width_are_labels() {
        for (kind, bytes, value) in [
            ("|b1", &[2u8][..], 1),
            ("|i1", &[0xff], -1),
            ("|u1", &[0xff], 255),
            ("<i2", &[0xfe, 0xff], -2),
            ("<u2", &[0xfe, 0xff], 65534),
            ("<i4", &[1, 0, 0, 0x80], -2147483647),
            ("<u4", &[1, 0, 0, 0x80], 2147483649),
            ("<i8", &[0, 0, 0, 0, 1, 0, 0, 0], 1 << 32),
        ] {
            let (size, read) = integer(kind).unwrap();
            assert_eq!((size, read(bytes)), (bytes.len(), value), "{kind}");
        }
        assert!(integer("<f4").is_none());
    }
}
