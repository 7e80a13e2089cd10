//! Operators that move data: Reshape, Pad, Concatenation, Transpose, StridedSlice, Gather; and Cast and ArgMax,
//! which read it without rescaling.

use samara_runtime::ops::eval::Value;
use samara_runtime::ops::io::MAX_INPUTS;
use samara_runtime::ops::{ArgMax, Attr, Cast, Concatenation, Gather, Op as _, Pad, Reshape};
use samara_runtime::ops::{Rounding, StridedSlice, Transpose};
use samara_runtime::{Desc, Dtype, Place, Shape};

use super::multiplier::levels;
use super::{Lowered, Operand, View};
use crate::error::{Error, Result};
use crate::ir::{Op, Quant, Tensor};

/// See [`super::bare`].
pub fn bare(op: &Op) -> Result<(u16, Attr)> {
    // The padding's value has no influence on shapes.
    attributes(op, [0; 4])
}

/// The constant operand that inference must know of besides the node's own: a slice's strides, which are absent
/// where all of them are 1.
pub fn made_operand(op: &Op) -> Result<Option<Desc>> {
    match op {
        Op::StridedSlice { stride, .. } if stride.iter().any(|&s| s != 1) => {
            let shape = Shape::new(&[stride.len() as u32])?;
            Ok(Some(Desc { place: Place::Weights, ..Desc::new(Dtype::I32, shape) }))
        }
        _ => Ok(None),
    }
}

/// See [`super::lower`].
pub fn lower(view: &View<'_>) -> Result<Lowered> {
    let value = match view.op {
        Op::Pad { value, .. } => element(*value, view.output)?,
        _ => [0; 4],
    };
    if view.inputs.len() > MAX_INPUTS {
        let n = view.inputs.len();
        return Err(Error::invalid(format!("it has {n} inputs, at most {MAX_INPUTS} are supported")));
    }
    let mut lowered = Lowered::plain(attributes(view.op, value)?, Rounding::None, view.inputs.len());
    if let Op::StridedSlice { stride, .. } = view.op
        && made_operand(view.op)?.is_some()
    {
        let strides = Value::constant(Dtype::I32, &[stride.len() as u32], stride)?;
        lowered.operands.push(Operand::Constant(strides));
    }
    Ok(lowered)
}

fn attributes(op: &Op, value: [u8; 4]) -> Result<(u16, Attr)> {
    Ok(match op {
        Op::Reshape { shape } => {
            let shape = Shape::new(&narrow::<u32>(shape, "a dimension")?)?;
            (Reshape::CODE, Reshape { shape }.emit())
        }
        Op::Pad { before, after, .. } => {
            let (before, after) = (narrow::<u16>(before, "padding")?, narrow::<u16>(after, "padding")?);
            (Pad::CODE, Pad::new(&before, &after, value)?.emit())
        }
        Op::Concatenation { axis } => (Concatenation::CODE, Concatenation { axis: small(*axis)? }.emit()),
        Op::Transpose { permutation } => {
            (Transpose::CODE, Transpose::new(&narrow::<u8>(permutation, "an axis")?)?.emit())
        }
        Op::StridedSlice { begin, size, .. } => {
            let (begin, size) = (narrow::<u32>(begin, "an index")?, narrow::<u32>(size, "a size")?);
            (StridedSlice::CODE, StridedSlice::new(&begin, &size)?.emit())
        }
        Op::Gather { axis } => (Gather::CODE, Gather { axis: small(*axis)? }.emit()),
        Op::Cast { to } => (Cast::CODE, Cast { to: *to }.emit()),
        Op::ArgMax { axis, keep_dims, select_last } => {
            let op = ArgMax { axis: small(*axis)?, last: *select_last, keep_dims: *keep_dims };
            (ArgMax::CODE, op.emit())
        }
        _ => return Err(Error::invalid("not of this family")),
    })
}

/// A real value as one element of `output`, in the runtime's four bytes.
///
/// Quantized: the nearest level, saturating; infinities saturate too, as a padding of max pooling needs.
fn element(value: f32, output: &Tensor) -> Result<[u8; 4]> {
    let level = match output.quant.as_ref().map(Quant::single) {
        Some(Some((scale, zero_point))) => {
            let (lo, hi) = levels(output.dtype)?;
            let level = zero_point as f64 + libm::rint(value as f64 / scale as f64);
            if level.is_nan() {
                return Err(Error::invalid("its padding is not a number"));
            }
            level.clamp(lo as f64, hi as f64)
        }
        Some(None) => return Err(Error::invalid(format!("tensor '{}' needs one scale", output.name))),
        None if output.dtype == Dtype::F32 => return Ok(value.to_le_bytes()),
        None => {
            let (lo, hi) = if output.dtype == Dtype::Bool { (0, 1) } else { levels(output.dtype)? };
            let fits = value.fract() == 0.0 && (lo as f64..=hi as f64).contains(&(value as f64));
            if !fits {
                return Err(Error::invalid(format!("{value} is no value of {}", output.dtype.name())));
            }
            value as f64
        }
    };
    let mut bytes = (level as i32).to_le_bytes();
    bytes[output.dtype.size()..].fill(0);
    Ok(bytes)
}

fn small(axis: usize) -> Result<u8> {
    u8::try_from(axis).map_err(|_| Error::invalid(format!("axis {axis} is too large")))
}

fn narrow<T: TryFrom<i64>>(values: &[impl Copy + TryInto<i64>], what: &str) -> Result<Vec<T>> {
    values
        .iter()
        .map(|&v| {
            let v: i64 = v.try_into().unwrap_or(i64::MAX);
            T::try_from(v)
                .map_err(|_| Error::invalid(format!("{what} of {v} is outside the runtime's range")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpret::Interpreter;
    use crate::ir::{Graph, Numeric};

    /// The only output of a graph of one node with an int8 or float input.
    fn run(op: Op, x: &Tensor, output: Option<Quant>) -> Result<Value> {
        let mut graph = Graph::new("one", Numeric::Single);
        let input = graph.add(Tensor { data: None, ..x.clone() });
        graph.inputs.push(input);
        let y = graph.push("y", op, &[Some(input)])?;
        graph.tensors[y].quant = output;
        graph.outputs.push(y);
        let y = Interpreter::new(&graph)?.run(vec![x.value()?], |_, _| Ok(()))?;
        Ok(y.into_iter().next().unwrap())
    }

    fn levels_of(dims: &[usize], levels: &[i8]) -> Tensor {
        Tensor::constant("x", Dtype::I8, dims.to_vec(), levels).quantized(Quant::per_tensor(0.5, -3))
    }

    #[test]
    fn padding_becomes_a_level() {
        let x = levels_of(&[1, 2], &[7, 8]);
        let pad = |value| Op::Pad { before: vec![0, 1], after: vec![0, 0], value };
        for (value, level) in [(0.0, -3), (1.0, -1), (1e9, 127), (f32::NEG_INFINITY, -128)] {
            let y = run(pad(value), &x, x.quant.clone()).unwrap();
            assert_eq!(y.elements::<i8>(), [level, 7, 8], "{value}");
        }
        assert!(run(pad(f32::NAN), &x, x.quant.clone()).is_err());
        let x = Tensor::constant("x", Dtype::F32, vec![1, 2], &[7f32, 8.0]);
        assert_eq!(run(pad(-1.5), &x, None).unwrap().elements::<f32>(), [-1.5, 7.0, 8.0]);
        let x = Tensor::constant("x", Dtype::I32, vec![1, 2], &[7i32, 8]);
        assert_eq!(run(pad(-2.0), &x, None).unwrap().elements::<i32>(), [-2, 7, 8]);
        assert!(run(pad(0.5), &x, None).is_err());
    }

    #[test]
    fn slices_step_backwards() {
        let x = levels_of(&[5], &[1, 2, 3, 4, 5]);
        let slice = |begin, size, stride| Op::StridedSlice {
            begin: vec![begin],
            size: vec![size],
            stride: vec![stride],
        };
        let levels = |op| run(op, &x, x.quant.clone()).map(|y| y.elements::<i8>().to_vec());
        assert_eq!(levels(slice(4, 3, -2)).unwrap(), [5, 3, 1]);
        assert_eq!(levels(slice(1, 3, 1)).unwrap(), [2, 3, 4]);
        assert!(levels(slice(1, 3, -1)).is_err());
        assert!(levels(slice(-1, 1, 1)).is_err());
    }

    #[test]
    fn what_does_not_fit_the_attributes_is_refused_by_its_number() {
        let x = levels_of(&[2], &[1, 2]);
        let pad = Op::Pad { before: vec![70_000], after: vec![0], value: 0.0 };
        let message = run(pad, &x, x.quant.clone()).unwrap_err().to_string();
        assert!(message.contains("padding of 70000"), "{message}");
        let transpose = Op::Transpose { permutation: vec![1] };
        assert!(run(transpose, &x, x.quant.clone()).is_err());
    }

    #[test]
    fn the_largest_element_s_index_has_no_scale() {
        let x = levels_of(&[1, 3], &[1, 5, 5]);
        let arg_max = |select_last| Op::ArgMax { axis: 1, keep_dims: false, select_last };
        assert_eq!(run(arg_max(false), &x, None).unwrap().elements::<i32>(), [1]);
        assert_eq!(run(arg_max(true), &x, None).unwrap().elements::<i32>(), [2]);
    }
}
