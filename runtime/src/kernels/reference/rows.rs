//! The walk shared by the kernels that slide a window over NHWC images: one output row after the other, from
//! the end where the output lies above the input, so that both may overlap by rows.

use bytemuck::Pod;

use crate::error::Result;
use crate::ops::io::{Io, Pair};
use crate::ops::window::Window;

/// One output row and the input rows under its window.
#[derive(Debug)]
pub struct Row<'a, T> {
    /// Row number in the output image.
    pub y: usize,
    /// Row number, in the input image, of the first row in `input`.
    pub first: usize,
    /// Whole input rows from the first to the last one under the window; empty where all lie in the padding.
    pub input: &'a [T],
    /// The output row.
    pub output: &'a mut [T],
}

/// All rows of all images of output 0, computed from input 0 under `taps` window rows, in the order that keeps
/// overlapping memory right. Small devices have the walk once for all of their kernels.
#[derive(Debug)]
pub struct Rows<'a> {
    window: Window,
    taps: usize,
    height: usize,
    /// Output rows of an image.
    rows: usize,
    /// Elements of an input row and of an output row.
    lengths: [usize; 2],
    pair: Pair<'a>,
    /// The image and the row to come, in the order of the walk.
    image: usize,
    row: usize,
    images: usize,
}

impl<'a> Rows<'a> {
    /// Takes output 0; `T` is the element of both.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn new<T: Pod>(io: &mut Io<'a>, window: &Window, taps: usize) -> Result<Self> {
        let [batch, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
        let [_, rows, columns, outputs] = io.output_desc(0)?.shape.dims4()?;
        Ok(Rows {
            window: *window,
            taps,
            height,
            rows,
            lengths: [width * channels, columns * outputs],
            pair: io.pair::<T, T>(0, 0)?,
            image: 0,
            row: 0,
            images: batch,
        })
    }

    /// All of the input and the output, where they share no memory.
    #[inline(always)]
    pub fn apart<T: Pod>(&mut self) -> Result<Option<(&[T], &mut [T])>> {
        let Pair::Apart { input, output } = &self.pair else { return Ok(None) };
        let size = size_of::<T>().max(1);
        let [input, output] = [input.len(), output.len()].map(|n| n.checked_div(size).unwrap_or(0));
        self.pair.window::<T, T>(0..input, 0..output).map(Some)
    }

    /// The next row; `None` after the last one.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn next_row<T: Pod>(&mut self) -> Result<Option<Row<'_, T>>> {
        let (n, k) = (self.image, self.row);
        if n == self.images {
            return Ok(None);
        }
        self.row += 1;
        if self.row == self.rows {
            (self.image, self.row) = (n + 1, 0);
        }
        let y = if self.pair.descending() { self.rows - 1 - k } else { k };
        // Only the rows under the window: what lies outside may already be overwritten.
        let under = self.window.rows(y, self.taps, self.height);
        let [input_row, output_row] = self.lengths;
        let (base, out, first) = (n * self.height, (n * self.rows + y) * output_row, under.start);
        let (input, output) = self.pair.window::<T, T>(
            (base + under.start) * input_row..(base + under.end) * input_row,
            out..out + output_row,
        )?;
        Ok(Some(Row { y, first, input, output }))
    }
}

/// Calls `each` for all rows.
#[inline(always)]
pub fn by_rows<T: Pod>(
    io: &mut Io<'_>,
    window: &Window,
    taps: usize,
    mut each: impl FnMut(Row<'_, T>) -> Result<()>,
) -> Result<()> {
    let mut rows = Rows::new::<T>(io, window, taps);
    let rows = rows.as_mut().map_err(|e| *e)?;
    while let Some(row) = rows.next_row::<T>()? {
        each(row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use crate::ops::io::{Sink, Source};
    use crate::ops::op::{Context, Inputs, Op, OpDef};
    use crate::ops::{AveragePool2d, Clamp, Io, MaxPool2d, Pool, Window};
    use crate::tensor::{Desc, Dtype, Shape};

    /// Bytes of the output with input and output at these places of one span.
    fn run<O: Op>(op: &O, x: Desc, y: Desc, data: &[u8], [input, output]: [usize; 2]) -> Vec<u8> {
        let len = (input + x.bytes()).max(output + y.bytes());
        // Aligned for any element.
        let mut span = std::vec![0x5555_5555_5555_5555u64; len.div_ceil(8)];
        let span = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut span)[..len];
        span[input..][..data.len()].copy_from_slice(data);
        let (ins, outs) = ([Some(x)], [y]);
        let mut io = Io::apart(&[], &[], &[], [], &mut []).unwrap();
        (io.inputs, io.outputs) = (&ins, &outs);
        io.sources[0] = Source::Inside { output: 0, start: input, end: input + x.bytes() };
        io.sinks[0] = Sink { start: output, end: output + y.bytes(), span: Some(&mut *span) };
        let entry = O::KERNELS.iter().find(|e| e.dtypes.contains(&x.dtype)).unwrap();
        (entry.run)(op.emit().bytes(), &mut io, &Context { rounding: entry.roundings[0] }).unwrap();
        span[output..][..y.bytes()].to_vec()
    }

    fn same_at_every_distance<O: Op>(op: &O, x: Desc) {
        let (def, attr) = (OpDef::of::<O>(), op.emit());
        let ins = [Some(x)];
        let Ok(inferred) = def.infer(attr.bytes(), &Inputs(&ins)) else { return };
        let y = inferred.outputs()[0];
        let data: Vec<u8> = (0..x.bytes()).map(|i| (i * 37 + i / 7 * 11) as u8).collect();
        let apart = run(op, x, y, &data, [y.bytes(), 0]);
        let ascending = op.overlap(&Inputs(&ins), &[y], 0, 0).unwrap();
        let descending = op.overlap_descending(&Inputs(&ins), &[y], 0, 0).unwrap();
        assert_eq!(run(op, x, y, &data, [ascending, 0]), apart, "input {ascending} above, {op:?}");
        // Starting at the same place is the ascending order's.
        let descending = descending.max(x.dtype.size());
        assert_eq!(run(op, x, y, &data, [0, descending]), apart, "output {descending} above, {op:?}");
    }

    #[test]
    fn rows_may_overlap_at_the_declared_distances() {
        for height in [1, 2, 5, 9] {
            for (size, stride, dilation) in [(1, 1, 1), (2, 2, 1), (3, 1, 1), (3, 2, 1), (2, 1, 2), (3, 3, 2)]
            {
                for pad in 0..(size - 1) * dilation + 1 {
                    let window =
                        Window { stride: [stride, 1], dilation: [dilation, 1], pad: [pad, 0, pad, 1] };
                    let pool = Pool { window, size: [size, 2] };
                    let clamp = Clamp::i32(-128, 127);
                    for dtype in [Dtype::I8, Dtype::I16] {
                        let x = Desc::new(dtype, Shape::new(&[1, height, 4, 3]).unwrap());
                        same_at_every_distance(&AveragePool2d { pool, counted: [0; 4], clamp }, x);
                        same_at_every_distance(&MaxPool2d { pool, clamp }, x);
                    }
                }
            }
        }
    }
}
