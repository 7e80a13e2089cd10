//! QuantizeLinear and DequantizeLinear.

use samara_runtime::Dtype;

use super::one;
use crate::error::{Error, Result};
use crate::import::onnx::builder::{Builder, Call, Value, axis};
use crate::import::onnx::constant::{Constant, Data, bounds, graph_dtype};
use crate::import::onnx::proto::data_type;
use crate::ir::{Graph, Op, Quant, Tensor, TensorId};

/// Scales and zero points of a node, as they run over its input.
struct Parameters {
    /// In row-major order of their own dimensions, which the block size gives a meaning.
    scale: Vec<f32>,
    /// As many as scales.
    zero_point: Vec<i32>,
    /// The dimension that several scales run along.
    axis: usize,
    /// How many elements along the axis share a scale where the other dimensions have scales of their own.
    block: Option<usize>,
    /// The zero point's type in the schema, where there is a zero point.
    kind: Option<i32>,
}

impl Parameters {
    /// Of a node whose input has these dimensions.
    fn of(call: &Call<'_>, dims: &[usize]) -> Result<Self> {
        // Of float8 alone.
        call.ignore("saturate");
        call.ignore("precision");
        let block = call.int("block_size")?.unwrap_or(0);
        let at = call.int("axis")?.unwrap_or(1);
        let scales = call.required_constant(1)?;
        if scales.as_ints().is_some() {
            return Err(Error::invalid("its scale is not a float"));
        }
        let scale = scales.to_floats();
        if let Some(s) = scale.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
            return Err(Error::invalid(format!("its scale {s} is not a positive number")));
        }
        let zeros = call.optional_constant(2)?;
        let zero_point = match zeros {
            None => vec![0; scale.len()],
            Some(z) => {
                let ints = z.as_ints().ok_or_else(|| Error::invalid("its zero point is not an integer"))?;
                let narrow: Option<Vec<i32>> = ints.iter().map(|&z| i32::try_from(z).ok()).collect();
                narrow.ok_or_else(|| Error::invalid("its zero point is out of range"))?
            }
        };
        if zero_point.len() != scale.len() {
            return Err(Error::invalid("its scale and zero point differ in length"));
        }
        let kind = zeros.map(|z| z.kind);
        if block != 0 {
            let axis = axis(at, dims.len())?;
            let block = usize::try_from(block).map_err(|_| negative(block))?;
            let mut want = dims.to_vec();
            want[axis] = want[axis].div_ceil(block);
            if scales.dims != want {
                let got = &scales.dims;
                let cause = format!(
                    "its scales have shape {got:?}, blocks of {block} along axis {axis} of {dims:?} need {want:?}"
                );
                return Err(Error::invalid(cause));
            }
            return Ok(Parameters { scale, zero_point, axis, block: Some(block), kind });
        }
        if scale.len() == 1 {
            return Ok(Parameters { scale, zero_point, axis: 0, block: None, kind });
        }
        let axis = axis(at, dims.len())?;
        if scales.dims.len() != 1 || dims[axis] != scale.len() {
            return Err(Error::invalid(format!("{} scales do not fit axis {axis} of {dims:?}", scale.len())));
        }
        Ok(Parameters { scale, zero_point, axis, block: None, kind })
    }

    /// For each element of an input with these dimensions, the position of its scale.
    fn positions(&self, dims: &[usize]) -> impl Fn(usize) -> usize + use<> {
        let inner: usize = dims.get(self.axis + 1..).unwrap_or(&[]).iter().product();
        let (along, count) = (dims.get(self.axis).copied().unwrap_or(1), self.scale.len());
        let (inner, along, block) = (inner.max(1), along.max(1), self.block);
        move |k| match block {
            None if count == 1 => 0,
            None => k / inner % count,
            Some(block) => {
                let (outer, at) = (k / (inner * along), k / inner % along);
                (outer * along.div_ceil(block) + at / block) * inner + k % inner
            }
        }
    }

    /// The one scale and zero point of an activation.
    fn single(&self, doing: &str) -> Result<(f32, i32)> {
        match (&self.scale[..], &self.zero_point[..], self.block) {
            (&[scale], &[zero_point], None) => Ok((scale, zero_point)),
            (.., Some(_)) => Err(Error::invalid(format!("{doing} activations by blocks is not supported"))),
            _ => Err(Error::invalid(format!("{doing} activations per axis is not supported"))),
        }
    }
}

fn negative(block: i64) -> Error {
    Error::invalid(format!("its block_size {block} is negative"))
}

/// The schema's integer type that QuantizeLinear makes: its zero point's, or the attribute's, or uint8.
fn target(call: &Call<'_>, zero_point: Option<i32>) -> Result<i32> {
    let attribute = call.int("output_dtype")?.filter(|&t| t != 0);
    let attribute = attribute.map(|t| i32::try_from(t).unwrap_or(-1));
    let kind = match (zero_point, attribute) {
        (Some(z), Some(t)) if z != t => {
            let (z, t) = (data_type::name(z), data_type::name(t));
            return Err(Error::invalid(format!("its zero point is {z}, its output_dtype {t}")));
        }
        (Some(kind), _) | (None, Some(kind)) => kind,
        (None, None) => data_type::UINT8,
    };
    match bounds(kind) {
        Some(_) => Ok(kind),
        None => Err(Error::invalid(format!("quantizing to {} is not supported", data_type::name(kind)))),
    }
}

/// The graph's type for levels of a type of the schema, and what is added to them: uint16 becomes int16.
fn levels(kind: i32) -> Result<(Dtype, i32)> {
    match kind {
        data_type::UINT16 => Ok((Dtype::I16, -(1 << 15))),
        data_type::INT8 | data_type::UINT8 | data_type::INT16 => Ok((graph_dtype(kind)?, 0)),
        _ => Err(Error::invalid(format!("activations of {} are not supported", data_type::name(kind)))),
    }
}

/// QuantizeLinear of a constant: ties to even, saturated.
pub(crate) fn fold_quantize(_: &Builder, call: &Call<'_>) -> Result<Option<Vec<Constant>>> {
    let Some(x) = call.constant(0) else { return Ok(None) };
    let Data::Float(v) = &x.data else { return Err(Error::invalid("its input is not a float tensor")) };
    let p = Parameters::of(call, &x.dims)?;
    let kind = target(call, p.kind)?;
    let (lo, hi) = bounds(kind).ok_or_else(|| Error::invalid("its type has no levels"))?;
    let at = p.positions(&x.dims);
    let level = |(k, &f): (usize, &f32)| {
        let i = at(k);
        let q = libm::rintf(f / p.scale[i]) as i64;
        q.saturating_add(p.zero_point[i].into()).clamp(lo, hi)
    };
    let data = Data::Int(v.iter().enumerate().map(level).collect());
    let dtype = match kind {
        data_type::UINT16 => Dtype::I32,
        data_type::INT16 => Dtype::I16,
        _ if lo < 0 => Dtype::I8,
        _ => Dtype::U8,
    };
    Ok(Some(vec![Constant { kind, ..Constant::new(dtype, x.dims.clone(), data) }]))
}

/// DequantizeLinear of a constant: floats that remember the integers' grid, where one scale serves a channel.
pub(crate) fn fold_dequantize(_: &Builder, call: &Call<'_>) -> Result<Option<Vec<Constant>>> {
    let Some(x) = call.constant(0) else { return Ok(None) };
    let Some(v) = x.as_ints() else { return Err(Error::invalid("its input is not an integer tensor")) };
    let p = dequantization(call, &x.dims)?;
    if let Some(kind) = p.kind
        && kind != x.kind
    {
        return Err(different(x.kind, kind));
    }
    let at = p.positions(&x.dims);
    let level = |(k, &q): (usize, &i64)| q.saturating_sub(p.zero_point[at(k)].into());
    let levels: Vec<i64> = v.iter().enumerate().map(level).collect();
    let reals = levels.iter().enumerate().map(|(k, &q)| q as f32 * p.scale[at(k)]);
    let floats = Constant::floats(x.dims.clone(), reals.collect());
    let Parameters { scale, zero_point, axis, block, .. } = p;
    let wide = levels.iter().any(|q| q.unsigned_abs() > 1 << f32::MANTISSA_DIGITS);
    let exact = (wide && block.is_none()).then(|| levels.into());
    let grid = block.is_none().then_some(Quant { scale, zero_point, axis });
    Ok(Some(vec![Constant { grid, exact, ..floats }]))
}

/// A DequantizeLinear's parameters; its result is computed in single precision whatever it asks for.
fn dequantization(call: &Call<'_>, dims: &[usize]) -> Result<Parameters> {
    let p = Parameters::of(call, dims)?;
    let to = call.int("output_dtype")?.unwrap_or(0);
    let floats = [0, data_type::FLOAT, data_type::FLOAT16, data_type::BFLOAT16];
    if floats.iter().all(|&f| i64::from(f) != to) {
        return Err(Error::invalid(format!("output_dtype {to} is not supported")));
    }
    Ok(p)
}

fn different(x: i32, zero_point: i32) -> Error {
    let (x, z) = (data_type::name(x), data_type::name(zero_point));
    Error::invalid(format!("its zero point is {z}, its input {x}"))
}

/// QuantizeLinear of an activation.
pub(crate) fn quantize(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    if b.graph.tensors[x].dtype != Dtype::F32 {
        let name = b.graph.tensors[x].dtype.name();
        return Err(Error::invalid(format!("its input is {name}, not a float tensor")));
    }
    let shape = b.shape(x).to_vec();
    let p = Parameters::of(call, &shape)?;
    let (scale, zero_point) = p.single("quantizing")?;
    let kind = target(call, p.kind)?;
    let (dtype, shift) = levels(kind)?;
    b.unsigned16 |= kind == data_type::UINT16;
    let quant = Quant::per_tensor(scale, zero_point + shift);
    let output = Tensor::new("", dtype, shape).quantized(quant);
    one(b.push_as(&call.name, Op::Quantize, &[Some(x)], output))
}

/// DequantizeLinear of an activation.
pub(crate) fn dequantize(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let (shape, dtype) = (b.shape(x).to_vec(), b.graph.tensors[x].dtype);
    let p = dequantization(call, &shape)?;
    let (scale, zero_point) = p.single("dequantizing")?;
    let kind = match (p.kind, dtype) {
        (Some(kind), _) => kind,
        (None, Dtype::I16) if b.unsigned16 => {
            return Err(Error::invalid("whether its input is int16 or uint16 is not known")
                .remedy("give it a zero point, whose type says so"));
        }
        (None, Dtype::I16) => data_type::INT16,
        (None, Dtype::I8) => data_type::INT8,
        (None, _) => data_type::UINT8,
    };
    let (expected, shift) = levels(kind)?;
    if expected != dtype {
        let (x, z) = (dtype.name(), data_type::name(kind));
        return Err(Error::invalid(format!("its zero point is {z}, its input {x}")));
    }
    settle(&mut b.graph, x, Quant::per_tensor(scale, zero_point + shift))?;
    let output = Tensor::new("", Dtype::F32, shape);
    one(b.push_as(&call.name, Op::Dequantize, &[Some(x)], output))
}

/// Gives levels their meaning, and those that they were moved from the same.
fn settle(graph: &mut Graph, mut t: TensorId, quant: Quant) -> Result<()> {
    loop {
        match &graph.tensors[t].quant {
            Some(known) if *known == quant => return Ok(()),
            Some(_) => {
                let cause = "its scale or zero point is not that of the QuantizeLinear before it";
                return Err(Error::invalid(cause));
            }
            None => graph.tensors[t].quant = Some(quant.clone()),
        }
        if graph.inputs.contains(&t) {
            return Ok(());
        }
        let maker = graph.nodes.iter().rev().find(|n| n.outputs.contains(&t));
        match maker {
            Some(n) if n.op.keeps_levels() && n.inputs.len() == 1 => t = n.inputs[0].unwrap_or(t),
            _ => {
                let name = graph.tensors[t].dtype.name();
                return Err(Error::invalid(format!("dequantizing computed {name} is not supported")));
            }
        }
    }
}
