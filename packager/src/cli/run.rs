//! `samara run BUNDLE --input X -o Y`.

use std::path::PathBuf;

use samara_runtime::bundle::{Bundle, Tag};
use samara_runtime::ops::Isa;
use samara_runtime::session::ResolvedStep;
use samara_runtime::{Choice, Dtype, Session, ops};
use serde_json::json;

use super::output::Output;
use crate::data::samples::{InputSpec, Samples, stack};
use crate::data::{self, Array};
use crate::error::{About, Result};
use crate::files::{self, AlignedBytes};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The bundle; its hashes are checked, its signatures are not.
    bundle: PathBuf,
    /// .npz with arrays named as the model's inputs, .npy for one input, or a directory of them.
    #[arg(long)]
    input: PathBuf,
    /// .npz with one array per output, or .npy for one output.
    #[arg(short, long)]
    output: PathBuf,
    /// Which kernels run: `auto`, `reference`, or an instruction set of this processor. They give the same bits for
    /// integers.
    #[arg(long, value_parser = choice, default_value = "auto")]
    kernels: Choice,
    /// Threads, for bundles packed with --threads. Results do not depend on it.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// Write real values as float32 instead of the outputs' own type.
    #[arg(long)]
    dequantize: bool,
}

/// `auto`, `reference`, or one of this processor's instruction sets.
pub(super) fn choice(name: &str) -> std::result::Result<Choice, String> {
    let own = || Isa::ALL.into_iter().filter(|isa| isa.available());
    match own().find(|isa| isa.name() == name) {
        _ if name == "auto" => Ok(Choice::Auto),
        Some(Isa::Reference) => Ok(Choice::Reference),
        Some(isa) => Ok(Choice::Only(isa)),
        None => {
            let names: Vec<&str> = own().map(Isa::name).collect();
            Err(format!("this processor has: auto, {}", names.join(", ")))
        }
    }
}

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    let about = args.bundle.display();
    let bytes = files::read_aligned(&args.bundle)?;
    let bundle = Bundle::check(&bytes).about(&about)?;
    let session = Session::load_with(&bundle, ops::ALL, args.kernels).about(&about)?;
    let plan = session.plan();
    let names: Vec<&str> = bundle.manifest.strings(Tag::Input).collect();
    let mut specs = Vec::new();
    for i in 0..plan.header.inputs as usize {
        let name = names.get(i).copied().unwrap_or_default().to_owned();
        specs.push(InputSpec { name, desc: plan.tensor(plan.input(i)?)?.desc });
    }
    let samples = Samples::read_for(&args.input, specs)?;
    let mut arena = AlignedBytes::zeros(session.arena_bytes());
    let mut room = vec![ResolvedStep::EMPTY; session.steps()];
    let resolved = session.resolve(&mut room).about(&about)?;
    let threads = resolved.threads(args.threads.into()).about(&about)?;
    let mut run = resolved.bind(&mut arena).about(&about)?;
    let mut results = vec![Vec::new(); plan.header.outputs as usize];
    let progress = output.progress("running", samples.len());
    for sample in samples.iter() {
        for (i, value) in sample?.iter().enumerate() {
            run.input(i)?.copy_from_bytes(value.bytes())?;
        }
        run.run_on(&threads).about(&about)?;
        for (o, result) in results.iter_mut().enumerate() {
            result.push(run.output(o)?.bytes().to_vec());
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let names: Vec<&str> = bundle.manifest.strings(Tag::Output).collect();
    let mut arrays = Vec::new();
    for (o, result) in results.iter().enumerate() {
        let desc = plan.tensor(plan.output(o)?)?.desc;
        let array = stack(names.get(o).copied().unwrap_or_default(), result, &desc, samples.has_axis);
        arrays.push(if args.dequantize { dequantize(array, desc.scale, desc.zero_point) } else { array });
    }
    data::write(&args.output, &arrays)?;
    let outputs: Vec<_> =
        arrays.iter().map(|a| json!({ "name": a.name, "dtype": a.dtype.name(), "shape": a.shape })).collect();
    output.result(&json!({ "samples": samples.len(), "outputs": outputs }), || {
        format!("{} samples through {about}, outputs in {}", samples.len(), args.output.display())
    });
    Ok(())
}

/// Real values as float32.
fn dequantize(array: Array, scale: f32, zero_point: i32) -> Array {
    let wide: Vec<i32> = match array.dtype {
        Dtype::F32 | Dtype::Bool | Dtype::F16 | Dtype::I4 | Dtype::U4 | Dtype::I64 => return array,
        Dtype::I8 => array.bytes.iter().map(|&b| b as i8 as i32).collect(),
        Dtype::U8 => array.bytes.iter().map(|&b| b as i32).collect(),
        Dtype::I16 => array.bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]]) as i32).collect(),
        Dtype::I32 => {
            array.bytes.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
    };
    // Indices and other integers without parameters stay what they are.
    if scale == 0.0 {
        return array;
    }
    let real = |q: i32| scale * (q - zero_point) as f32;
    Array {
        dtype: Dtype::F32,
        bytes: wide.into_iter().flat_map(|q| real(q).to_le_bytes()).collect(),
        ..array
    }
}
