//! Slices and splits, all as strided slices.

use super::super::context::Context;
use crate::error::{Error, Result};
use crate::ir::{Op, TensorId};

type Cx<'c, 'm, 'f, 'a> = Context<'c, 'm, 'f, 'a>;

/// No options; begin and size are operands, a size of -1 reaches to the end.
pub fn slice(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let shape = cx.shape(x);
    let (begin, lengths) = (cx.ints(1, "begin")?, cx.ints(2, "size")?);
    let mut size = Vec::new();
    for (axis, &d) in shape.iter().enumerate() {
        let (b, n) = match (begin.get(axis), lengths.get(axis)) {
            (Some(&b), Some(&n)) if begin.len() == shape.len() && lengths.len() == shape.len() => (b, n),
            _ => return Err(Error::invalid(format!("its begin and size do not fit the shape {shape:?}"))),
        };
        let room = usize::try_from(b).ok().and_then(|b| d.checked_sub(b));
        let length = if n == -1 { room } else { usize::try_from(n).ok() };
        match (length, room) {
            (Some(n), Some(room)) if n > 0 && n <= room => size.push(n),
            _ => {
                let cause = format!("its slice of {n} from {b} lies outside dimension {axis} of {shape:?}");
                return Err(Error::invalid(cause));
            }
        }
    }
    cx.expect(y, &size)?;
    cx.same_parameters(x, y)?;
    cx.node(Op::StridedSlice { begin, size, stride: vec![1; shape.len()] }, &[Some(x)], y)
}

/// StridedSliceOptions: begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask, offset.
pub fn strided_slice(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let (x, y) = (cx.input(0)?, cx.output(0)?);
    let shape = cx.shape(x);
    let o = cx.options();
    let mut spec = Spec {
        begin: cx.ints(1, "begin")?,
        end: cx.ints(2, "end")?,
        stride: cx.ints(3, "strides")?,
        begin_mask: o.i32(0, 0)?,
        end_mask: o.i32(1, 0)?,
        ellipsis_mask: o.i32(2, 0)?,
        new_axis_mask: o.i32(3, 0)?,
        shrink_axis_mask: o.i32(4, 0)?,
    };
    if o.flag(5)? {
        // The end is relative to the begin.
        let sums = spec.begin.iter().zip(&spec.end).map(|(&b, &e)| b.checked_add(e));
        spec.end = sums.collect::<Option<_>>().ok_or_else(|| Error::invalid("its end is above int32"))?;
    }
    let dense = spec.dense(&shape)?;
    cx.expect(y, &dense.result)?;
    cx.same_parameters(x, y)?;
    let op = Op::StridedSlice { begin: dense.begin, size: dense.size.clone(), stride: dense.stride };
    if dense.result == dense.size {
        return cx.node(op, &[Some(x)], y);
    }
    let sliced = cx.between("sliced", x, dense.size);
    cx.node(op, &[Some(x)], sliced)?;
    cx.node(Op::Reshape { shape: dense.result }, &[Some(sliced)], y)
}

/// What a strided slice says, before it is matched with a shape.
#[derive(Debug, Default)]
struct Spec {
    begin: Vec<i32>,
    end: Vec<i32>,
    stride: Vec<i32>,
    begin_mask: i32,
    end_mask: i32,
    ellipsis_mask: i32,
    new_axis_mask: i32,
    shrink_axis_mask: i32,
}

/// One range per dimension of the input, and the shape after new and shrunk axes.
#[derive(Debug, PartialEq)]
struct Dense {
    begin: Vec<i32>,
    size: Vec<usize>,
    stride: Vec<i32>,
    result: Vec<usize>,
}

impl Spec {
    fn dense(&self, shape: &[usize]) -> Result<Dense> {
        let count = self.begin.len();
        if self.end.len() != count || self.stride.len() != count || count > 31 {
            return Err(Error::invalid("its begin, end and strides differ in length"));
        }
        let bit = |mask: i32, i: usize| mask >> i & 1 != 0;
        if (self.ellipsis_mask & ((1i64 << count) - 1) as i32).count_ones() > 1 {
            return Err(Error::invalid("it has more than one ellipsis"));
        }
        // An ellipsis hides new-axis and shrink bits at its own place; a new axis hides a shrink bit.
        let ellipsis = |i: usize| bit(self.ellipsis_mask, i);
        let new_axis = |i: usize| bit(self.new_axis_mask, i) && !ellipsis(i);
        let ranges = (0..count).filter(|&i| !ellipsis(i) && !new_axis(i)).count();
        let Some(free) = shape.len().checked_sub(ranges) else {
            return Err(Error::invalid(format!("it has {ranges} ranges for the shape {shape:?}")));
        };
        let mut dense = Dense { begin: Vec::new(), size: Vec::new(), stride: Vec::new(), result: Vec::new() };
        for i in 0..count {
            if ellipsis(i) {
                dense.whole(shape, free);
            } else if new_axis(i) {
                dense.result.push(1);
            } else {
                self.range(i, shape, &mut dense)?;
            }
        }
        let rest = shape.len() - dense.size.len();
        dense.whole(shape, rest);
        Ok(dense)
    }

    /// Range `i` on the next dimension.
    fn range(&self, i: usize, shape: &[usize], dense: &mut Dense) -> Result<()> {
        let axis = dense.size.len();
        let outside = |what: &str| Error::invalid(format!("its {what} of dimension {axis} of {shape:?}"));
        let d = shape.get(axis).and_then(|&d| i32::try_from(d).ok()).map(i64::from);
        let d = d.ok_or_else(|| outside("range lies outside, at a size"))?;
        let stride = i64::from(self.stride[i]);
        let from_start = |v: i32| if v < 0 { i64::from(v) + d } else { i64::from(v) };
        if self.shrink_axis_mask >> i & 1 != 0 {
            // The begin is an index: its mask and the end do not count.
            let at = from_start(self.begin[i]);
            if !(0..d).contains(&at) || stride <= 0 {
                return Err(outside("index lies outside"));
            }
            dense.push(at, 1, 1);
            return Ok(());
        }
        if stride == 0 {
            return Err(Error::invalid("its stride is 0"));
        }
        let (low, high) = if stride > 0 { (0, d) } else { (-1, d - 1) };
        let limit = |v: i32| from_start(v).clamp(low, high);
        let masked = |mask: i32| mask >> i & 1 != 0;
        let (first, last) = if stride > 0 { (low, high) } else { (high, low) };
        let begin = if masked(self.begin_mask) { first } else { limit(self.begin[i]) };
        let end = if masked(self.end_mask) { last } else { limit(self.end[i]) };
        // Rounds up in the direction of the stride.
        let size = (end - begin + stride - stride.signum()) / stride;
        if size <= 0 {
            return Err(outside("range is empty, so is its slice"));
        }
        dense.push(begin, size, stride);
        dense.result.push(size as usize);
        Ok(())
    }
}

impl Dense {
    fn push(&mut self, begin: i64, size: i64, stride: i64) {
        self.begin.push(begin as i32);
        self.size.push(size as usize);
        self.stride.push(stride as i32);
    }

    /// The next `count` dimensions whole.
    fn whole(&mut self, shape: &[usize], count: usize) {
        let from = self.size.len();
        for &d in &shape[from..from + count] {
            self.push(0, d as i64, 1);
            self.result.push(d);
        }
    }
}

/// SplitOptions: num_splits. Operands: axis, x.
pub fn split(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let axis = cx.int(0, "axis")?;
    let x = cx.input(1)?;
    let shape = cx.shape(x);
    let axis = cx.axis(axis, shape.len())?;
    let parts = cx.output_count();
    splits(cx, parts)?;
    if shape[axis].checked_rem(parts) != Some(0) {
        return Err(Error::invalid(format!("dimension {axis} of {shape:?} does not split into {parts}")));
    }
    cut(cx, x, axis, &vec![shape[axis] / parts; parts])
}

/// SplitVOptions: num_splits. Operands: x, sizes (one may be -1), axis.
pub fn split_v(cx: &mut Cx<'_, '_, '_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let (sizes, axis) = (cx.ints(1, "sizes")?, cx.int(2, "axis")?);
    let shape = cx.shape(x);
    let axis = cx.axis(axis, shape.len())?;
    splits(cx, sizes.len())?;
    let known: Option<usize> = sizes
        .iter()
        .filter(|&&s| s != -1)
        .try_fold(0usize, |n, &s| usize::try_from(s).ok().and_then(|s| n.checked_add(s)));
    let open = sizes.iter().filter(|&&s| s == -1).count();
    let rest = match (known.and_then(|k| shape[axis].checked_sub(k)), open) {
        (Some(0), 0) => 0,
        (Some(rest), 1) => rest,
        _ => {
            let cause = format!("its sizes {sizes:?} do not add up to dimension {axis} of {shape:?}");
            return Err(Error::invalid(cause));
        }
    };
    cut(cx, x, axis, &sizes.iter().map(|&s| if s == -1 { rest } else { s as usize }).collect::<Vec<_>>())
}

fn splits(cx: &Cx<'_, '_, '_, '_>, parts: usize) -> Result<()> {
    let told = cx.options().i32(0, 0)?;
    if parts != cx.output_count() || (told != 0 && usize::try_from(told) != Ok(parts)) {
        let cause = format!("its num_splits is {told} for {parts} parts and {} results", cx.output_count());
        return Err(Error::invalid(cause));
    }
    Ok(())
}

fn cut(cx: &mut Cx<'_, '_, '_, '_>, x: TensorId, axis: usize, sizes: &[usize]) -> Result<()> {
    let shape = cx.shape(x);
    let mut at = 0usize;
    for (i, &length) in sizes.iter().enumerate() {
        if length == 0 {
            return Err(Error::invalid(format!("its part {i} is empty")));
        }
        let y = cx.output(i)?;
        let (mut begin, mut size) = (vec![0i32; shape.len()], shape.clone());
        begin[axis] = i32::try_from(at).map_err(|_| Error::invalid("its dimension is above int32"))?;
        size[axis] = length;
        at += length;
        cx.expect(y, &size)?;
        cx.same_parameters(x, y)?;
        cx.node(Op::StridedSlice { begin, size, stride: vec![1; shape.len()] }, &[Some(x)], y)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(shape: &[usize], spec: Spec) -> Option<Dense> {
        spec.dense(shape).ok()
    }

    fn ranges(begin: &[i32], size: &[usize], stride: &[i32], result: &[usize]) -> Option<Dense> {
        Some(Dense { begin: begin.into(), size: size.into(), stride: stride.into(), result: result.into() })
    }

    #[test]
    fn numpy_slices() {
        // x[1:-1:2]
        let spec = Spec { begin: vec![1], end: vec![-1], stride: vec![2], ..Spec::default() };
        assert_eq!(dense(&[6, 3], spec), ranges(&[1, 0], &[2, 3], &[2, 1], &[2, 3]));
        // x[::-1]
        let spec = Spec {
            begin: vec![0],
            end: vec![0],
            stride: vec![-1],
            begin_mask: 1,
            end_mask: 1,
            ..Spec::default()
        };
        assert_eq!(dense(&[5], spec), ranges(&[4], &[5], &[-1], &[5]));
        // x[4:0:-3]
        let spec = Spec { begin: vec![4], end: vec![0], stride: vec![-3], ..Spec::default() };
        assert_eq!(dense(&[5], spec), ranges(&[4], &[2], &[-3], &[2]));
        // x[3:3]
        let spec = Spec { begin: vec![3], end: vec![3], stride: vec![1], ..Spec::default() };
        assert_eq!(dense(&[5], spec), None);
    }

    #[test]
    fn ellipsis_new_axis_and_shrink() {
        // x[-1, ..., None, 0:9]
        let spec = Spec {
            begin: vec![-1, 0, 0, 0],
            end: vec![0, 0, 0, 9],
            stride: vec![1; 4],
            ellipsis_mask: 0b10,
            new_axis_mask: 0b100,
            shrink_axis_mask: 0b1,
            ..Spec::default()
        };
        assert_eq!(dense(&[2, 3, 4, 5], spec), ranges(&[1, 0, 0, 0], &[1, 3, 4, 5], &[1; 4], &[3, 4, 1, 5]));
        // x[2] of two rows
        let spec =
            Spec { begin: vec![2], end: vec![3], stride: vec![1], shrink_axis_mask: 1, ..Spec::default() };
        assert_eq!(dense(&[2], spec), None);
    }
}
