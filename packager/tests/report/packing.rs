//! Models packed with calibration, and what was measured on them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use samara_packager::bundle::Identity;
use samara_packager::compare::{Comparison, compare};
use samara_packager::data::dataset::Dataset;
use samara_packager::data::samples::Samples;
use samara_packager::evaluate::{Evaluation, Metric, Truth, evaluate};
use samara_packager::files::AlignedBytes;
use samara_packager::import;
use samara_packager::pipeline::{self, Options, Packed};
use samara_packager::plan::Plan;
use samara_packager::target::{self, Profile};
use samara_runtime::ops::eval::Value;
use serde_json::Value as Json;

use super::mixed;

/// One packed model.
pub(crate) struct Packing {
    pub(crate) file: String,
    pub(crate) model_bytes: usize,
    pub(crate) packed: Packed,
    pub(crate) bundle: AlignedBytes,
    pub(crate) target: &'static Profile,
    pub(crate) labels: Vec<String>,
    pub(crate) evaluation: Option<Evaluation>,
    pub(crate) comparisons: Vec<Comparison>,
    samples: Vec<Vec<Value>>,
}

impl Packing {
    fn new(model: &Path, labels: &[&str], calibration: &dyn Dataset, samples: Vec<Vec<Value>>) -> Packing {
        let labels: Vec<String> = labels.iter().map(|l| l.to_string()).collect();
        let options = Options { calibration: Some(calibration), ..options(labels.clone()) };
        let source = pipeline::import(model, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
        let packed = pipeline::pack(model, source, &options).unwrap_or_else(|e| panic!("{e}"));
        let bundle = AlignedBytes::new(&packed.bytes);
        let compared = samples.iter().step_by(samples.len().div_ceil(32)).cloned().map(Ok);
        let comparisons = compare(&packed.source, &bundle, compared).unwrap_or_else(|e| panic!("{e}"));
        Packing {
            file: model.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            model_bytes: std::fs::metadata(model).unwrap().len() as usize,
            packed,
            bundle,
            target: options.target,
            labels,
            evaluation: None,
            comparisons,
            samples,
        }
    }

    fn evaluated(mut self, truth: &Truth, metrics: &[Metric]) -> Packing {
        let evaluation = evaluate(&self.packed.source, &self.bundle, self.samples(), truth, metrics);
        self.evaluation = Some(evaluation.unwrap_or_else(|e| panic!("{e}")));
        self
    }

    pub(crate) fn samples(&self) -> impl Iterator<Item = samara_packager::Result<Vec<Value>>> + '_ {
        self.samples.iter().cloned().map(Ok)
    }

    /// Leaves the report in the build's directory, for people.
    pub(crate) fn write(&self, page: &str, json: &Json) {
        let stem = self.packed.source.name.replace(|c: char| !c.is_alphanumeric(), "_");
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join(stem);
        std::fs::write(base.with_extension("html"), page).unwrap();
        std::fs::write(base.with_extension("json"), format!("{json:#}")).unwrap();
        println!("{}", base.with_extension("html").display());
    }
}

fn options(labels: Vec<String>) -> Options<'static> {
    let host = target::find("host").expect("the host is a target");
    Options { identity: Identity { labels, ..Identity::default() }, ..Options::new(host) }
}

/// The project's own classifier with its own data, packed once.
pub(crate) fn vibration() -> &'static Packing {
    static PACKING: OnceLock<Packing> = OnceLock::new();
    PACKING.get_or_init(pack_vibration)
}

fn pack_vibration() -> Packing {
    let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/vibration").join(name);
    let model = file("model.onnx");
    let source = pipeline::import(&model, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let read = |name: &str| Samples::read(&file(name), &source).unwrap_or_else(|e| panic!("{e}"));
    let (calibration, evaluation) = (read("calibrate.npz"), read("evaluate.npz"));
    let samples: Vec<_> = evaluation.iter().map(|s| s.unwrap_or_else(|e| panic!("{e}"))).collect();
    let truth = Truth::read(&file("evaluate.npz"), &source).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(Metric::suggest(&source, &truth), Metric::Top1);
    let labels = ["normal", "unbalance", "misalignment", "looseness", "outer-race", "inner-race"];
    Packing::new(&model, &labels, &calibration, samples)
        .evaluated(&truth, &[Metric::Top1, Metric::Top5, Metric::Sqnr])
}

/// A float model of MLPerf Tiny with mixed inputs; `None`, said aloud, where it is not there.
pub(crate) fn shared_model(stem: &str) -> Option<Packing> {
    let model: PathBuf = mixed::shared().join(format!("models/mlperf-tiny/{stem}_float.tflite"));
    if !model.exists() {
        println!("SKIPPED: {stem}, {} is not here", model.display());
        return None;
    }
    let source = pipeline::import(&model, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let input = &source.tensors[source.inputs[0]];
    let desc = input.desc().unwrap();
    let inputs = mixed::inputs(&input.shape, &mixed::natural(stem));
    println!("{stem}: {}", mixed::summary(&inputs));
    let value = |i: &mixed::Input| vec![Value::new(desc, &i.elements).unwrap()];
    let half = |skip| -> Vec<Vec<Value>> { inputs.iter().skip(skip).step_by(2).map(value).collect() };
    let packing = Packing::new(&model, &[], &half(0), half(1));
    Some(packing.evaluated(&Truth::NONE, &[Metric::Sqnr]))
}

/// The plan of a model as it is.
pub(crate) fn plan(model: &Path) -> Plan {
    let source = pipeline::import(model, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    pipeline::pack(model, source, &options(Vec::new())).unwrap_or_else(|e| panic!("{e}")).plan
}
