//! `measure`: models as bundles, packed and run by the `samara` command.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use samara_models::data::DataSet;
use samara_models::model::{Model, Outcome};
use samara_models::npz;

/// Prints the accuracy of every model of the folder as a bundle.
pub(crate) fn run(
    model: &Model,
    folder: &Path,
    samara: &Path,
    pack: &[String],
    data: Option<&Path>,
) -> Result<()> {
    let set = open(model, folder, data)?;
    for (file, how, outcome) in bundles(model, folder, samara, pack, &set)? {
        println!("{file:16} {how:40} {}", outcome.summary());
    }
    Ok(())
}

/// The labelled data at `data`, by default the folder's.
pub(crate) fn open(model: &Model, folder: &Path, data: Option<&Path>) -> Result<DataSet> {
    let path = data.map_or_else(|| folder.join("evaluate.npz"), Path::to_path_buf);
    model.source.open(&path).with_context(|| format!("{}: not data that `data` wrote", path.display()))
}

/// File, how it was packed, and outcome on `set` of each of the folder's models: the float one with calibration
/// data and the arguments `pack`, an already quantized one as it is.
pub(crate) fn bundles(
    model: &Model,
    folder: &Path,
    samara: &Path,
    pack: &[String],
    set: &DataSet,
) -> Result<Vec<(String, String, Outcome)>> {
    let scratch = tempfile::tempdir()?;
    let input = scratch.path().join("input.npz");
    let mut archive = npz::Archive::new();
    let dims = std::iter::once(set.labels.len()).chain(model.source.shape.iter().copied());
    let dims: Vec<u64> = dims.map(|n| n as u64).collect();
    archive.add(model.source.input, &dims, &set.values)?;
    std::fs::write(&input, archive.finish()?)?;

    let calibrate = folder.join("calibrate.npz");
    let mut float = vec!["--quantize".to_owned(), "int8".into()];
    float.extend(pack.iter().cloned());
    let mut shown = float.clone();
    shown.push("--calibrate calibrate.npz".into());
    float.extend(["--calibrate".into(), calibrate.display().to_string()]);
    let mut rows = Vec::new();
    for (file, arguments, how) in [
        ("model.onnx", &float[..], format!("`{}`", shown.join(" "))),
        ("model_qat.onnx", &[], "already quantized".into()),
    ] {
        let path = folder.join(file);
        if file != "model.onnx" && !path.exists() {
            continue;
        }
        let (bundle, outputs) = (scratch.path().join("bundle.samara"), scratch.path().join("outputs.npz"));
        checked(Command::new(samara).arg("pack").arg(&path).args(arguments).arg("-o").arg(&bundle))?;
        let mut run = Command::new(samara);
        run.arg("run").arg(&bundle).arg("--input").arg(&input).arg("-o").arg(&outputs).arg("--dequantize");
        checked(&mut run)?;
        let (_, values) = npz::read::<f32>(&outputs, model.output)?;
        ensure!(!values.is_empty(), "{}: no outputs", path.display());
        rows.push((file.into(), how, model.judge(set, &values)));
    }
    Ok(rows)
}

/// Runs a command; its error output becomes the error.
fn checked(command: &mut Command) -> Result<()> {
    let output =
        command.output().with_context(|| format!("{}: cannot run", command.get_program().display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", text.trim());
    Ok(())
}
