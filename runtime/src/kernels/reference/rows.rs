//! The walk shared by the kernels that slide a window over NHWC images: one output row after the other, from
//! the end where the output lies above the input, so that both may overlap by rows.

use bytemuck::Pod;

use crate::error::Result;
use crate::ops::io::Io;
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

/// Calls `each` for all rows of all images of output 0, computed from input 0 under `taps` window rows.
#[inline(always)]
pub fn by_rows<T: Pod>(
    io: &mut Io<'_>,
    window: &Window,
    taps: usize,
    mut each: impl FnMut(Row<'_, T>) -> Result<()>,
) -> Result<()> {
    let [batch, height, width, channels] = io.input_desc(0)?.shape.dims4()?;
    let [_, oh, ow, outputs] = io.output_desc(0)?.shape.dims4()?;
    let (input_row, output_row) = (width * channels, ow * outputs);
    let mut pair = io.pair::<T, T>(0, 0)?;
    let descending = pair.descending();
    for n in 0..batch {
        for k in 0..oh {
            let y = if descending { oh - 1 - k } else { k };
            // Only the rows under the window: what lies outside may already be overwritten.
            let under = window.rows(y, taps, height);
            let first = under.start;
            let base = n * height;
            let out = (n * oh + y) * output_row;
            let (input, output) = pair.window::<T, T>(
                (base + under.start) * input_row..(base + under.end) * input_row,
                out..out + output_row,
            )?;
            each(Row { y, first, input, output })?;
        }
    }
    Ok(())
}
