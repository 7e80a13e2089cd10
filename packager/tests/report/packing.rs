//! Models packed with calibration, and everything that a report can be made from.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use samara_packager::bundle::Identity;
use samara_packager::compare::{Comparison, compare};
use samara_packager::data::samples::Samples;
use samara_packager::evaluate::{Evaluation, Metric, Truth, evaluate};
use samara_packager::files::AlignedBytes;
use samara_packager::import;
use samara_packager::interpret::Interpreter;
use samara_packager::ir::{Graph, Numeric};
use samara_packager::pipeline::{self, Options, Packed, Scheme};
use samara_packager::quantize::{Range, Recipe};
use samara_packager::report::{Bin, Histogram};
use samara_packager::target::{self, Profile};
use samara_runtime::Dtype;
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
    pub(crate) recipe: Recipe,
    pub(crate) evaluation: Option<Evaluation>,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) histograms: Vec<Histogram>,
    samples: Vec<Vec<Value>>,
}

impl Packing {
    fn new(model: &Path, labels: &[&str], calibration: Vec<Vec<Value>>, samples: Vec<Vec<Value>>) -> Packing {
        let source = pipeline::import(model, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
        let target = host();
        let labels: Vec<String> = labels.iter().map(|l| l.to_string()).collect();
        let options = options(labels.clone());
        let histograms = histograms(&source, &calibration);
        let mut calibration = calibration.into_iter().map(Ok);
        let packed =
            pipeline::pack(model, source, options, Some(&mut calibration)).unwrap_or_else(|e| panic!("{e}"));
        let bundle = AlignedBytes::new(&packed.bytes);
        let compared = samples.iter().step_by(samples.len().div_ceil(32));
        let comparisons =
            compare(&packed.source, &bundle, compared.cloned().map(Ok)).unwrap_or_else(|e| panic!("{e}"));
        let file = model.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let model_bytes = std::fs::metadata(model).unwrap().len() as usize;
        let (recipe, evaluation) = (Recipe::default(), None);
        Packing {
            file,
            model_bytes,
            packed,
            bundle,
            target,
            labels,
            recipe,
            evaluation,
            comparisons,
            histograms,
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

fn host() -> &'static Profile {
    target::find("host").expect("the host is a target")
}

fn options(labels: Vec<String>) -> Options<'static> {
    Options {
        identity: Identity { labels, ..Identity::default() },
        target: host(),
        scheme: Some(Scheme::Int8),
        numeric: Numeric::Single,
        import: import::Options::default(),
        calibration_digest: None,
    }
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
    let all =
        |samples: &Samples| samples.iter().collect::<Result<Vec<_>, _>>().unwrap_or_else(|e| panic!("{e}"));
    let (calibration, evaluation) = (read("calibrate.npz"), read("evaluate.npz"));
    let truth = Truth::read(&file("evaluate.npz"), &source).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(Metric::suggest(&source, &truth), Metric::Top1);
    let labels = ["normal", "unbalance", "misalignment", "looseness", "outer-race", "inner-race"];
    Packing::new(&model, &labels, all(&calibration), all(&evaluation))
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
    let half = |skip| inputs.iter().skip(skip).step_by(2).map(value).collect();
    let packing = Packing::new(&model, &[], half(0), half(1));
    Some(packing.evaluated(&Truth::NONE, &[Metric::Sqnr]))
}

/// Bins of every activation over the range that it has.
fn histograms(graph: &Graph, samples: &[Vec<Value>]) -> Vec<Histogram> {
    const BINS: usize = 2048;
    let interpreter = Interpreter::new(graph).unwrap();
    let samples = &samples[..samples.len().min(48)];
    let each = |observe: &mut dyn FnMut(usize, &[f32])| {
        for sample in samples {
            let show = |t: usize, v: &Value| {
                if v.desc.dtype == Dtype::F32 {
                    observe(t, v.elements());
                }
                Ok(())
            };
            interpreter.run(sample.clone(), show).unwrap();
        }
    };
    let mut ranges = vec![None; graph.tensors.len()];
    each(&mut |t, x| ranges[t] = Some(ranges[t].unwrap_or(Range::EMPTY).with(Range::of(x))));
    let mut bins = vec![vec![0u64; BINS]; graph.tensors.len()];
    each(&mut |t, x| {
        let Range { lo, hi } = ranges[t].unwrap();
        for &x in x {
            let at = ((x - lo) / (hi - lo).max(f32::MIN_POSITIVE) * BINS as f32) as usize;
            bins[t][at.min(BINS - 1)] += 1;
        }
    });
    let bins_of = |t: usize, Range { lo, hi }: Range| {
        let edge = |i: usize| f64::from(lo) + f64::from(hi - lo) * i as f64 / BINS as f64;
        let filled = bins[t].iter().enumerate().filter(|b| *b.1 > 0);
        filled.map(|(i, &count)| Bin { lo: edge(i), hi: edge(i + 1), count }).collect()
    };
    let seen = ranges.iter().enumerate().filter_map(|(t, r)| Some((t, (*r)?)));
    seen.map(|(t, range)| Histogram {
        tensor: graph.tensors[t].name.clone(),
        bins: bins_of(t, range),
        range: None,
    })
    .collect()
}

/// The plan of a model as it is.
pub(crate) fn plan(model: &Path) -> samara_packager::plan::Plan {
    let source = pipeline::import(model, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let options = Options { scheme: None, ..options(Vec::new()) };
    pipeline::pack(model, source, options, None).unwrap_or_else(|e| panic!("{e}")).plan
}
