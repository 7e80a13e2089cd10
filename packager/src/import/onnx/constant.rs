//! Constants during import: full int64 range and empty tensors, which the graph does not have.

use std::rc::Rc;

use samara_runtime::Dtype;

use super::proto::{TensorProto, data_type};
use crate::error::{Error, Result};
use crate::ir::{Quant, Tensor};

/// A constant of the model, or one that folding made.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    /// The type it has in the graph (int64 becomes int32).
    pub(super) dtype: Dtype,
    /// Outermost first; may hold zeros.
    pub(super) dims: Vec<usize>,
    /// Elements in row-major order.
    pub(super) data: Data,
    /// The schema's element type, which says more than the graph's: uint16, int4.
    pub(super) kind: i32,
    /// Parameters of the integers that a float constant was dequantized from.
    pub(super) grid: Option<Quant>,
    /// Those integers less their zero points, where single precision does not hold them.
    pub(super) exact: Option<Rc<[i64]>>,
}

/// Elements of a constant.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// All float types.
    Float(Vec<f32>),
    /// All integer types and bool.
    Int(Vec<i64>),
}

impl Constant {
    /// As many elements as the dimensions ask for, on no grid.
    pub(super) fn new(dtype: Dtype, dims: Vec<usize>, data: Data) -> Self {
        Constant { dtype, dims, data, kind: schema_type(dtype), grid: None, exact: None }
    }

    /// An int64 vector, as shape arithmetic has them.
    pub(super) fn ints(dims: Vec<usize>, values: Vec<i64>) -> Self {
        Constant::new(Dtype::I32, dims, Data::Int(values))
    }

    /// Floats.
    pub(super) fn floats(dims: Vec<usize>, values: Vec<f32>) -> Self {
        Constant::new(Dtype::F32, dims, Data::Float(values))
    }

    /// Reads an initializer or a tensor attribute.
    pub(super) fn read(t: &TensorProto) -> Result<Self> {
        use data_type::*;
        if t.data_location != 0 {
            return Err(Error::invalid("its elements are in another file").remedy(
                "save the model with the tensors inside (onnx.save with save_as_external_data=False)",
            ));
        }
        let dims: Option<Vec<usize>> = t.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let dims = dims.ok_or_else(|| Error::invalid("it has a negative dimension"))?;
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let count = count.ok_or_else(|| Error::invalid("it has too many elements"))?;
        let (dtype, data) = match t.data_type {
            FLOAT => (Dtype::F32, Data::Float(raw(t, &t.float_data, f32::from_le_bytes)?)),
            DOUBLE => {
                let wide = raw(t, &t.double_data, f64::from_le_bytes)?;
                (Dtype::F32, Data::Float(wide.into_iter().map(|x| x as f32).collect()))
            }
            FLOAT16 => {
                let bits = raw(t, &narrow16(&t.int32_data), u16::from_le_bytes)?;
                (
                    Dtype::F32,
                    Data::Float(bits.into_iter().map(|b| half::f16::from_bits(b).to_f32()).collect()),
                )
            }
            BFLOAT16 => {
                let bits = raw(t, &narrow16(&t.int32_data), u16::from_le_bytes)?;
                (
                    Dtype::F32,
                    Data::Float(bits.into_iter().map(|b| half::bf16::from_bits(b).to_f32()).collect()),
                )
            }
            INT64 => (Dtype::I32, Data::Int(raw(t, &t.int64_data, i64::from_le_bytes)?)),
            UINT64 | UINT32 => {
                let unsigned = match t.data_type {
                    UINT64 => raw(t, &t.uint64_data, u64::from_le_bytes)?,
                    _ => raw(t, &t.uint64_data, |b: [u8; 4]| u32::from_le_bytes(b).into())?,
                };
                let signed: Option<Vec<i64>> = unsigned.into_iter().map(|v| i64::try_from(v).ok()).collect();
                (Dtype::I32, Data::Int(signed.ok_or_else(|| Error::invalid("an element is above 2^63"))?))
            }
            INT32 => (Dtype::I32, integers(t, |b| i32::from_le_bytes(b).into())?),
            UINT16 => (Dtype::I32, integers(t, |b| u16::from_le_bytes(b).into())?),
            INT16 => (Dtype::I16, integers(t, |b| i16::from_le_bytes(b).into())?),
            INT8 => (Dtype::I8, integers(t, |b| i8::from_le_bytes(b).into())?),
            UINT8 => (Dtype::U8, integers(t, |b| u8::from_le_bytes(b).into())?),
            BOOL => (Dtype::Bool, integers(t, |[b]: [u8; 1]| (b != 0).into())?),
            // Wider types hold the levels of narrower ones.
            INT4 => (Dtype::I8, packed::<4>(t, count, true)?),
            UINT4 => (Dtype::U8, packed::<4>(t, count, false)?),
            INT2 => (Dtype::I8, packed::<2>(t, count, true)?),
            UINT2 => (Dtype::U8, packed::<2>(t, count, false)?),
            other => return Err(Error::invalid(format!("element type {} is not supported", name(other)))),
        };
        let constant = Constant { dtype, dims, data, kind: t.data_type, grid: None, exact: None };
        let got = constant.len();
        if got != count {
            let dims = &constant.dims;
            return Err(Error::invalid(format!(
                "it holds {got} elements where its shape {dims:?} needs {count}"
            )));
        }
        Ok(constant)
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Float(v) => v.len(),
            Data::Int(v) => v.len(),
        }
    }

    /// Elements as floats, whatever the type.
    pub(super) fn to_floats(&self) -> Vec<f32> {
        match &self.data {
            Data::Float(v) => v.clone(),
            Data::Int(v) => v.iter().map(|&x| x as f32).collect(),
        }
    }

    /// Elements as integers; `None` for floats.
    pub(super) fn as_ints(&self) -> Option<&[i64]> {
        match &self.data {
            Data::Int(v) => Some(v),
            Data::Float(_) => None,
        }
    }

    /// The only element of a float constant.
    pub(super) fn scalar(&self) -> Option<f32> {
        match &self.data {
            Data::Float(v) => {
                if let [x] = v[..] {
                    Some(x)
                } else {
                    None
                }
            }
            Data::Int(_) => None,
        }
    }

    /// The elements at `source` positions, in a new shape; the grid stays (the caller maps its axis).
    pub(super) fn gather(&self, dims: Vec<usize>, source: impl Iterator<Item = usize>) -> Constant {
        let data = match &self.data {
            Data::Float(v) => Data::Float(source.map(|i| v[i]).collect()),
            Data::Int(v) => Data::Int(source.map(|i| v[i]).collect()),
        };
        Constant { dims, data, grid: self.grid.clone(), exact: None, ..*self }
    }

    /// Output axis `k` is axis `permutation[k]`.
    pub(super) fn transpose(&self, permutation: &[usize]) -> Constant {
        let dims: Vec<usize> = permutation.iter().map(|&p| self.dims[p]).collect();
        let order = crate::ir::permute::order(&self.dims, permutation);
        let mut out = self.gather(dims, order.into_iter());
        if let Some(grid) = &mut out.grid
            && let Some(axis) = permutation.iter().position(|&p| p == grid.axis)
        {
            grid.axis = axis;
        }
        out
    }

    /// Same elements in another shape; a grid survives where its axis does.
    pub(super) fn reshape(&self, dims: Vec<usize>) -> Constant {
        let outer = |dims: &[usize], axis: usize| dims[..axis].iter().product::<usize>();
        let moved = |g: &Quant| {
            let same =
                |&k: &usize| dims[k] == self.dims[g.axis] && outer(&dims, k) == outer(&self.dims, g.axis);
            let axis = if g.scale.len() == 1 { Some(0) } else { (0..dims.len()).find(same) };
            Some(Quant { axis: axis?, ..g.clone() })
        };
        let grid = self.grid.as_ref().and_then(moved);
        Constant { data: self.data.clone(), grid, exact: self.exact.clone(), dims, ..*self }
    }

    /// As a tensor of the graph; refuses integers outside the graph's type, and empty constants.
    pub(super) fn tensor(&self, name: &str) -> Result<Tensor> {
        if self.dims.contains(&0) {
            return Err(Error::invalid(format!("constant '{name}' is empty")));
        }
        let dims = self.dims.clone();
        let ints = match &self.data {
            Data::Float(v) => {
                if let Some(i) = v.iter().position(|x| x.is_nan()) {
                    return Err(Error::invalid(format!("constant '{name}' holds NaN at index {i}")));
                }
                return Ok(Tensor {
                    quant: self.grid.clone(),
                    ..Tensor::constant(name, Dtype::F32, dims, v)
                });
            }
            Data::Int(v) => v,
        };
        fn narrow<T: TryFrom<i64> + bytemuck::Pod>(
            name: &str,
            dtype: Dtype,
            dims: Vec<usize>,
            ints: &[i64],
        ) -> Result<Tensor> {
            let fit = |&i: &i64| {
                T::try_from(i).map_err(|_| {
                    Error::invalid(format!("constant '{name}' holds {i}, outside of {}", dtype.name()))
                })
            };
            let narrow: Vec<T> = ints.iter().map(fit).collect::<Result<_>>()?;
            Ok(Tensor::constant(name, dtype, dims, &narrow))
        }
        match self.dtype {
            Dtype::I8 => narrow::<i8>(name, self.dtype, dims, ints),
            Dtype::U8 | Dtype::Bool => narrow::<u8>(name, self.dtype, dims, ints),
            Dtype::I16 => narrow::<i16>(name, self.dtype, dims, ints),
            Dtype::I32 | Dtype::F32 | Dtype::F16 => narrow::<i32>(name, Dtype::I32, dims, ints),
            Dtype::I64 => narrow::<i64>(name, self.dtype, dims, ints),
            Dtype::I4 | Dtype::U4 => {
                let legal = if self.dtype == Dtype::I4 { -8..=7 } else { 0..=15 };
                if let Some(i) = ints.iter().find(|i| !legal.contains(*i)) {
                    let cause = format!("constant '{name}' holds {i}, outside of {}", self.dtype.name());
                    return Err(Error::invalid(cause));
                }
                let levels: Vec<i8> = ints.iter().map(|&i| i as i8).collect();
                Ok(Tensor::packed4(name, self.dtype, dims, &levels))
            }
        }
    }
}

/// Elements from `raw_data`, or from the typed field where there is none.
fn raw<T: Copy, const N: usize>(t: &TensorProto, typed: &[T], read: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
    if t.raw_data.is_empty() {
        return Ok(typed.to_vec());
    }
    let (chunks, rest) = t.raw_data.as_chunks::<N>();
    if !rest.is_empty() {
        return Err(Error::invalid("its bytes do not end with a whole element"));
    }
    Ok(chunks.iter().map(|&c| read(c)).collect())
}

/// Integers of up to 32 bits, which share one typed field.
fn integers<const N: usize>(t: &TensorProto, read: impl Fn([u8; N]) -> i64) -> Result<Data> {
    let typed: Vec<i64> = t.int32_data.iter().map(|&v| v.into()).collect();
    if let (Some((lo, hi)), true) = (bounds(t.data_type), t.raw_data.is_empty())
        && let Some(v) = typed.iter().find(|v| !(lo..=hi).contains(v))
    {
        let cause = format!("it holds {v}, outside of {}", data_type::name(t.data_type));
        return Err(Error::invalid(cause));
    }
    Ok(Data::Int(raw(t, &typed, read)?))
}

/// Integers of `BITS` bits, the first of a byte in its lowest bits; each value of the typed field is one byte.
fn packed<const BITS: u32>(t: &TensorProto, count: usize, signed: bool) -> Result<Data> {
    let typed: Vec<u8> = t.int32_data.iter().map(|&v| v as u8).collect();
    let bytes = raw(t, &typed, |[b]: [u8; 1]| b)?;
    let per_byte = (8 / BITS) as usize;
    if bytes.len() != count.div_ceil(per_byte) {
        let (got, name) = (bytes.len(), data_type::name(t.data_type));
        return Err(Error::invalid(format!("{got} bytes do not hold {count} elements of {name}")));
    }
    let element = |k: usize| {
        let bits = i64::from(bytes[k / per_byte] >> ((k % per_byte) as u32 * BITS)) & ((1 << BITS) - 1);
        if signed && bits >> (BITS - 1) == 1 { bits - (1 << BITS) } else { bits }
    };
    Ok(Data::Int((0..count).map(element).collect()))
}

/// Least and greatest value of the schema's integer types of up to 16 bits, as quantization uses them; `None`
/// for other types.
pub(super) fn bounds(kind: i32) -> Option<(i64, i64)> {
    use data_type::*;
    let (bits, signed) = match kind {
        INT2 => (2, true),
        UINT2 => (2, false),
        INT4 => (4, true),
        UINT4 => (4, false),
        INT8 => (8, true),
        UINT8 => (8, false),
        INT16 => (16, true),
        UINT16 => (16, false),
        _ => return None,
    };
    Some(if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) })
}

/// The schema's name for a type of the graph.
fn schema_type(dtype: Dtype) -> i32 {
    use data_type::*;
    match dtype {
        Dtype::F32 => FLOAT,
        Dtype::F16 => FLOAT16,
        Dtype::I4 => INT4,
        Dtype::U4 => UINT4,
        Dtype::I8 => INT8,
        Dtype::U8 => UINT8,
        Dtype::I16 => INT16,
        Dtype::I32 | Dtype::I64 => INT64,
        Dtype::Bool => BOOL,
    }
}

/// Half floats in the typed field: the low 16 bits of each value.
fn narrow16(typed: &[i32]) -> Vec<u16> {
    typed.iter().map(|&v| v as u16).collect()
}

/// The graph's element type for one of the model's tensors.
pub(super) fn graph_dtype(t: i32) -> Result<Dtype> {
    use data_type::*;
    match t {
        FLOAT => Ok(Dtype::F32),
        INT8 => Ok(Dtype::I8),
        UINT8 => Ok(Dtype::U8),
        INT16 => Ok(Dtype::I16),
        INT32 | INT64 => Ok(Dtype::I32),
        BOOL => Ok(Dtype::Bool),
        other => Err(Error::invalid(format!("element type {} is not supported", name(other)))
            .remedy("convert the model to float32")),
    }
}
