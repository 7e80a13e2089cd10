//! Moving elements without looking at them: what reshape, pad, concatenation, transpose, slices and gather share.
//!
//! Everything here counts bytes. Outputs are written in ascending order, so an input may share memory with the
//! output wherever no byte is overwritten before it is read.

use crate::error::{Error, Result};
use crate::ops::io::{Io, MAX_INPUTS, Source};
use crate::tensor::{Desc, MAX_RANK};

/// Refuses an output whose scale or zero point differs from the input's: data that is moved keeps its meaning.
pub fn same_parameters(input: &Desc, output: &Desc) -> Result<()> {
    let same = input.scale.to_bits() == output.scale.to_bits() && input.zero_point == output.zero_point;
    if same { Ok(()) } else { Err(Error::Quantization) }
}

/// One output and every input, overlapping or not.
#[derive(Debug)]
pub struct Moves<'a> {
    sources: [Source<'a>; MAX_INPUTS],
    output: usize,
    bytes: &'a mut [u8],
    start: usize,
    end: usize,
}

impl<'a> Io<'a> {
    /// Takes output `o` together with all inputs.
    pub fn moves(&mut self, o: usize) -> Result<Moves<'a>> {
        let sink = self.sinks.get_mut(o).ok_or(Error::Operand)?;
        let (start, end) = (sink.start, sink.end);
        let bytes = sink.span.take().ok_or(Error::Internal)?;
        Ok(Moves { sources: self.sources, output: o, bytes, start, end })
    }
}

impl Moves<'_> {
    /// `output[to..to + len] = input i[from..from + len]`, in bytes.
    ///
    /// In shared memory the source may lie above its target or be the target itself; below it is refused.
    pub fn copy(&mut self, i: usize, from: usize, to: usize, len: usize) -> Result<()> {
        let to = self.target(to, len)?;
        match self.sources.get(i) {
            Some(&Source::Shared(input)) => {
                let read = range(from, len).and_then(|(a, b)| input.get(a..b));
                let write = range(to, len).and_then(|(a, b)| self.bytes.get_mut(a..b));
                copy(write, read)
            }
            Some(&Source::Inside { output, start, end }) if output == self.output => {
                let from = start.checked_add(from).ok_or(Error::Internal)?;
                match range(from, len) {
                    Some((_, last)) if last <= end && last <= self.bytes.len() => {}
                    _ => return Err(Error::Internal),
                }
                if from == to {
                    return Ok(());
                }
                if from < to {
                    return Err(Error::Overlap);
                }
                if from.wrapping_sub(to) >= len {
                    let (low, high) = self.bytes.split_at_mut_checked(from).ok_or(Error::Internal)?;
                    return copy(range(to, len).and_then(|(a, b)| low.get_mut(a..b)), high.get(..len));
                }
                for k in 0..len {
                    let byte = self.bytes.get(from.wrapping_add(k)).copied().ok_or(Error::Internal)?;
                    *self.bytes.get_mut(to.wrapping_add(k)).ok_or(Error::Internal)? = byte;
                }
                Ok(())
            }
            _ => Err(Error::Operand),
        }
    }

    /// Repeats `element` over `output[to..to + len]`, in bytes; `len` is a multiple of the element's size.
    pub fn fill(&mut self, to: usize, len: usize, element: &[u8]) -> Result<()> {
        let to = self.target(to, len)?;
        let (a, b) = range(to, len).ok_or(Error::Internal)?;
        let target = self.bytes.get_mut(a..b).ok_or(Error::Internal)?;
        for (slot, &byte) in target.iter_mut().zip(element.iter().cycle()) {
            *slot = byte;
        }
        Ok(())
    }

    /// Fills the output in ascending order: element `[i0, i1, …]` of `dims` comes from byte
    /// `base + i0 * strides[0] + i1 * strides[1] + …` of input 0.
    pub fn strided(
        &mut self,
        dims: [usize; MAX_RANK],
        strides: [isize; MAX_RANK],
        base: usize,
        size: usize,
    ) -> Result<()> {
        let (dims, run) = coalesce(dims, &strides, size);
        let mut to = 0usize;
        walk(&dims, &strides, base, |from| {
            self.copy(0, from, to, run)?;
            to = to.wrapping_add(run);
            Ok(())
        })
    }

    fn target(&self, to: usize, len: usize) -> Result<usize> {
        let at = self.start.checked_add(to).ok_or(Error::Internal)?;
        match at.checked_add(len) {
            Some(last) if last <= self.end => Ok(at),
            _ => Err(Error::Internal),
        }
    }
}

/// Folds trailing axes that are contiguous in the source into one run of bytes, leaving them at 1.
fn coalesce(
    mut dims: [usize; MAX_RANK],
    strides: &[isize; MAX_RANK],
    size: usize,
) -> ([usize; MAX_RANK], usize) {
    let mut run = size;
    for (d, &stride) in dims.iter_mut().zip(strides).rev() {
        if *d != 1 && stride != run as isize {
            break;
        }
        run = run.wrapping_mul(*d);
        *d = 1;
    }
    (dims, run)
}

/// Calls `visit` with `base + sum(index * stride)` for every index of `dims`, the last axis fastest.
pub fn walk(
    dims: &[usize; MAX_RANK],
    strides: &[isize; MAX_RANK],
    base: usize,
    mut visit: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    let count = dims.iter().fold(1usize, |n, &d| n.wrapping_mul(d));
    let mut index = [0usize; MAX_RANK];
    let mut at = base;
    for _ in 0..count {
        visit(at)?;
        for ((i, &d), &stride) in index.iter_mut().zip(dims).zip(strides).rev() {
            *i = i.wrapping_add(1);
            at = at.wrapping_add_signed(stride);
            if *i < d {
                break;
            }
            at = at.wrapping_sub((stride as usize).wrapping_mul(d));
            *i = 0;
        }
    }
    Ok(())
}

/// Byte strides of a dense tensor with these dimensions, outermost first.
pub fn dense(dims: &[usize; MAX_RANK], size: usize) -> [isize; MAX_RANK] {
    let mut strides = [0isize; MAX_RANK];
    let mut stride = size;
    for (slot, &d) in strides.iter_mut().zip(dims).rev() {
        *slot = stride as isize;
        stride = stride.wrapping_mul(d);
    }
    strides
}

fn range(at: usize, len: usize) -> Option<(usize, usize)> {
    Some((at, at.checked_add(len)?))
}

fn copy(write: Option<&mut [u8]>, read: Option<&[u8]>) -> Result<()> {
    match (write, read) {
        (Some(write), Some(read)) if write.len() == read.len() => {
            write.copy_from_slice(read);
            Ok(())
        }
        _ => Err(Error::Internal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::io::Sink;
    use crate::tensor::{Dtype, Shape};

    fn inside(bytes: &mut [u8], input: (usize, usize), output: (usize, usize)) -> Moves<'_> {
        let mut io = Io {
            inputs: &[],
            outputs: &[],
            sources: [Source::Absent; MAX_INPUTS],
            sinks: Default::default(),
            scratch: None,
        };
        io.sources[0] = Source::Inside { output: 0, start: input.0, end: input.1 };
        io.sinks[0] = Sink { span: Some(bytes), start: output.0, end: output.1 };
        io.moves(0).unwrap()
    }

    #[test]
    fn copies_within_one_span_downwards_only() {
        let mut bytes = [0, 1, 2, 3, 4, 5, 6, 7];
        inside(&mut bytes, (2, 8), (0, 6)).copy(0, 0, 0, 6).unwrap();
        assert_eq!(bytes, [2, 3, 4, 5, 6, 7, 6, 7]);
        let mut bytes = [0, 1, 2, 3, 4, 5, 6, 7];
        inside(&mut bytes, (4, 8), (0, 4)).copy(0, 0, 0, 4).unwrap();
        assert_eq!(bytes, [4, 5, 6, 7, 4, 5, 6, 7]);
        assert_eq!(inside(&mut bytes, (0, 6), (2, 8)).copy(0, 0, 0, 6), Err(Error::Overlap));
        assert_eq!(inside(&mut bytes, (0, 6), (0, 6)).copy(0, 1, 0, 6), Err(Error::Internal));
        assert_eq!(inside(&mut bytes, (0, 6), (0, 6)).copy(0, 0, 1, 6), Err(Error::Internal));
        assert_eq!(inside(&mut bytes, (0, 6), (0, 6)).copy(1, 0, 0, 6), Err(Error::Operand));
    }

    #[test]
    fn walks_in_row_major_order_with_negative_strides() {
        let mut seen = [0usize; 6];
        let mut k = 0;
        walk(&[1, 1, 1, 1, 2, 3], &[0, 0, 0, 0, 10, -1], 5, |at| {
            seen[k] = at;
            k += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [5, 4, 3, 15, 14, 13]);
    }

    #[test]
    fn coalesces_only_what_is_contiguous() {
        let dims = [1, 1, 4, 3, 1, 2];
        assert_eq!(coalesce(dims, &dense(&dims, 2), 2), ([1; 6], 48));
        let mut strides = dense(&dims, 2);
        strides[2] = 24;
        assert_eq!(coalesce(dims, &strides, 2), ([1, 1, 4, 1, 1, 1], 12));
    }

    #[test]
    fn scales_are_compared_by_bits() {
        let a = Desc { scale: 0.5, ..Desc::new(Dtype::I8, Shape::SCALAR) };
        assert_eq!(same_parameters(&a, &a), Ok(()));
        assert_eq!(same_parameters(&a, &Desc { zero_point: 1, ..a }), Err(Error::Quantization));
        assert_eq!(same_parameters(&a, &Desc { scale: 0.25, ..a }), Err(Error::Quantization));
    }
}
