//! The whole way of a model: import, passes, quantize, plan, golden vectors, bundle.

use std::path::Path;

use samara_runtime::Dtype;
use samara_runtime::bundle::golden::Tolerance;
use samara_runtime::ops::eval::Value;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::bundle::{self, Identity, Parts, Vector};
use crate::error::{About, Error, Result};
use crate::interpret::Interpreter;
use crate::ir::{Graph, Node, Numeric, Op, Tensor};
use crate::plan::{self, Plan};
use crate::target::Profile;
use crate::{files, import, passes, quantize};

/// What becomes of a float model's numbers. Already quantized models are kept as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// int8 weights per channel and int8 activations; needs calibration data.
    Int8,
    /// Everything stays float.
    F32,
}

/// Calibration samples, each the model's inputs in order.
pub type Samples<'a> = &'a mut dyn Iterator<Item = Result<Vec<Value>>>;

/// What `pack` was asked for.
#[derive(Debug)]
pub struct Options<'a> {
    /// Who the bundle says it is; an empty name becomes the model's.
    pub identity: Identity,
    /// What it is packed for.
    pub target: &'static Profile,
    /// `None` keeps quantized models, and floats without calibration.
    pub scheme: Option<Scheme>,
    /// How integer steps of a model quantized here round.
    pub numeric: Numeric,
    /// Shapes that the model's file leaves open.
    pub import: import::Options,
    /// SHA-256 of the calibration data, for the card.
    pub calibration_digest: Option<&'a str>,
}

/// A packed model and what was learned on the way.
#[derive(Debug)]
pub struct Packed {
    /// The bundle's bytes, unsigned.
    pub bytes: Vec<u8>,
    /// The graph after import and passes, before quantization.
    pub source: Graph,
    /// The graph that was planned.
    pub graph: Graph,
    /// Its plan.
    pub plan: Plan,
    /// Calibration samples used.
    pub samples: usize,
}

impl Packed {
    /// Nodes that compute in floats; in a quantized model these are the ones it leaves between its own
    /// Dequantize and Quantize, and an integer-only target would refuse them.
    pub fn float_operators(&self) -> Vec<String> {
        let float = |n: &&Node| {
            let reads = self.graph.input(n, 0).is_some_and(|t| t.dtype == Dtype::F32);
            reads && !matches!(n.op, Op::Quantize)
        };
        self.graph.nodes.iter().filter(float).map(|n| format!("{} ({})", n.name, n.op.name())).collect()
    }
}

/// Imports a model and runs the passes: what every later stage starts from.
pub fn import(model: &Path, options: &import::Options) -> Result<Graph> {
    let mut graph = import::load(model, options)?;
    passes::run(&mut graph).about(model.display())?;
    Ok(graph)
}

/// Packs an imported graph. `calibration` is read once.
pub fn pack(
    model: &Path,
    source: Graph,
    options: Options<'_>,
    calibration: Option<Samples<'_>>,
) -> Result<Packed> {
    let about = model.display();
    let (mut graph, samples) = quantize(&source, &options, calibration).about(&about)?;
    passes::prepare_for_lowering(&mut graph).about(&about)?;
    let float = graph.nodes.iter().any(|n| graph.input(n, 0).is_some_and(|t| t.dtype == Dtype::F32));
    if float && options.target.integer_only {
        let cause =
            format!("target '{}' has no floating point, and the model computes in f32", options.target.name);
        return Err(Error::invalid(cause).remedy("give --calibrate DATA to quantize it").about(&about));
    }
    let plan = plan::plan(&graph).about(&about)?;
    let mut identity = options.identity;
    if identity.name.is_empty() {
        identity.name = source.name.clone();
    }
    identity.target = options.target.name.into();
    let golden = golden(&graph).about(&about)?;
    let card = json!({
        "tool": concat!("samara ", env!("CARGO_PKG_VERSION")),
        "source": { "sha256": digest(&files::read(model)?) },
        "calibration": { "sha256": options.calibration_digest, "samples": samples },
        "options": { "numeric": plan.numeric.name(), "target": options.target.name },
    });
    let card = serde_json::to_vec(&card).map_err(|e| Error::invalid(e.to_string()))?;
    let tolerance = Tolerance { absolute: 1e-4, relative: 1e-3 };
    let parts = Parts { identity: &identity, plan: &plan, golden: &golden, tolerance, card: &card };
    let bytes = bundle::write(&parts).about(&about)?;
    Ok(Packed { bytes, source, graph, plan, samples })
}

fn quantize(
    source: &Graph,
    options: &Options<'_>,
    calibration: Option<Samples<'_>>,
) -> Result<(Graph, usize)> {
    let quantized = source.tensors.iter().any(|t| t.quant.is_some());
    match (options.scheme, calibration) {
        (Some(_), _) if quantized => Err(Error::invalid("the model is quantized already")
            .remedy("leave --quantize out to keep it as it is, or give the float model")),
        (Some(Scheme::F32), None) | (None, None) => Ok((source.clone(), 0)),
        (Some(Scheme::F32), Some(_)) => {
            Err(Error::invalid("--quantize f32 takes no --calibrate").remedy("leave one of them out"))
        }
        (None, Some(_)) if quantized => {
            Err(Error::invalid("the model is quantized already").remedy("leave --calibrate out"))
        }
        (Some(Scheme::Int8), None) => Err(Error::invalid("int8 activations need ranges")
            .remedy("give --calibrate DATA, an .npz of typical inputs with the sample axis first")),
        (Some(Scheme::Int8) | None, Some(samples)) => {
            let mut prepared = source.clone();
            quantize::prepare(&mut prepared)?;
            let ranges = quantize::calibrate(&prepared, samples)?;
            Ok((quantize::int8(&prepared, &ranges, options.numeric)?, ranges.samples))
        }
    }
}

/// Most bytes of golden vectors beyond the first: they travel to every device.
const GOLDEN_BUDGET: usize = 16 * 1024;
/// Most golden vectors.
const GOLDEN_VECTORS: usize = 4;

/// Pseudo-random inputs and what the reference kernels make of them.
fn golden(graph: &Graph) -> Result<Vec<Vector>> {
    let interpreter = Interpreter::new(graph)?;
    let size: usize = graph.inputs.iter().map(|&t| graph.tensors[t].bytes().unwrap_or(usize::MAX)).sum();
    let vectors = (GOLDEN_BUDGET / size.max(1)).clamp(1, GOLDEN_VECTORS);
    (0..vectors)
        .map(|v| {
            let tensors = graph.inputs.iter().enumerate();
            let inputs: Vec<Value> = tensors
                .map(|(i, &t)| noise(&graph.tensors[t], (v * 64 + i) as u64))
                .collect::<Result<_>>()?;
            let bytes = |values: &[Value]| values.iter().map(|v| v.bytes().to_vec()).collect();
            let kept = bytes(&inputs);
            let outputs = interpreter.run(inputs, |_, _| Ok(()))?;
            Ok(Vector { inputs: kept, outputs: bytes(&outputs) })
        })
        .collect()
}

/// Uniform over an integer type's levels, uniform in [-1, 1] for floats, zeros for indices and flags, which
/// have ranges of their own.
fn noise(tensor: &Tensor, seed: u64) -> Result<Value> {
    let mut value = Value::zeros(tensor.desc()?);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995;
    let mut next = || {
        // xorshift64*, a fixed sequence.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    };
    match tensor.dtype {
        Dtype::I8 | Dtype::U8 | Dtype::I16 => value.bytes_mut().iter_mut().for_each(|b| *b = next() as u8),
        Dtype::F32 => {
            for b in value.bytes_mut().chunks_exact_mut(4) {
                b.copy_from_slice(&(next() as f32 / (1u64 << 31) as f32 - 1.0).to_le_bytes());
            }
        }
        Dtype::I32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => {}
    }
    Ok(value)
}

/// SHA-256 as hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
