//! Matrix products.

use super::super::context::Context;
use super::not_hybrid;
use super::window::bias_type;
use crate::error::{Error, Result};
use crate::ir::Op;

/// FullyConnectedOptions: activation, weights_format, keep_num_dims, asymmetric_quantize_inputs (hybrid only),
/// quantized_bias_type.
pub fn fully_connected(cx: &mut Context<'_, '_, '_, '_>) -> Result<()> {
    let (mut x, w, bias) = (cx.input(0)?, cx.input(1)?, cx.optional(2)?);
    not_hybrid(cx, x, w)?;
    bias_type(cx, 4)?;
    let activation = cx.activation(0)?;
    let o = cx.options();
    if o.i8(1, 0)? != 0 {
        return Err(Error::invalid("its weights are in the SHUFFLED4x16INT8 format, which is not supported"));
    }
    let keep = o.flag(2)?;
    let shape = cx.shape(w);
    let [outputs, inputs] = shape[..] else {
        return Err(Error::invalid(format!("its weights have the shape {shape:?}, not two dimensions")));
    };
    if !cx.tensor(w).is_constant() {
        return Err(Error::invalid(
            "its weights are computed when the model runs; only constants are supported",
        ));
    }
    let shape = cx.shape(x);
    let y = cx.output(0)?;
    if keep {
        let Some((&last, outer)) = shape.split_last() else {
            return Err(Error::invalid("its input is a scalar"));
        };
        if last != inputs {
            let cause = format!("its input's shape {shape:?} does not end in its weights' {inputs}");
            return Err(Error::invalid(cause));
        }
        cx.expect(y, &[outer, &[outputs]].concat())?;
    } else {
        // Everything before the rows of the weights is batch, however the input is shaped.
        let elements = cx.tensor(x).elements();
        if elements.checked_rem(inputs) != Some(0) {
            let cause = format!("its input's shape {shape:?} does not divide into rows of {inputs}");
            return Err(Error::invalid(cause));
        }
        let flat = vec![elements / inputs, inputs];
        cx.expect(y, &[flat[0], outputs])?;
        if shape != flat {
            let reshaped = cx.between("flat", x, flat.clone());
            cx.node(Op::Reshape { shape: flat }, &[Some(x)], reshaped)?;
            x = reshaped;
        }
    }
    cx.node(Op::FullyConnected { activation }, &[Some(x), Some(w), bias], y)
}

/// BatchMatMulOptions: adj_x, adj_y, asymmetric_quantize_inputs (hybrid only).
pub fn batch_matmul(cx: &mut Context<'_, '_, '_, '_>) -> Result<()> {
    let (a, b, y) = (cx.input(0)?, cx.input(1)?, cx.output(0)?);
    not_hybrid(cx, a, b)?;
    let o = cx.options();
    let (adj_x, adj_y) = (o.flag(0)?, o.flag(1)?);
    cx.node(Op::BatchMatMul { adj_x, adj_y }, &[Some(a), Some(b)], y)
}
