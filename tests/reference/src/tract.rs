//! The same model in tract.

use std::path::Path;
use std::sync::Arc;

use samara_packager::data::Array;
use samara_runtime::Dtype;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

/// An ONNX model that tract has optimized and can run.
#[derive(Debug)]
pub struct Reference {
    model: Arc<TypedRunnableModel>,
    /// For each of tract's inputs, its place in the caller's order, and its type.
    order: Vec<(usize, DatumType)>,
}

impl Reference {
    /// Loads a model with these inputs (name and shape): float, unless the file says int64 or bool.
    pub fn load(path: &Path, inputs: &[(String, Vec<usize>)]) -> TractResult<Self> {
        // Shapes that the file declares for a symbolic batch contradict a batch of one.
        let mut model =
            onnx().with_ignore_output_shapes(true).with_ignore_value_info(true).model_for_path(path)?;
        let mut order = Vec::new();
        for i in 0..model.inputs.len() {
            let name = model.node(model.inputs[i].node).name.clone();
            let at = inputs.iter().position(|(n, _)| *n == name);
            let at = at.ok_or_else(|| TractError::msg(format!("tract alone has an input '{name}'")))?;
            let declared = model.input_fact(i)?.datum_type.concretize().unwrap_or(DatumType::F32);
            model.set_input_fact(i, InferenceFact::dt_shape(declared, inputs[at].1.clone()))?;
            order.push((at, declared));
        }
        Ok(Reference { model: model.into_optimized()?.into_runnable()?, order })
    }

    /// One run: arrays in the caller's order; outputs in the model's, int64 and bool as int32.
    pub fn run(&self, inputs: &[Array]) -> TractResult<Vec<Array>> {
        let mut values = tvec!();
        for &(at, declared) in &self.order {
            values.push(tensor(&inputs[at])?.cast_to_dt(declared)?.into_owned().into_tvalue());
        }
        self.model.run(values)?.iter().map(|v| array(v)).collect()
    }
}

fn tensor(array: &Array) -> TractResult<Tensor> {
    let words = array.bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
    match array.dtype {
        Dtype::F32 => Tensor::from_shape(&array.shape, &words.map(f32::from_le_bytes).collect::<Vec<_>>()),
        Dtype::I32 => Tensor::from_shape(&array.shape, &words.map(i32::from_le_bytes).collect::<Vec<_>>()),
        other => Err(TractError::msg(format!("inputs of type {} are not passed on", other.name()))),
    }
}

fn array(tensor: &Tensor) -> TractResult<Array> {
    let (dtype, bytes) = if tensor.datum_type().is_float() {
        let cast = tensor.cast_to::<f32>()?;
        let plain = cast.try_as_plain_ram()?;
        (Dtype::F32, plain.as_slice::<f32>()?.iter().flat_map(|x| x.to_le_bytes()).collect())
    } else {
        let cast = tensor.cast_to::<i32>()?;
        let plain = cast.try_as_plain_ram()?;
        (Dtype::I32, plain.as_slice::<i32>()?.iter().flat_map(|x| x.to_le_bytes()).collect())
    };
    Ok(Array { name: String::new(), dtype, shape: tensor.shape().to_vec(), bytes })
}
