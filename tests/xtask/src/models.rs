//! The models that devices are tried with: the project's own, and MLPerf Tiny's where a machine has them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use npyz::npz::NpzArchive;
use samara_runtime::{Bundle, Choice, Dtype, Session, ops};

use crate::cargo::{self, MESSAGES};
use crate::command;

/// Samples that the project's own model is tried with.
const SAMPLES: usize = 32;

/// A bundle with inputs, and outputs where they are known from elsewhere.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    /// What `pack` is told, but for target and output.
    pack: Vec<OsString>,
    samara: PathBuf,
    dir: PathBuf,
    targets: Targets,
    /// Raw little-endian samples.
    pub(crate) input: Vec<u8>,
    pub(crate) expected: Option<Expected>,
    /// Whether outputs are floats, equal within [`TOLERANCE`] instead of to the bit.
    pub(crate) is_float: bool,
}

/// Which targets a bundle is packed for.
#[derive(Clone, Copy)]
enum Targets {
    /// The one it is asked for: kernels differ from target to target.
    Each,
    /// One bundle for these.
    List(&'static str),
}

/// Greatest difference of floats from the reference, relative to the greater of 1 and their magnitude.
pub(crate) const TOLERANCE: f32 = 1e-5;

/// Another runtime's bytes.
pub(crate) struct Expected {
    /// Of every sample.
    pub(crate) output: Vec<u8>,
    /// Operator and output of every layer, first sample.
    pub(crate) layers: Vec<(String, Vec<u8>)>,
}

impl Model {
    /// The bundle for a target, packed when first asked for.
    pub(crate) fn bundle(&self, target: &str) -> Result<PathBuf> {
        let target = match self.targets {
            Targets::Each => target,
            Targets::List(targets) => targets,
        };
        let path = self.dir.join(format!("{}-{target}.samara", self.name).replace([' ', ','], "-"));
        if !path.exists() {
            let mut pack = Command::new(&self.samara);
            command::read(pack.args(&self.pack).args(["--target", target, "-o"]).arg(&path))?;
        }
        Ok(path)
    }
}

const SHARED: [(&str, &str); 4] = [
    ("ic", "ic_resnet8_int8"),
    ("kws", "kws_dscnn_int8"),
    ("vww", "vww_mobilenet_int8"),
    ("ad", "ad_autoencoder_int8"),
];

/// The `samara` command.
pub(crate) fn samara() -> Result<PathBuf> {
    let mut build = cargo::cargo();
    build.args(["build", "--quiet", "--locked", "-p", "samara-packager", "--bin", "samara", MESSAGES]);
    cargo::executable(&mut build, "samara")
}

/// Number formats that the project's own model is packed in: the model's name here, and what `pack` is told.
pub(crate) const SCHEMES: [(&str, &[&str]); 6] = [
    ("vibration", &["--quantize", "int8"]),
    (ONE_FOR_ALL, &["--quantize", "int8"]),
    ("vibration int16x8", &["--quantize", "int16x8"]),
    ("vibration int4", &["--quantize", "int4"]),
    ("vibration palette", &["--quantize", "palette"]),
    ("vibration f16", &["--quantize", "f16"]),
];

/// One bundle with a plan for every family of processors.
const ONE_FOR_ALL: &str = "vibration for all";

/// The project's own model in one of [`SCHEMES`], packed into `dir`.
pub(crate) fn own(
    samara: &Path,
    dir: &Path,
    (name, scheme): (&'static str, &[&'static str]),
) -> Result<Model> {
    let folder = command::root().join("models/vibration");
    let mut pack: Vec<OsString> = vec!["pack".into(), folder.join("model.onnx").into()];
    pack.extend(["--name", "vibration"].iter().chain(scheme).map(OsString::from));
    if name != "vibration f16" {
        pack.extend(["--calibrate".into(), folder.join("calibrate.npz").into()]);
    }
    let targets = match name {
        "vibration" => Targets::Each,
        ONE_FOR_ALL => Targets::List("host,aarch64,armv7,cortex-m4,cortex-m0"),
        // Layers that are not int8 have one kernel everywhere.
        _ => Targets::List("portable"),
    };
    let (samara, dir) = (samara.to_owned(), dir.to_owned());
    let mut model =
        Model { name, pack, samara, dir, targets, input: Vec::new(), expected: None, is_float: false };
    let bundle = model.bundle("portable")?;
    let mut archive = NpzArchive::open(folder.join("evaluate.npz"))?;
    let array = archive.by_name("spectrograms")?.context("evaluate.npz has no spectrograms")?;
    let each: usize = array.shape().iter().skip(1).product::<u64>() as usize;
    let reals: Vec<f32> = array.into_vec()?;
    let bytes = aligned(&bundle)?;
    let session = load(&bytes)?;
    let desc = session.plan().tensor(session.plan().input(0)?)?.desc;
    let level = |x: &f32| (x / desc.scale).round_ties_even() as i32 + desc.zero_point;
    let reals = reals.iter().take(SAMPLES * each);
    model.is_float = desc.dtype == Dtype::F32;
    model.input = match desc.dtype {
        Dtype::I8 => reals.map(|x| level(x).clamp(-128, 127) as i8 as u8).collect(),
        Dtype::I16 => reals.flat_map(|x| (level(x).clamp(-32768, 32767) as i16).to_le_bytes()).collect(),
        Dtype::F32 => reals.flat_map(|x| x.to_le_bytes()).collect(),
        other => anyhow::bail!("the vibration model's input is {}", other.name()),
    };
    Ok(model)
}

/// MLPerf Tiny's int8 models, packed into `dir`, with what TensorFlow Lite Micro computes.
pub(crate) fn mlperf_tiny(samara: &Path, shared: &Path, dir: &Path) -> Result<Vec<Model>> {
    SHARED.iter().map(|&(name, file)| one(samara, shared, dir, name, file)).collect()
}

fn one(samara: &Path, shared: &Path, dir: &Path, name: &'static str, file: &str) -> Result<Model> {
    let source = shared.join("models/mlperf-tiny").join(format!("{file}.tflite"));
    let pack = vec!["pack".into(), source.into(), "--name".into(), name.into()];
    let mut archive = NpzArchive::open(shared.join("golden").join(format!("{file}.npz")))?;
    let mut layers = Vec::new();
    let mut names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    names.sort();
    for array in names.iter().filter(|n| n.starts_with("layer")) {
        let (_, operator) = array.split_once('_').context("a layer without an operator")?;
        layers.push((operator.to_owned(), int8(&mut archive, array)?));
    }
    let expected = Expected { output: int8(&mut archive, "output")?, layers };
    Ok(Model {
        name,
        pack,
        samara: samara.to_owned(),
        dir: dir.to_owned(),
        targets: Targets::Each,
        input: int8(&mut archive, "input")?,
        expected: Some(expected),
        is_float: false,
    })
}

fn int8<R: std::io::Read + std::io::Seek>(archive: &mut NpzArchive<R>, name: &str) -> Result<Vec<u8>> {
    let array = archive.by_name(name)?.with_context(|| format!("no array {name}"))?;
    Ok(array.into_vec::<i8>()?.into_iter().map(|v| v as u8).collect())
}

/// A bundle's bytes where sessions want them.
pub(crate) struct Aligned {
    words: Vec<u128>,
    len: usize,
}

/// Reads a bundle.
pub(crate) fn aligned(path: &Path) -> Result<Aligned> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let words = bytes
        .chunks(16)
        .map(|chunk| {
            let mut word = [0u8; 16];
            word[..chunk.len()].copy_from_slice(chunk);
            u128::from_ne_bytes(word)
        })
        .collect();
    Ok(Aligned { words, len: bytes.len() })
}

impl Aligned {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }
}

/// Loads with every operator.
pub(crate) fn load(bytes: &Aligned) -> Result<Session<'_>> {
    let bundle = Bundle::parse(bytes.bytes())?;
    Ok(Session::load_with(&bundle, ops::ALL, Choice::Reference)?)
}

/// Operator and output bytes of every step, in order.
pub(crate) fn steps(bundle: &Path) -> Result<Vec<(&'static str, usize)>> {
    let bytes = aligned(bundle)?;
    let session = load(&bytes)?;
    let plan = session.plan();
    let mut steps = Vec::new();
    for i in 0..session.steps() {
        let record = plan.step(i)?;
        let def = ops::ALL.iter().find(|d| d.code == record.op).context("an unknown operator")?;
        let first = record.operands as usize + usize::from(record.inputs);
        let mut bytes = 0;
        for operand in first..first + usize::from(record.outputs) {
            bytes += plan.tensor(plan.operand(operand)?.context("an absent output")?)?.desc.bytes();
        }
        steps.push((def.name, bytes));
    }
    Ok(steps)
}
