//! tract.

use std::path::Path;
use std::sync::Arc;

use tract_onnx::prelude::*;

use crate::{Model, levels};

/// A float model, optimized.
pub(crate) struct Tract {
    model: Arc<TypedRunnableModel>,
    inputs: TVec<TValue>,
}

impl Tract {
    pub(crate) fn load(path: &Path, shape: &[usize]) -> TractResult<Self> {
        let onnx = onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
        let mut model = onnx.model_for_path(path)?;
        model.set_input_fact(0, InferenceFact::dt_shape(f32::datum_type(), shape))?;
        let inputs = tvec!(Tensor::from_shape(shape, &levels(shape))?.into_tvalue());
        Ok(Tract { model: model.into_optimized()?.into_runnable()?, inputs })
    }
}

impl Model for Tract {
    fn call(&mut self) -> Result<(), String> {
        self.model.run(self.inputs.clone()).map(|_| ()).map_err(|e| e.to_string())
    }
}
