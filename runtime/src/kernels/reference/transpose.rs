//! Transpose: the output in ascending order, reading the input by permuted strides.

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
    io.moves(0)?.strided(dims, strides, 0, size)
}
