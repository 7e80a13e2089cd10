//! Models shaped as torch.onnx writes them, at several operator sets, run through a session: against ONNX's
//! reference evaluator on the inputs that come with them, and against tract on those and more.

use std::path::{Path, PathBuf};
use std::process::Command;

use samara_packager::data::{self, Array};
use samara_reference::device::Device;
use samara_reference::tract::Reference;
use samara_reference::{excess, floats};

/// Runs the script that builds the models; `None` where Python or its packages are missing.
fn models(directory: &Path) -> Option<Vec<String>> {
    let python = || Command::new(std::env::var_os("SAMARA_PYTHON").unwrap_or_else(|| "python3".into()));
    let available = python().args(["-c", "import numpy, onnx, onnx.reference"]).output();
    available.ok().filter(|o| o.status.success())?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx_exports/make_models.py");
    let out = python().arg(script).arg(directory).output().expect("python3 starts");
    assert!(out.status.success(), "the script failed: {}", String::from_utf8_lossy(&out.stderr));
    Some(String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect())
}

/// The arrays `PREFIX/NAME` in the order of the names, shaped as the model has them.
fn pick(arrays: &[Array], prefix: &str, names: impl Iterator<Item = String>) -> Vec<Array> {
    let find = |name: String| {
        let full = format!("{prefix}/{name}");
        let found = arrays.iter().find(|a| a.name == full);
        found.unwrap_or_else(|| panic!("no array {full}")).clone()
    };
    names.map(find).collect()
}

/// The given inputs at other scales and signs, so that clips and saturating functions reach their ends. Not
/// further: tract's LogSoftmax goes through an exponential, which ends at e^-87.
fn variants(inputs: &[Array]) -> Vec<Vec<Array>> {
    let scaled = |factor: f32| {
        let one = |a: &Array| {
            let elements =
                a.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]) * factor);
            floats(&a.name, &a.shape, &elements.collect::<Vec<_>>())
        };
        inputs.iter().map(one).collect()
    };
    [1.0, -1.0, 0.0, 2.0, -0.1].map(scaled).into()
}

fn worst(got: &[Array], want: &[Array]) -> f64 {
    assert_eq!(got.len(), want.len(), "numbers of outputs");
    got.iter().zip(want).map(|(g, w)| excess(g, w)).fold(0.0, f64::max)
}

/// Excess over the evaluator's outputs, then over tract's or why tract cannot run it.
fn check(directory: &Path, stem: &str) -> (f64, Result<f64, String>) {
    let path: PathBuf = directory.join(format!("{stem}.onnx"));
    let device = Device::load(&path).unwrap_or_else(|e| panic!("{e}"));
    let arrays = data::read(&directory.join(format!("{stem}.npz"))).unwrap_or_else(|e| panic!("{e}"));
    let inputs = pick(&arrays, "in", device.inputs().into_iter().map(|(name, _)| name));
    let outputs = device.source.outputs.iter().map(|&t| device.source.tensors[t].name.clone());
    let want = pick(&arrays, "out", outputs);
    let samples = variants(&inputs);
    let results = device.run(&samples).unwrap_or_else(|e| panic!("{e}"));
    let evaluator = worst(&results[0], &want);
    let tract = || {
        let reference = Reference::load(&path, &device.inputs())?;
        let mut all = 0f64;
        for (sample, got) in samples.iter().zip(&results) {
            all = all.max(worst(got, &reference.run(sample)?));
        }
        Ok(all)
    };
    (evaluator, tract().map_err(|e: tract_onnx::prelude::TractError| format!("{e:#}").replace('\n', " ")))
}

#[test]
fn exports_run_as_the_evaluator_and_tract_have_them() {
    let directory = tempfile::tempdir().unwrap();
    let Some(mut stems) = models(directory.path()) else {
        println!("SKIPPED: python3 with the packages onnx and numpy is needed to build the models");
        return;
    };
    // Quantized models have no float reference; the packager's own tests hold them to the evaluator.
    stems.retain(|stem| !stem.starts_with("qdq"));
    assert!(stems.len() >= 50, "only {} models were built", stems.len());
    let (mut failures, mut not_in_tract) = (Vec::new(), Vec::new());
    for stem in &stems {
        match std::panic::catch_unwind(|| check(directory.path(), stem)) {
            Ok((evaluator, tract)) => {
                let text = match &tract {
                    Ok(tract) => format!("{tract:8.4}"),
                    Err(why) => format!("cannot run it: {why:.100}"),
                };
                println!("{stem:26} of the tolerance: evaluator {evaluator:8.4}, tract {text}");
                if evaluator > 1.0 || tract.as_ref().is_ok_and(|&t| t > 1.0) {
                    failures.push(stem.clone());
                }
                if tract.is_err() {
                    not_in_tract.push(stem.clone());
                }
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                println!("{stem:26} fails: {text}");
                failures.push(stem.clone());
            }
        }
    }
    println!(
        "{} models, {} of them not in tract: {}",
        stems.len(),
        not_in_tract.len(),
        not_in_tract.join(", ")
    );
    assert!(failures.is_empty(), "{} models differ: {}", failures.len(), failures.join(", "));
    assert!(not_in_tract.len() * 4 <= stems.len(), "tract checked too few models");
}
