//! `train` and `finetune`: a model from scratch, and from floats to integers.

use std::path::Path;

use anyhow::Result;
use samara_models::model::Model;

/// Trains and writes `model.onnx` with the small data sets.
pub(crate) fn run(model: &Model, folder: &Path, seed: u64, epochs: u16) -> Result<()> {
    with_burn::train(model, folder, seed, epochs)
}

/// Trains the folder's `model.onnx` on and writes `model_qat.onnx`.
pub(crate) fn finetune(model: &Model, folder: &Path, seed: u64, epochs: u16) -> Result<()> {
    with_burn::finetune(model, folder, seed, epochs)
}

#[cfg(feature = "train")]
mod with_burn {
    use std::path::Path;

    use anyhow::{Context, Result};
    use prost::Message;
    use samara_models::data::{DataSet, Split};
    use samara_models::model::Model;
    use samara_models::onnx::Weights;
    use samara_models::output;
    use samara_models::train::Progress;

    pub(super) fn train(model: &Model, folder: &Path, seed: u64, epochs: u16) -> Result<()> {
        let [fit, validation] = [Split::Train, Split::Validation].map(|s| model.source.generate(seed, s));
        let mut report = |progress| print(model, &validation, epochs, &progress);
        let trained = (model.trainer.fit)(seed, epochs.into(), [&fit, &validation], &mut report);
        let bytes = trained.encode_to_vec();
        let data = crate::cli::data::small(model, seed)?;
        let mut files: Vec<_> = data.iter().map(|(name, bytes)| (folder.join(name), &bytes[..])).collect();
        files.push((folder.join("model.onnx"), &bytes));
        output::write(&files)?;
        crate::cli::evaluate::run(model, folder, None, None)
    }

    pub(super) fn finetune(model: &Model, folder: &Path, seed: u64, epochs: u16) -> Result<()> {
        let cause = || format!("finetune: {} has no quantization-aware training", model.name);
        let tune = model.trainer.finetune.with_context(cause)?;
        let path = folder.join("model.onnx");
        let read = || Weights::parse(&std::fs::read(&path)?);
        let weights =
            read().with_context(|| format!("{}: not a model that `train` wrote", path.display()))?;
        let [fit, validation] = [Split::Train, Split::Validation].map(|s| model.source.generate(seed, s));
        let mut report = |progress| print(model, &validation, epochs, &progress);
        let tuned = tune(&weights, (seed, epochs.into()), [&fit, &validation], &mut report)?;
        output::write(&[(folder.join("model_qat.onnx"), &tuned.encode_to_vec())])
    }

    fn print(model: &Model, validation: &DataSet, epochs: u16, progress: &Progress) {
        let outcome = model.judge(validation, &progress.outputs).summary();
        println!("epoch {:2}/{epochs}  loss {:.4}  validation {outcome}", progress.epoch, progress.loss);
    }
}

#[cfg(not(feature = "train"))]
mod with_burn {
    use std::path::Path;

    use anyhow::{Result, bail};
    use samara_models::model::Model;

    pub(super) fn train(_: &Model, _: &Path, _: u64, _: u16) -> Result<()> {
        bail!("train: this build has no trainer; build with `--features train`")
    }

    pub(super) fn finetune(_: &Model, _: &Path, _: u64, _: u16) -> Result<()> {
        bail!("finetune: this build has no trainer; build with `--features train`")
    }
}
