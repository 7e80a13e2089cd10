//! One array as `.npy` (NumPy format specification, versions 1 to 3).

use samara_runtime::Dtype;

use super::element::element;
use super::header::{self, Header};
use super::{Array, MAX_BYTES};
use crate::error::{Error, Result};

pub(super) fn parse(name: &str, bytes: &[u8]) -> Result<Array> {
    let mut data = bytes;
    let (Header { kind, fortran, shape }, _) = header::read(&mut data)?;
    let element = element(&kind)?;
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let size = count.and_then(|n| n.checked_mul(element.size)).filter(|&n| n as u64 <= MAX_BYTES);
    match size {
        Some(size) if size == data.len() => {}
        Some(size) => {
            return Err(Error::invalid(format!(
                "holds {} bytes of data where its shape needs {size}",
                data.len()
            )));
        }
        None => return Err(Error::invalid(format!("its shape {shape:?} is too large"))),
    }
    let mut bytes = (element.narrow)(data)?;
    if fortran {
        bytes = to_c_order(&bytes, &shape, element.dtype.size());
    }
    Ok(Array { name: name.into(), dtype: element.dtype, shape, bytes })
}

pub(super) fn emit(array: &Array) -> Result<Vec<u8>> {
    let descr = match array.dtype {
        Dtype::F32 => "<f4",
        Dtype::I8 => "|i1",
        Dtype::U8 => "|u1",
        Dtype::I16 => "<i2",
        Dtype::I32 => "<i4",
        Dtype::Bool => "|b1",
        Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {
            return Err(Error::invalid(format!("{} arrays are not written", array.dtype.name())));
        }
    };
    let shape: String = array.shape.iter().map(|d| format!("{d}, ")).collect();
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    // Data starts at a multiple of 64.
    let before = 10;
    let padded = (before + header.len() + 1).next_multiple_of(64) - before;
    header.push_str(&" ".repeat(padded - header.len() - 1));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| Error::invalid("the array's shape is too long"))?;
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend(length.to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(&array.bytes);
    Ok(out)
}

/// Elements of an array whose first index runs fastest, in C order.
pub(super) fn to_c_order(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let count: usize = shape.iter().product();
    for c_index in 0..count {
        let (mut rest, mut position) = (c_index, vec![0; shape.len()]);
        for (axis, &d) in shape.iter().enumerate().rev() {
            position[axis] = rest % d;
            rest /= d;
        }
        let fortran = shape.iter().zip(&position).rev().fold(0, |n, (&d, &p)| n * d + p);
        out.extend(&bytes[fortran * size..(fortran + 1) * size]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fortran_order_becomes_c_order() {
        // numpy: array([[0, 1, 2], [3, 4, 5]], order='F') stores columns.
        let stored = [0u8, 3, 1, 4, 2, 5];
        assert_eq!(to_c_order(&stored, &[2, 3], 1), [0, 1, 2, 3, 4, 5]);
    }
}
