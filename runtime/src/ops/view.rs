//! Several inputs beside one output, for elementwise kernels that may work in place on any of them.

use core::cell::Cell;

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::ops::io::{Io, Source};

/// One input's elements: in memory of their own, or inside the output's span.
#[derive(Clone, Copy)]
pub enum View<'a, T> {
    /// Nobody writes these during the step.
    Shared(&'a [T]),
    /// The kernel's own writes show here.
    Inside(&'a [Cell<T>]),
}

impl<'a, T: Copy> View<'a, T> {
    /// Element `i`, or `None` past the end.
    #[inline(always)]
    pub fn at(&self, i: usize) -> Option<T> {
        match self {
            View::Shared(x) => x.get(i).copied(),
            View::Inside(x) => x.get(i).map(Cell::get),
        }
    }

    /// `count` elements from `start` on.
    #[inline(always)]
    pub fn row(&self, start: usize, count: usize) -> Result<View<'a, T>> {
        let end = start.wrapping_add(count);
        match self {
            View::Shared(x) => x.get(start..end).map(View::Shared),
            View::Inside(x) => x.get(start..end).map(View::Inside),
        }
        .ok_or(Error::Internal)
    }
}

/// The inputs in the order asked for, and the output.
pub type Views<'a, T, const N: usize> = ([View<'a, T>; N], &'a [Cell<T>]);

impl<'a> Io<'a> {
    /// Takes output `o` together with the inputs of these numbers, each of the output's own element type and
    /// each overlapping it or not. A kernel that reads element `k` of every input before it writes element
    /// `k`, ascending, tolerates every input that does not start below the output.
    pub fn views<T: Pod, const N: usize>(&mut self, inputs: [usize; N], o: usize) -> Result<Views<'a, T, N>> {
        let sink = self.sinks.get_mut(o).ok_or(Error::Operand)?;
        let (start, end) = (sink.start, sink.end);
        let span = sink.span.take().ok_or(Error::Internal)?;
        let span: &'a mut [T] = bytemuck::try_cast_slice_mut(span).map_err(|_| Error::Alignment)?;
        let cells: &'a [Cell<T>] = Cell::from_mut(span).as_slice_of_cells();
        let mut views = [View::Shared(&[][..]); N];
        for (view, i) in views.iter_mut().zip(inputs) {
            *view = match self.sources.get(i) {
                Some(&Source::Shared(bytes)) => {
                    View::Shared(bytemuck::try_cast_slice(bytes).map_err(|_| Error::Alignment)?)
                }
                Some(&Source::Inside { output, start, end }) if output == o => {
                    View::Inside(part(cells, start, end)?)
                }
                _ => return Err(Error::Operand),
            };
        }
        Ok((views, part(cells, start, end)?))
    }
}

/// The cells between two byte offsets.
fn part<T>(cells: &[Cell<T>], start: usize, end: usize) -> Result<&[Cell<T>]> {
    let at = |byte: usize| match byte.checked_rem(size_of::<T>()) {
        Some(0) => byte.checked_div(size_of::<T>()),
        _ => None,
    };
    let (Some(start), Some(end)) = (at(start), at(end)) else { return Err(Error::Alignment) };
    cells.get(start..end).ok_or(Error::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::io::{MAX_INPUTS, Sink};
    use crate::tensor::{Desc, Dtype, Shape};

    #[test]
    fn two_inputs_inside_the_output_see_its_writes() {
        let desc = Desc::new(Dtype::I16, Shape::new(&[3]).unwrap());
        let (inputs, outputs) = ([Some(desc), Some(desc)], [desc]);
        let mut words = [10i16, 20, 30, 40];
        let mut sources = [Source::Absent; MAX_INPUTS];
        sources[0] = Source::Inside { output: 0, start: 0, end: 6 };
        sources[1] = Source::Inside { output: 0, start: 2, end: 8 };
        let mut io =
            Io { inputs: &inputs, outputs: &outputs, sources, sinks: Default::default(), scratch: None };
        io.sinks[0] = Sink { span: Some(bytemuck::cast_slice_mut(&mut words)), start: 0, end: 6 };
        let ([a, b], y) = io.views::<i16, 2>([0, 1], 0).unwrap();
        for (k, slot) in y.iter().enumerate() {
            slot.set(a.at(k).unwrap() + b.at(k).unwrap());
        }
        assert_eq!(words, [30, 50, 70, 40]);
    }

    #[test]
    fn an_offset_inside_an_element_is_refused() {
        let desc = Desc::new(Dtype::I16, Shape::new(&[1]).unwrap());
        let (inputs, outputs) = ([Some(desc)], [desc]);
        let mut words = [0i16; 2];
        let mut sources = [Source::Absent; MAX_INPUTS];
        sources[0] = Source::Inside { output: 0, start: 1, end: 3 };
        let mut io =
            Io { inputs: &inputs, outputs: &outputs, sources, sinks: Default::default(), scratch: None };
        io.sinks[0] = Sink { span: Some(bytemuck::cast_slice_mut(&mut words)), start: 0, end: 2 };
        assert_eq!(io.views::<i16, 1>([0], 0).map(|_| ()), Err(Error::Alignment));
    }
}
