//! FullyConnected: rows of the input times a constant matrix.

use crate::error::{Error, Result};
use crate::ops::attr::{Attr, Clamp, Reader};
use crate::ops::layer::{self, CONSTANTS, OPERANDS, entries};
use crate::ops::op::{Constants, Inferred, Inputs, Op};
use crate::ops::window::Window;
use crate::tensor::{Desc, Dtype, Shape};

/// Operands of a [`layer`]: input `[..., I]`, weights `[O,I]`, bias, constants, table. One constant of requantization
/// or one scale, `[1,2]` or `[1]`, may serve all channels.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FullyConnected {
    /// Whether the output keeps the input's leading dimensions, `[..., O]`. Otherwise the input is taken as
    /// `[elements / I, I]`, whatever its own dimensions, and the output is `[elements / I, O]`.
    pub keep_dims: bool,
    /// Fused activation's range in output numbers.
    pub clamp: Clamp,
}

entries!(fully_connected false, LANES);

impl FullyConnected {
    /// Rows, and bytes of an input and an output row. A row of inputs is under each row of outputs, as under a
    /// window of one.
    fn rows(&self, inputs: &Inputs<'_>) -> Option<[usize; 3]> {
        let (x, w) = (inputs.get(0).ok()?, inputs.get(1).ok()?.shape);
        let (depth, size) = (w.dim(1), x.dtype.size());
        let rows = x.shape.elements().checked_div(depth)?;
        Some([rows, depth.checked_mul(size)?, w.dim(0).checked_mul(size)?])
    }
}

impl Op for FullyConnected {
    const CODE: u16 = 3;
    const NAME: &'static str = "fully_connected";
    const KERNELS: &'static [Entry] = ENTRIES;

    fn parse(attributes: &[u8]) -> Result<Self> {
        let mut r = Reader::of::<9>(attributes)?;
        let op = FullyConnected { keep_dims: r.flag()?, clamp: Clamp::parse(&mut r)? };
        r.end()?;
        Ok(op)
    }

    fn emit(&self) -> Attr {
        self.clamp.emit(Attr::new().u8(u8::from(self.keep_dims)))
    }

    fn infer(&self, inputs: &Inputs<'_>) -> Result<Inferred> {
        inputs.count(2, OPERANDS)?;
        let x = inputs.get(0)?;
        let weights = inputs.get(1)?.shape;
        let &[outputs, depth] = weights.dims() else { return Err(Error::Shape) };
        let dims = [outputs as usize, depth as usize];
        let dtype = layer::infer(inputs, &dims, outputs as usize, Some(depth as usize))?;
        let elements = x.shape.elements();
        let shape = if self.keep_dims {
            if x.shape.dims().last() != Some(&depth) {
                return Err(Error::Shape);
            }
            x.shape.with_last(outputs)?
        } else {
            if elements.checked_rem(depth as usize) != Some(0) {
                return Err(Error::Shape);
            }
            let batch = elements.checked_div(depth as usize).ok_or(Error::Shape)?;
            Shape::new(&[batch as u32, outputs])?
        };
        Ok(Inferred::one(dtype, shape))
    }

    fn check(&self, inputs: &Inputs<'_>, outputs: &[Desc], constants: &Constants<'_>) -> Result<()> {
        let scales = inputs.optional(CONSTANTS).filter(|scales| scales.shape.dim(0) == 1);
        layer::check(inputs, outputs, constants, self.clamp, scales.map(|_| 1))
    }

    fn scratch(&self, inputs: &Inputs<'_>, outputs: &[Desc], id: u8) -> Result<usize> {
        layer::scratch::fully_connected(self, inputs, outputs, id)
    }

    fn overlap(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        let [rows, input_row, output_row] = self.rows(inputs)?;
        if i == 0 && o == 0 && !outputs.is_empty() {
            Window::UNIT.distance(rows, input_row, output_row)
        } else {
            None
        }
    }

    fn overlap_descending(&self, inputs: &Inputs<'_>, outputs: &[Desc], i: usize, o: usize) -> Option<usize> {
        let [rows, input_row, output_row] = self.rows(inputs)?;
        if i == 0 && o == 0 && !outputs.is_empty() {
            Window::UNIT.distance_descending(rows, [rows, 1], input_row, output_row)
        } else {
            None
        }
    }

    fn macs(&self, inputs: &Inputs<'_>, outputs: &[Desc]) -> u64 {
        let (Ok(w), Some(y)) = (inputs.get(1), outputs.first()) else { return 0 };
        (y.shape.elements() as u64).wrapping_mul(w.shape.dim(1) as u64)
    }
}
