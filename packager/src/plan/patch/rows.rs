//! Which operators can compute some rows of their output from some rows of their inputs.

use std::ops::Range;

use samara_runtime::ops::{
    Add, AveragePool2d, Cast, Concatenation, Conv2d, DepthwiseConv2d, Dequantize, Div, FullyConnected, Lut,
    MaxPool2d, Maximum, Minimum, Mul, Op, PRelu, Quantize, Requantize, Softmax, Sub, Unary, Window, clamp,
};
use samara_runtime::{Desc, Place, Shape};

use crate::error::Result;
use crate::plan::{Plan, PlannedStep};

/// The axis of rows: the first after those that must be 1. A row is what follows it.
pub(super) fn axis(shape: &Shape) -> Option<usize> {
    match shape.rank() {
        2 => Some(0),
        3 | 4 if shape.dim(0) == 1 => Some(1),
        _ => None,
    }
}

/// Rows of a tensor; `None` where it has several images.
pub(in crate::plan) fn count(desc: &Desc) -> Option<usize> {
    axis(&desc.shape).map(|axis| desc.shape.dim(axis))
}

/// Bytes of one row; 0 for a tensor of several images.
pub(in crate::plan) fn bytes(desc: &Desc) -> usize {
    axis(&desc.shape).map_or(0, |axis| desc.shape.inner(axis) * desc.dtype.size())
}

/// The description of so many rows of a tensor.
pub(super) fn part(desc: &Desc, rows: usize) -> Result<Desc> {
    let mut dims = desc.shape.dims().to_vec();
    if let Some(axis) = axis(&desc.shape) {
        dims[axis] = rows as u32;
    }
    Ok(Desc { shape: Shape::new(&dims)?, ..*desc })
}

/// A step's operator, as it reads rows.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Row `r` of the output from row `r` of the inputs.
    Same,
    Conv(Conv2d),
    Depthwise(DepthwiseConv2d),
    Average(AveragePool2d),
    Max(MaxPool2d),
}

/// How a step computes rows.
#[derive(Clone, Debug)]
pub(super) struct ByRows {
    kind: Kind,
    /// Rows of the inputs, and rows under the window.
    input: [usize; 2],
    /// Inputs that it reads by rows, one bit each; of the others it reads all.
    operands: u32,
}

/// Operators whose inputs broadcast to the output.
const BROADCAST: &[u16] =
    &[Add::CODE, Sub::CODE, Mul::CODE, Div::CODE, Minimum::CODE, Maximum::CODE, PRelu::CODE];
/// Operators on the elements of input 0; other inputs are tables.
const ELEMENTWISE: &[u16] = &[
    Lut::CODE,
    clamp::Clamp::CODE,
    Unary::CODE,
    Quantize::CODE,
    Dequantize::CODE,
    Requantize::CODE,
    Cast::CODE,
];

impl ByRows {
    /// `None` for steps that need more than some rows for a row.
    pub(super) fn of(plan: &Plan, step: &PlannedStep) -> Option<ByRows> {
        let [y] = step.outputs[..] else { return None };
        let y = &plan.tensors[y].desc;
        let input = |i: usize| step.inputs.get(i).copied().flatten().map(|t| &plan.tensors[t].desc);
        let x = input(0)?;
        let (rows, image) = (count(x)?, x.shape.rank() == 4);
        count(y)?;
        let first = |kind: Kind, taps: usize| Some(ByRows { kind, input: [rows, taps], operands: 1 });
        let alike = |d: &Desc| d.shape.rank() == y.shape.rank() && count(d) == count(y);
        let last = y.shape.rank() - 1;
        match step.op {
            Conv2d::CODE => first(Kind::Conv(Conv2d::parse(&step.attributes).ok()?), input(1)?.shape.dim(1)),
            DepthwiseConv2d::CODE => {
                let op = DepthwiseConv2d::parse(&step.attributes).ok()?;
                first(Kind::Depthwise(op), input(1)?.shape.dim(1))
            }
            AveragePool2d::CODE if image => {
                let op = AveragePool2d::parse(&step.attributes).ok()?;
                first(Kind::Average(op), op.pool.height())
            }
            MaxPool2d::CODE if image => {
                let op = MaxPool2d::parse(&step.attributes).ok()?;
                first(Kind::Max(op), op.pool.height())
            }
            FullyConnected::CODE | Softmax::CODE if alike(x) && axis(&y.shape)? < last => {
                first(Kind::Same, 1)
            }
            code if ELEMENTWISE.contains(&code) && alike(x) => first(Kind::Same, 1),
            Concatenation::CODE => {
                let op = Concatenation::parse(&step.attributes).ok()?;
                let inputs = 0..step.inputs.len();
                let fits =
                    inputs.clone().all(|i| input(i).is_some_and(|d| alike(d) && d.place == Place::Arena));
                let operands = inputs.fold(0, |all, i| all | 1 << i);
                (fits && usize::from(op.axis) > axis(&y.shape)?).then_some(ByRows {
                    kind: Kind::Same,
                    input: [count(y)?, 1],
                    operands,
                })
            }
            code if BROADCAST.contains(&code) => {
                let mut operands = 0;
                for i in 0..step.inputs.len() {
                    let d = input(i)?;
                    // The axis of rows from the end, where broadcasting aligns.
                    let from_end = y.shape.rank() - axis(&y.shape)?;
                    let aligned = d.shape.aligned();
                    if aligned[..=aligned.len() - from_end].iter().all(|&n| n == 1) {
                        continue;
                    }
                    if !alike(d) || d.place != Place::Arena {
                        return None;
                    }
                    operands |= 1 << i;
                }
                (operands != 0).then_some(ByRows { kind: Kind::Same, input: [count(y)?, 1], operands })
            }
            _ => None,
        }
    }

    /// Whether input `i` is read by rows.
    pub(super) fn reads(&self, i: usize) -> bool {
        self.operands >> i & 1 == 1
    }

    /// The input rows that these output rows are computed from; `None` where one of them lies wholly in the padding.
    pub(super) fn needs(&self, rows: &Range<usize>) -> Option<Range<usize>> {
        let Some(window) = self.window() else { return Some(rows.clone()) };
        let [first, end] = self.under(window, rows);
        let range = first.max(0) as usize..end.clamp(0, self.input[0] as isize) as usize;
        (!range.is_empty()).then_some(range)
    }

    /// The step's attributes for these output rows alone.
    pub(super) fn attributes(&self, rows: &Range<usize>, whole: &[u8]) -> Vec<u8> {
        let Some(window) = self.window() else { return whole.to_vec() };
        let [first, end] = self.under(window, rows);
        let [_, left, _, right] = window.pad;
        let outside = |n: isize| n.max(0) as u16;
        let pad = [outside(-first), left, outside(end - self.input[0] as isize), right];
        let window = Window { pad, ..window };
        let attr = match self.kind {
            Kind::Same => return whole.to_vec(),
            Kind::Conv(op) => Conv2d { window, ..op }.emit(),
            Kind::Depthwise(op) => DepthwiseConv2d { window, ..op }.emit(),
            Kind::Max(mut op) => {
                op.pool.window = window;
                op.emit()
            }
            Kind::Average(mut op) => {
                op.pool.window = window;
                let [top, left, bottom, right] = op.counted;
                op.counted = [top.min(pad[0]), left, bottom.min(pad[2]), right];
                op.emit()
            }
        };
        attr.bytes().to_vec()
    }

    fn window(&self) -> Option<Window> {
        match self.kind {
            Kind::Same => None,
            Kind::Conv(op) => Some(op.window),
            Kind::Depthwise(op) => Some(op.window),
            Kind::Average(op) => Some(op.pool.window),
            Kind::Max(op) => Some(op.pool.window),
        }
    }

    /// First row under the window of the first of `rows`, and the row after the last one under that of the last:
    /// in the padding where below 0 or past the image.
    fn under(&self, window: Window, rows: &Range<usize>) -> [isize; 2] {
        let (stride, top) = (window.stride[0] as isize, window.pad[0] as isize);
        let reach = (self.input[1] as isize - 1) * window.dilation[0] as isize + 1;
        [rows.start as isize * stride - top, (rows.end as isize - 1) * stride - top + reach]
    }
}
