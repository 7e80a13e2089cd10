//! `card`: the model card, every figure measured.

use std::path::Path;

use anyhow::Result;
use samara_models::model::Model;

/// Writes `README.md` into the folder.
#[cfg(feature = "train")]
pub(crate) fn run(model: &Model, folder: &Path, samara: &Path, pack: &[String]) -> Result<()> {
    use samara_models::card::{Facts, render};
    use samara_models::onnx::Weights;
    use samara_models::output;

    let set = super::measure::open(model, folder, None)?;
    let float = model.judge(&set, &super::evaluate::infer(model, folder, &set)?);
    let bytes = std::fs::read(folder.join("model.onnx"))?;
    let facts = Facts {
        parameters: Weights::parse(&bytes)?.iter().map(|(_, array)| array.values.len()).sum(),
        model_bytes: bytes.len(),
        float: &float,
        quantized_bytes: std::fs::read(folder.join("model_qat.onnx")).ok().map(|bytes| bytes.len()),
        bundles: &super::measure::bundles(model, folder, samara, pack, &set)?,
    };
    output::write(&[(folder.join("README.md"), render(model, &facts).as_bytes())])
}

/// Writes `README.md` into the folder.
#[cfg(not(feature = "train"))]
pub(crate) fn run(_: &Model, _: &Path, _: &Path, _: &[String]) -> Result<()> {
    anyhow::bail!("card: this build cannot run networks; build with `--features train`")
}
