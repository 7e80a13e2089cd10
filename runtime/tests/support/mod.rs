//! Shared by the operators' case files.

use bytemuck::Pod;
use samara_runtime::ops::eval::Value;
use samara_runtime::{Desc, Dtype, Shape};

/// A tensor of the arena with scale and zero point.
pub(crate) fn tensor<T: Pod>(
    dtype: Dtype,
    dims: &[u32],
    (scale, zero_point): (f32, i32),
    data: &[T],
) -> Value {
    let desc = Desc { scale, zero_point, ..Desc::new(dtype, Shape::new(dims).unwrap()) };
    Value::new(desc, data).unwrap()
}
