//! What `samara pack` takes.

use std::path::PathBuf;

use samara_runtime::bundle::Version;

use super::units;
use crate::ir::Numeric;
use crate::pipeline::{Scheme, Tuning};
use crate::plan::Patching;
use crate::quantize::{RangeMethod, WeightRounding};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// An .onnx or .tflite file.
    pub(super) model: PathBuf,
    /// Where the bundle goes.
    #[arg(short, long, required_unless_present = "dry_run")]
    pub(super) output: Option<PathBuf>,
    /// The model's name in the bundle; its file's stem by default.
    #[arg(long)]
    pub(super) name: Option<String>,
    /// MAJOR.MINOR.PATCH.
    #[arg(long, default_value = "0.1.0", value_parser = units::version)]
    pub(super) model_version: Version,
    /// Raised when older versions must never run again.
    #[arg(long, default_value_t = 0)]
    pub(super) security_counter: u32,
    /// Device class that may run it; any by default.
    #[arg(long, default_value = "")]
    pub(super) class: String,
    /// Target profile (`samara targets` lists them); several, with commas between them, for a bundle with a plan for
    /// each. Reports speak of the first.
    #[arg(long, default_value = "host", value_delimiter = ',')]
    pub(super) target: Vec<String>,
    /// Shape of an input that the file leaves open, as NAME=1x3x96x96.
    #[arg(long, value_parser = units::input_shape)]
    pub(super) input_shape: Vec<(String, Vec<usize>)>,
    /// Class labels of output 0, separated by commas.
    #[arg(long, value_delimiter = ',')]
    pub(super) labels: Vec<String>,
    /// Private keys to sign with.
    #[arg(long)]
    pub(super) sign: Vec<PathBuf>,
    /// Most bytes of arena, as 32KiB. Where the model would take more, it is computed in strips of rows.
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub(super) ram: Option<usize>,
    /// Compute large tensors in strips of rows, which takes less arena: auto for the number of strips that helps
    /// most at few multiply-accumulates, a number of strips, or off. By default only where --ram asks for it.
    #[arg(long, value_name = "auto|off|N", value_parser = units::patching)]
    pub(super) patch: Option<Patching>,
    /// Threads that may compute a run of the bundle at once: large steps are cut into as many strips, which takes
    /// some more arena and changes no bit.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64),
          conflicts_with = "patch")]
    pub(super) threads: u8,
    /// Do everything but write.
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) quantization: Quantization,
    #[command(flatten)]
    pub(super) evaluation: Evaluation,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Quantization")]
pub(super) struct Quantization {
    /// What becomes of a float model; int8 with --calibrate, else f32, by default.
    #[arg(long, value_enum)]
    pub(super) quantize: Option<Quantize>,
    /// Typical inputs: .npz with arrays named as the model's inputs, .npy for one input, or a directory of
    /// them; first axis samples. Read as a stream, whatever its size.
    #[arg(long, value_name = "DATA")]
    pub(super) calibrate: Option<PathBuf>,
    /// How integer steps of a model quantized here round.
    #[arg(long, value_enum, default_value = "single")]
    pub(super) numeric: Rounding,
    /// How ranges follow from the calibration data: min-max, percentile=99.99, mse, or auto: what loses
    /// least on that data.
    #[arg(long, value_name = "METHOD", default_value = "auto", value_parser = units::range)]
    pub(super) range: Choice<RangeMethod>,
    /// Scale channels of neighbouring layers to like ranges first.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) equalize: Switch,
    /// Let biases take up the mean error of their layer.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) bias_correction: Switch,
    /// Round each weight to the nearest level, or all of a layer together so that its output stays closest.
    #[arg(long, value_name = "nearest|optimized|auto", default_value = "auto", value_parser = units::rounding)]
    pub(super) rounding: Choice<WeightRounding>,
    /// Consecutive weights that share a multiplier with int4; whole channels by default.
    #[arg(long, value_name = "WEIGHTS", value_parser = clap::value_parser!(u32).range(2..=65536))]
    pub(super) group: Option<u32>,
    /// With --quantize auto: most bytes of the bundle.
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub(super) flash: Option<usize>,
    /// With --quantize auto: most estimated milliseconds of one run on the target.
    #[arg(long, value_name = "MS", value_parser = units::positive)]
    pub(super) latency: Option<f64>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Evaluation")]
pub(super) struct Evaluation {
    /// Inputs with `labels` (or `targets`) to measure the float model and the bundle on; not the calibration data.
    #[arg(long, value_name = "DATA")]
    pub(super) evaluate: Option<PathBuf>,
    /// What is measured: top1, top5, auc, mae, rmse, sqnr; by default what the model and the data suggest.
    #[arg(long, value_name = "METRIC")]
    pub(super) metric: Option<String>,
    /// A command that scores outputs: called with two .npz paths (the float model's outputs on the data of
    /// --evaluate, then the bundle's), prints {"float": x, "bundle": y, "higher_is_better": true}.
    #[arg(long, value_name = "CMD", requires = "evaluate")]
    pub(super) evaluate_with: Option<String>,
    /// Most points of the metric that may be lost: past it nothing is written, and pack ends with 1.
    #[arg(long, value_name = "POINTS", value_parser = units::drop)]
    pub(super) max_drop: Option<f64>,
    /// A page that shows what was done and what it cost: .html to look at, .json for scripts. May be given twice.
    #[arg(long, value_name = "FILE")]
    pub(super) report: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Quantize {
    /// int8 weights per channel, int8 activations.
    Int8,
    /// int8 weights per channel, int16 activations.
    Int16x8,
    /// int4 weights; int8 activations with --calibrate, else floats.
    Int4,
    /// 4-bit indices into tables of 16 weights; int8 activations with --calibrate, else floats.
    Palette,
    /// float16 weights, float activations.
    F16,
    /// Everything stays float.
    F32,
    /// The formats, layer by layer, that lose least inside --ram, --flash, --latency and --max-drop.
    Auto,
}

impl Quantize {
    pub(super) fn scheme(self, group: Option<u32>) -> Scheme {
        match self {
            Quantize::Int8 => Scheme::Int8,
            Quantize::Int16x8 => Scheme::Int16x8,
            Quantize::Int4 => Scheme::Int4 { group },
            Quantize::Palette => Scheme::Palette,
            Quantize::F16 => Scheme::F16,
            Quantize::F32 => Scheme::F32,
            Quantize::Auto => Scheme::Auto,
        }
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Rounding {
    Tflite,
    Single,
}

impl Rounding {
    pub(super) fn numeric(self) -> Numeric {
        match self {
            Rounding::Tflite => Numeric::Tflite,
            Rounding::Single => Numeric::Single,
        }
    }
}

/// A setting, or what measurably helps.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Choice<T> {
    Auto,
    Is(T),
}

impl<T> Choice<T> {
    fn given(self) -> Option<T> {
        match self {
            Choice::Auto => None,
            Choice::Is(value) => Some(value),
        }
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum Switch {
    /// Where it helps on the calibration data.
    Auto,
    On,
    Off,
}

impl Switch {
    fn given(self) -> Option<bool> {
        match self {
            Switch::Auto => None,
            Switch::On => Some(true),
            Switch::Off => Some(false),
        }
    }
}

impl Quantization {
    pub(super) fn tuning(&self) -> Tuning {
        Tuning {
            range: self.range.given(),
            equalize: self.equalize.given(),
            correct_bias: self.bias_correction.given(),
            rounding: self.rounding.given(),
        }
    }
}
