//! A mixed set of inputs for a model: noise, sparse, constant, ramps, smooth fields, and recorded data.
//!
//! Ranges and recordings come from the int8 twin of a model: what its input tensor can hold, and its golden
//! inputs. Everything is a function of fixed seeds.

use std::path::{Path, PathBuf};

use samara_packager::data;
use samara_packager::import;
use samara_packager::ir::Quant;
use samara_packager::quantize::Range;
use samara_runtime::Dtype;

/// One input and how it was made.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// The kind, for messages.
    pub(crate) kind: &'static str,
    /// Row-major elements, as the model takes them.
    pub(crate) elements: Vec<f32>,
}

/// What a model takes in practice.
#[derive(Clone, Debug)]
pub(crate) struct Natural {
    /// Least and greatest value of an element.
    pub(crate) range: Range,
    /// Inputs that were used before, dequantized.
    pub(crate) recorded: Vec<Vec<f32>>,
}

/// The shared test data beside the workspace: models and golden vectors.
pub(crate) fn shared() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = manifest.ancestors().find(|d| d.join("Cargo.lock").exists()).unwrap_or(manifest);
    workspace.join("../shared")
}

/// Range and recordings of a float model, from the int8 model and the golden vectors of the same name.
pub(crate) fn natural(stem: &str) -> Natural {
    let twin = shared().join(format!("models/mlperf-tiny/{stem}_int8.tflite"));
    let graph = import::load(&twin, &import::Options::default()).unwrap_or_else(|e| panic!("{e}"));
    let quant = graph.tensors[graph.inputs[0]].quant.as_ref().and_then(Quant::single);
    let (scale, zero) = quant.expect("an int8 model's input has parameters");
    let real = |level: i32| scale * (level - zero) as f32;
    let golden = shared().join(format!("golden/{stem}_int8.npz"));
    let mut recorded = Vec::new();
    if golden.exists() {
        let arrays = data::read(&golden).unwrap_or_else(|e| panic!("{e}"));
        let array = arrays.iter().find(|a| a.name == "input").expect("golden vectors have inputs");
        assert_eq!(array.dtype, Dtype::I8);
        let size = array.bytes.len() / array.shape[0];
        let sample = |bytes: &[u8]| bytes.iter().map(|&b| real(b as i8 as i32)).collect();
        recorded = array.bytes.chunks_exact(size).map(sample).collect();
    } else {
        println!("SKIPPED: recorded inputs of {stem}, {} is not here", golden.display());
    }
    Natural { range: Range { lo: real(-128), hi: real(127) }, recorded }
}

/// Mixed inputs of `shape` (a batch of one, or none) within a range.
///
/// Every kind has an even number of members and neighbours are of one kind, so that even and odd positions
/// are two halves alike.
pub(crate) fn inputs(shape: &[usize], natural: &Natural) -> Vec<Input> {
    let count: usize = shape.iter().product();
    let Range { lo, hi } = natural.range;
    let at = |share: f32| lo + (hi - lo) * share;
    let rest = 0f32.clamp(lo, hi);
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ count as u64);
    let mut all = Vec::new();
    let mut add = |kind, elements: Vec<f32>| all.push(Input { kind, elements });
    for _ in 0..8 {
        add("noise", (0..count).map(|_| at(random.unit())).collect());
    }
    for share in [0.02, 0.02, 0.2, 0.2] {
        let one = |_| if random.unit() < share { at(random.unit()) } else { rest };
        add("sparse", (0..count).map(one).collect());
    }
    for share in [0.0, 0.1, 0.35, 0.5, 0.8, 1.0] {
        add("constant", vec![at(share); count]);
    }
    for (period, descending) in [(count, false), (count, true), (17, false), (23, true)] {
        let ramp = |i: usize| (i % period) as f32 / (period.max(2) - 1) as f32;
        let one = |i| at(if descending { 1.0 - ramp(i) } else { ramp(i) });
        add("ramp", (0..count).map(one).collect());
    }
    for _ in 0..8 {
        add("smooth", smooth(shape, &mut random).into_iter().map(at).collect());
    }
    let even = natural.recorded.len() / 2 * 2;
    for recorded in &natural.recorded[..even] {
        assert_eq!(recorded.len(), count, "a recorded input has the model's size");
        add("recorded", recorded.clone());
    }
    all
}

/// How many inputs of each kind there are, for messages.
pub(crate) fn summary(inputs: &[Input]) -> String {
    let runs = inputs.chunk_by(|a, b| a.kind == b.kind);
    runs.map(|run| format!("{} {}", run.len(), run[0].kind)).collect::<Vec<_>>().join(", ")
}

/// A few long waves across the last two dimensions before the channels, as images and spectrograms have them,
/// with a brightness and contrast of its own; in [0, 1].
fn smooth(shape: &[usize], random: &mut Random) -> Vec<f32> {
    let (width, channels) = match *shape {
        [.., _, width, channels] => (width, channels),
        _ => (shape.iter().product(), 1),
    };
    let count: usize = shape.iter().product();
    let height = count / (width * channels);
    let mut wave = || {
        let (x, y) = (random.unit() * 3.0, random.unit() * 3.0);
        let per_channel: Vec<f32> = (0..channels).map(|_| random.unit() * 0.8).collect();
        let phase = random.unit();
        move |row: usize, column: usize, channel: usize| {
            let (r, c) = (row as f32 / height as f32, column as f32 / width as f32);
            (std::f32::consts::TAU * (x * c + y * r + phase + per_channel[channel])).sin()
        }
    };
    let waves = [wave(), wave(), wave()];
    let (middle, contrast) = (0.3 + 0.4 * random.unit(), 0.1 + 0.9 * random.unit());
    let one = |i: usize| {
        let (channel, column, row) = (i % channels, i / channels % width, i / channels / width);
        let sum: f32 = waves.iter().map(|w| w(row, column, channel)).sum();
        (middle + contrast * sum / 6.0).clamp(0.0, 1.0)
    };
    (0..count).map(one).collect()
}

/// splitmix64.
struct Random(u64);

impl Random {
    /// Uniform in [0, 1).
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
}
