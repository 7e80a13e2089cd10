//! StridedSlice: the output in ascending order, reading the input by stepped strides.

use crate::error::Result;
use crate::ops::io::Io;
use crate::ops::moves::dense;
use crate::ops::op::{Context, Op};
use crate::ops::strided_slice::StridedSlice;
use crate::tensor::MAX_RANK;

/// Any element type.
pub fn any(attributes: &[u8], io: &mut Io<'_>, _cx: &Context) -> Result<()> {
    let op = StridedSlice::parse(attributes)?;
    let x = io.input_desc(0)?;
    let size = x.dtype.size();
    let (mut lengths, mut dims) = ([1usize; MAX_RANK], [1usize; MAX_RANK]);
    for ((length, d), (&n, &taken)) in
        lengths.iter_mut().zip(&mut dims).zip(x.shape.dims().iter().zip(&op.size()))
    {
        (*length, *d) = (n as usize, taken as usize);
    }
    let mut strides = dense(&lengths, size);
    let mut base = 0usize;
    for (&begin, &stride) in op.begin().iter().zip(&strides) {
        base = base.wrapping_add((begin as usize).wrapping_mul(stride as usize));
    }
    if let Some(steps) = io.optional::<i32>(1)? {
        for (stride, &step) in strides.iter_mut().zip(steps) {
            *stride = stride.wrapping_mul(step as isize);
        }
    }
    io.moves(0)?.strided(dims, strides, base, size)
}
