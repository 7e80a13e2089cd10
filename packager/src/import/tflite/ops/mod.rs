//! Import functions by family; [`super::registry`] lists them.

pub mod dense;
pub mod elementwise;
pub mod layout;
pub mod reduce;
pub mod resize;
pub mod slice;
pub mod window;

use samara_runtime::Dtype;

use super::context::Context;
use crate::error::{Error, Result};
use crate::ir::TensorId;

/// Refuses float activations with integer weights, which TFLite quantizes anew at each run.
fn not_hybrid(cx: &Context<'_, '_, '_, '_>, x: TensorId, weights: TensorId) -> Result<()> {
    let (x, w) = (cx.tensor(x), cx.tensor(weights));
    match (x.dtype, w.dtype) {
        (Dtype::F32, Dtype::F32) | (Dtype::I8, Dtype::I8) => Ok(()),
        (Dtype::F32, _) => Err(Error::invalid(format!(
            "it is hybrid: float activations with {} weights '{}'",
            w.dtype.name(),
            w.name
        ))
        .remedy("convert with full integer, float16 or no quantization")),
        (a, b) => Err(Error::invalid(format!(
            "{} activations with {} weights are not supported",
            a.name(),
            b.name()
        ))),
    }
}

/// The four dimensions of an NHWC or OHWI tensor.
fn dims4(cx: &Context<'_, '_, '_, '_>, id: TensorId, what: &str) -> Result<[usize; 4]> {
    let shape = cx.shape(id);
    <[usize; 4]>::try_from(&shape[..])
        .map_err(|_| Error::invalid(format!("its {what} has the shape {shape:?}, not four dimensions")))
}
