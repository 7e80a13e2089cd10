//! Operators by family. Each function builds one or several operators of [`super::registry::TABLE`].

pub(super) mod conv;
pub(super) mod elementwise;
pub(super) mod linear;
pub(super) mod normalize;
pub(super) mod quantize;
pub(super) mod reduce;
pub(super) mod resize;
pub(super) mod shape;
pub(super) mod slice;
pub(super) mod window;

use super::builder::Value;
use crate::error::Result;
use crate::ir::TensorId;

/// An operator's only output.
fn one(t: TensorId) -> Result<Vec<Value>> {
    Ok(vec![Value::Tensor(t)])
}
