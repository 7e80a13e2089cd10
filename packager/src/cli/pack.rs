//! `samara pack MODEL -o OUT.samara`.

use std::path::{Path, PathBuf};

use samara_runtime::bundle::Version;
use serde_json::{Value, json};

use super::inspect;
use super::output::{Output, size};
use crate::bundle::Identity;
use crate::data::samples::Samples;
use crate::error::{Error, Result};
use crate::ir::Numeric;
use crate::pipeline::{self, Options, Scheme};
use crate::{files, import, sign, target};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// An .onnx or .tflite file.
    model: PathBuf,
    /// Where the bundle goes.
    #[arg(short, long, required_unless_present = "dry_run")]
    output: Option<PathBuf>,
    /// The model's name in the bundle; its file's stem by default.
    #[arg(long)]
    name: Option<String>,
    /// MAJOR.MINOR.PATCH.
    #[arg(long, default_value = "0.1.0", value_parser = version)]
    model_version: Version,
    /// Raised when older versions must never run again.
    #[arg(long, default_value_t = 0)]
    security_counter: u32,
    /// Device class that may run it; any by default.
    #[arg(long, default_value = "")]
    class: String,
    /// Target profile (`samara targets` lists them).
    #[arg(long, default_value = "host")]
    target: String,
    /// What becomes of a float model; int8 with --calibrate, else f32, by default.
    #[arg(long, value_enum)]
    quantize: Option<Quantize>,
    /// Typical inputs: .npz with arrays named as the model's inputs, .npy for one input, or a directory of them;
    /// first axis samples.
    #[arg(long)]
    calibrate: Option<PathBuf>,
    /// How integer steps of a model quantized here round.
    #[arg(long, value_enum, default_value = "single")]
    numeric: Rounding,
    /// Shape of an input that the file leaves open, as NAME=1x3x96x96.
    #[arg(long, value_parser = input_shape)]
    input_shape: Vec<(String, Vec<usize>)>,
    /// Class labels of output 0, separated by commas.
    #[arg(long, value_delimiter = ',')]
    labels: Vec<String>,
    /// Private keys to sign with.
    #[arg(long)]
    sign: Vec<PathBuf>,
    /// Do everything but write.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Quantize {
    Int8,
    F32,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Rounding {
    Tflite,
    Single,
}

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    let target = target::find(&args.target).ok_or_else(|| {
        Error::invalid(format!("no target is called '{}'", args.target)).remedy("`samara targets` lists them")
    })?;
    let keys = args
        .sign
        .iter()
        .map(|path| samara_tuf::keyfile::read_secret(path).map_err(|e| Error::invalid(e.to_string())))
        .collect::<Result<Vec<_>>>()?;
    let source = pipeline::import(&args.model, &import::Options { input_shapes: args.input_shape.clone() })?;
    let mut calibration = match &args.calibrate {
        Some(path) => {
            let samples = Samples::read(path, &source)?;
            let digest = samples.digest()?;
            Some((samples, digest))
        }
        None => None,
    };
    let progress = output.progress("calibrating", calibration.as_ref().map_or(0, |(s, _)| s.len()));
    let digest = calibration.as_ref().map(|(_, digest)| digest.clone());
    let options = Options {
        identity: Identity {
            name: args.name.clone().unwrap_or_default(),
            version: args.model_version,
            security_counter: args.security_counter,
            class: args.class.clone(),
            labels: args.labels.clone(),
            ..Identity::default()
        },
        target,
        scheme: args.quantize.map(|q| match q {
            Quantize::Int8 => Scheme::Int8,
            Quantize::F32 => Scheme::F32,
        }),
        numeric: match args.numeric {
            Rounding::Tflite => Numeric::Tflite,
            Rounding::Single => Numeric::Single,
        },
        import: import::Options { input_shapes: args.input_shape },
        calibration_digest: digest.as_deref(),
    };
    let mut packed = match &mut calibration {
        Some((samples, _)) => {
            let mut watched = samples.iter().inspect(|_| progress.inc(1));
            pipeline::pack(&args.model, source, options, Some(&mut watched))?
        }
        None => pipeline::pack(&args.model, source, options, None)?,
    };
    progress.finish_and_clear();
    for key in &keys {
        sign::sign(&mut packed.bytes, key)?;
    }
    if !args.dry_run
        && let Some(path) = &args.output
    {
        files::write_atomic(path, &packed.bytes)?;
    }
    let mut report = inspect::describe(&files::AlignedBytes::new(&packed.bytes))?;
    report["float_operators"] = json!(packed.float_operators());
    output.result(&report, || {
        text(&report, args.output.as_deref().filter(|_| !args.dry_run), args.calibrate.is_some())
    });
    Ok(())
}

fn text(report: &Value, path: Option<&Path>, calibrated: bool) -> String {
    let bytes = |v: &Value| size(v.as_u64().unwrap_or(0) as usize);
    let place = path.map_or_else(|| "nothing written (--dry-run)".into(), |p| p.display().to_string());
    let mut text = format!(
        "{place}: {} for the bundle, {} of arena, {} MACs\n",
        bytes(&report["bytes"]),
        bytes(&report["memory"]["arena_bytes"]),
        report["macs"]
    );
    let floats = report["float_operators"].as_array().map_or(0, Vec::len);
    if floats > 0 && report["numeric"] != json!("none") {
        let names: Vec<&str> =
            report["float_operators"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        text += &format!("{floats} operators compute in f32, as the model has them: {}\n", names.join(", "));
    }
    if report["numeric"] == json!("none") && !calibrated {
        text += "packed as f32; give --calibrate DATA to get int8: about a quarter of the size, and integer-only targets\n";
    }
    text
}

fn version(text: &str) -> std::result::Result<Version, String> {
    let parts: Vec<u32> = text
        .split('.')
        .map(|p| p.parse().map_err(|_| ()))
        .collect::<std::result::Result<_, _>>()
        .unwrap_or_default();
    match parts[..] {
        [major, minor, patch] => Ok(Version { major, minor, patch }),
        _ => Err("a version is MAJOR.MINOR.PATCH, three numbers".into()),
    }
}

pub(super) fn input_shape(text: &str) -> std::result::Result<(String, Vec<usize>), String> {
    let parsed = text.rsplit_once('=').and_then(|(name, dims)| {
        let dims: Option<Vec<usize>> = dims.split('x').map(|d| d.parse().ok().filter(|&d| d > 0)).collect();
        Some((name.to_owned(), dims?))
    });
    parsed.ok_or_else(|| "an input shape is NAME=1x3x96x96".into())
}
