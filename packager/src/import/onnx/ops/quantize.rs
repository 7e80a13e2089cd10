//! QuantizeLinear and DequantizeLinear.

use samara_runtime::Dtype;

use super::one;
use crate::error::{Error, Result};
use crate::import::onnx::builder::{Builder, Call, Value, axis};
use crate::import::onnx::constant::{Constant, Data, graph_dtype};
use crate::ir::{Op, Quant, Tensor};

/// Scale and zero point of a node whose input has these dimensions.
pub(crate) fn parameters(call: &Call<'_>, dims: &[usize]) -> Result<Quant> {
    if call.int("block_size")?.unwrap_or(0) != 0 {
        return Err(Error::invalid("blocked quantization (block_size) is not supported"));
    }
    call.ignore("saturate");
    call.ignore("precision");
    let at = call.int("axis")?.unwrap_or(1);
    let scales = call.required_constant(1)?;
    let scale = scales.to_floats();
    if let Some(s) = scale.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        return Err(Error::invalid(format!("its scale {s} is not a positive number")));
    }
    let zero_point: Vec<i32> = match call.optional_constant(2)? {
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
    if scale.len() == 1 {
        return Ok(Quant { scale, zero_point, axis: 0 });
    }
    let axis = axis(at, dims.len())?;
    if scales.dims.len() != 1 || dims[axis] != scale.len() {
        return Err(Error::invalid(format!("{} scales do not fit axis {axis} of {dims:?}", scale.len())));
    }
    Ok(Quant { scale, zero_point, axis })
}

/// The integer type that QuantizeLinear makes: its zero point's, or the attribute's, or uint8.
fn target(call: &Call<'_>) -> Result<Dtype> {
    let attribute = call.int("output_dtype")?.filter(|&t| t != 0);
    let dtype = match (call.optional_constant(2)?, attribute) {
        (Some(z), _) => z.dtype,
        (None, Some(t)) => graph_dtype(i32::try_from(t).unwrap_or(-1))?,
        (None, None) => Dtype::U8,
    };
    match dtype {
        Dtype::I8 | Dtype::U8 | Dtype::I16 => Ok(dtype),
        Dtype::F32 | Dtype::I32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {
            Err(Error::invalid(format!("quantizing to {} is not supported", dtype.name())))
        }
    }
}

/// QuantizeLinear of a constant: ties to even, saturated.
pub(crate) fn fold(_: &Builder, call: &Call<'_>) -> Result<Option<Vec<Constant>>> {
    let Some(x) = call.constant(0) else { return Ok(None) };
    let Data::Float(v) = &x.data else { return Err(Error::invalid("its input is not a float tensor")) };
    let Quant { scale, zero_point, axis } = parameters(call, &x.dims)?;
    let dtype = target(call)?;
    let (lo, hi) = crate::lower::multiplier::levels(dtype)?;
    let inner: usize = x.dims.get(axis + 1..).unwrap_or(&[]).iter().product();
    let at = |k: usize| if scale.len() == 1 { 0 } else { k / inner % scale.len() };
    let level = |(k, &f): (usize, &f32)| {
        let q = libm::rintf(f / scale[at(k)]) as i64 + i64::from(zero_point[at(k)]);
        q.clamp(lo.into(), hi.into())
    };
    let data = Data::Int(v.iter().enumerate().map(level).collect());
    Ok(Some(vec![Constant { dtype, dims: x.dims.clone(), data, grid: None }]))
}

/// QuantizeLinear of an activation.
pub(crate) fn quantize(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let shape = b.shape(x).to_vec();
    let quant = parameters(call, &shape)?;
    if quant.single().is_none() {
        return Err(Error::invalid("quantizing activations per axis is not supported"));
    }
    let output = Tensor::new("", target(call)?, shape).quantized(quant);
    one(b.push_as(&call.name, Op::Quantize, &[Some(x)], output))
}

/// DequantizeLinear of an activation.
pub(crate) fn dequantize(b: &mut Builder, call: &Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(b, 0)?;
    let shape = b.shape(x).to_vec();
    let quant = parameters(call, &shape)?;
    let input = &mut b.graph.tensors[x];
    match &input.quant {
        None if quant.single().is_some() => input.quant = Some(quant),
        Some(known) if *known == quant => {}
        None => return Err(Error::invalid("dequantizing activations per axis is not supported")),
        Some(_) => {
            return Err(Error::invalid(
                "its scale or zero point is not that of the QuantizeLinear before it",
            ));
        }
    }
    if !matches!(input.dtype, Dtype::I8 | Dtype::U8 | Dtype::I16) {
        return Err(Error::invalid(format!("dequantizing computed {} is not supported", input.dtype.name())));
    }
    let output = Tensor::new("", Dtype::F32, shape);
    one(b.push_as(&call.name, Op::Dequantize, &[Some(x)], output))
}
