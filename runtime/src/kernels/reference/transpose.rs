//! Transpose: the output in ascending order, reading the input by permuted strides; or, where it is that of a matrix, as most
//! are between channels first and last, column by column.

use bytemuck::Pod;

use crate::error::Result;
use crate::ops::io::Io;
use crate::ops::moves::dense;
use crate::ops::op::{Context, Op};
use crate::ops::transpose::Transpose;
use crate::tensor::MAX_RANK;

/// Any element type.
pub fn any(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = Transpose::parse(attributes)?;
    let x = io.input_desc(0)?;
    let size = x.dtype.size();
    let mut lengths = [1usize; MAX_RANK];
    for (slot, &d) in lengths.iter_mut().zip(x.shape.dims()) {
        *slot = d as usize;
    }
    let own = dense(&lengths, size);
    let (mut dims, mut strides) = ([1usize; MAX_RANK], [0isize; MAX_RANK]);
    for ((d, stride), &axis) in dims.iter_mut().zip(&mut strides).zip(op.permutation()) {
        *d = x.shape.dim(axis as usize);
        *stride = own.get(axis as usize).copied().unwrap_or(0);
    }
    match (matrix(&dims, &strides, size), size) {
        (Some(columns), 1) if io.input::<u8>(0).is_ok() => turn::<u8>(io, columns),
        // Floats: left out where size counts.
        #[cfg(feature = "std")]
        (Some(columns), 4) if io.input::<u32>(0).is_ok() => turn::<u32>(io, columns),
        _ => io.moves(0)?.strided(dims, strides, 0, size),
    }
}

/// Columns of the output, where it is a matrix that the input holds column by column. Axes that lie beside each other in both
/// are one.
fn matrix(dims: &[usize], strides: &[isize], size: usize) -> Option<usize> {
    let (mut rows, mut columns) = ((1usize, 0isize), (1usize, 0isize));
    let mut count = 0;
    for (&d, &stride) in dims.iter().zip(strides).filter(|(d, _)| **d != 1) {
        let last = if count == 2 { &mut columns } else { &mut rows };
        if count > 0 && last.1 == stride.wrapping_mul(d as isize) {
            *last = (last.0.wrapping_mul(d), stride);
            continue;
        }
        count += 1;
        match count {
            1 => rows = (d, stride),
            2 => columns = (d, stride),
            _ => return None,
        }
    }
    let is_turned = rows.1 == size as isize && columns.1 == rows.0.wrapping_mul(size) as isize;
    (count == 2 && is_turned).then_some(columns.0)
}

/// Writes the output's columns, each of which lies in one piece in the input.
#[cfg(not(feature = "std"))]
fn turn<T: Pod>(io: &mut Io<'_>, columns: usize) -> Result<()> {
    let (input, output) = (io.input::<T>(0)?, io.output::<T>(0)?);
    let rows = input.len().checked_div(columns).unwrap_or(0);
    for (c, column) in input.chunks_exact(rows.max(1)).enumerate() {
        for (slot, &x) in output.iter_mut().skip(c).step_by(columns.max(1)).zip(column) {
            *slot = x;
        }
    }
    Ok(())
}

/// As it is where size counts, but the output in one pass: pixel by pixel of few channels, else some rows at a time, which
/// stay near until all of their columns are written.
#[cfg(feature = "std")]
fn turn<T: Pod>(io: &mut Io<'_>, columns: usize) -> Result<()> {
    let (input, output) = (io.input::<T>(0)?, io.output::<T>(0)?);
    match columns {
        2 => interleave::<T, 2>(input, output),
        3 => interleave::<T, 3>(input, output),
        4 => interleave::<T, 4>(input, output),
        _ => by_rows(input, output, columns.max(1)),
    }
    Ok(())
}

#[cfg(feature = "std")]
fn interleave<T: Pod, const C: usize>(input: &[T], output: &mut [T]) {
    let rows = input.len() / C;
    let mut planes = [input; C];
    for (plane, part) in planes.iter_mut().zip(input.chunks_exact(rows.max(1))) {
        *plane = part;
    }
    for (i, pixel) in output.as_chunks_mut::<C>().0.iter_mut().enumerate() {
        for (slot, plane) in pixel.iter_mut().zip(&planes) {
            if let Some(&x) = plane.get(i) {
                *slot = x;
            }
        }
    }
}

#[cfg(feature = "std")]
fn by_rows<T: Pod>(input: &[T], output: &mut [T], columns: usize) {
    /// Rows at a time: as many as make each line of a column that is read whole.
    const ROWS: usize = 16;
    let rows = input.len().checked_div(columns).unwrap_or(0).max(1);
    for (block, slots) in output.chunks_mut(ROWS.saturating_mul(columns)).enumerate() {
        for (c, column) in input.chunks_exact(rows).enumerate() {
            let part = column.get(block * ROWS..).unwrap_or(&[]);
            for (slot, &x) in slots.iter_mut().skip(c).step_by(columns).zip(part) {
                *slot = x;
            }
        }
    }
}
