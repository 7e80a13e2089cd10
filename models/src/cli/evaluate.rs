//! `evaluate`: a written model in floats.

use std::path::Path;

use anyhow::Result;
use samara_models::model::Model;

/// Prints the accuracy on `data`, by default the folder's evaluation data.
#[cfg(feature = "train")]
pub(crate) fn run(model: &Model, folder: &Path, data: Option<&Path>, outputs: Option<&Path>) -> Result<()> {
    use samara_models::npz::Archive;
    use samara_models::output;

    let set = super::measure::open(model, folder, data)?;
    let made = infer(model, folder, &set)?;
    if let Some(path) = outputs {
        let mut archive = Archive::new();
        let shape = [set.labels.len() as u64, (made.len() / set.labels.len().max(1)) as u64];
        archive.add(model.output, &shape, &made)?;
        output::write(&[(path.to_path_buf(), &archive.finish()?)])?;
    }
    let outcome = model.judge(&set, &made);
    println!("{outcome}\n{}", outcome.summary());
    Ok(())
}

/// Outputs of the folder's float model.
#[cfg(feature = "train")]
pub(crate) fn infer(model: &Model, folder: &Path, set: &samara_models::data::DataSet) -> Result<Vec<f32>> {
    use anyhow::Context;
    use samara_models::onnx::Weights;

    let path = folder.join("model.onnx");
    std::fs::read(&path)
        .map_err(anyhow::Error::from)
        .and_then(|bytes| (model.trainer.infer)(&Weights::parse(&bytes)?, set))
        .with_context(|| format!("{}: not a model that `train` wrote", path.display()))
}

/// Prints the accuracy on `data`, by default the folder's evaluation data.
#[cfg(not(feature = "train"))]
pub(crate) fn run(_: &Model, _: &Path, _: Option<&Path>, _: Option<&Path>) -> Result<()> {
    anyhow::bail!("evaluate: this build cannot run networks; build with `--features train`")
}
