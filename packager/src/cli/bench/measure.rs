//! Times of whole runs, of single steps, and of the walk without kernels.

use std::time::Instant;

use samara_runtime::ops::{self, Context, Entry, Io, OpDef};
use samara_runtime::session::ResolvedStep;
use samara_runtime::{Bundle, Dtype, Run, Session};

use crate::error::Result;
use crate::files::AlignedBytes;
use crate::lower;

/// One step of the plan.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) kernel: &'static str,
    /// Types of its first input and of its weights.
    pub(super) dtypes: (Dtype, Option<Dtype>),
    pub(super) macs: u64,
    /// Of every input, constant and output once.
    pub(super) bytes: u64,
    /// The least of all runs.
    pub(super) time_us: f64,
}

/// All times, in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) p90: f64,
    /// A run whose kernels do nothing: the least.
    pub(super) outside: f64,
    /// Arena and weights: what a run touches.
    pub(super) touched: usize,
    pub(super) steps: Vec<Step>,
}

/// Runs a session this often for each of: whole runs on so many threads, single steps, runs without kernels.
pub(super) fn measure(
    bundle: &Bundle<'_>,
    session: &Session<'_>,
    runs: usize,
    threads: usize,
) -> Result<Measured> {
    let inputs = inputs(bundle, session)?;
    let mut arena = AlignedBytes::zeros(session.arena_bytes());
    let mut room = vec![ResolvedStep::EMPTY; session.steps()];
    let resolved = session.resolve(&mut room)?;
    let threads = resolved.threads(threads)?;
    let mut run = resolved.bind(&mut arena)?;
    for _ in 0..runs.div_ceil(10) {
        prepare(&mut run, &inputs)?;
        run.run_on(&threads)?;
    }
    let clock = clock_us();
    let mut whole = Vec::with_capacity(runs);
    for _ in 0..runs {
        prepare(&mut run, &inputs)?;
        let start = Instant::now();
        run.run_on(&threads)?;
        whole.push((microseconds(start) - clock).max(0.0));
    }
    whole.sort_by(f64::total_cmp);
    // Steps are timed in runs of their own: reading the clock would lengthen the whole.
    let mut steps = steps(session)?;
    for _ in 0..runs {
        prepare(&mut run, &inputs)?;
        for (i, step) in steps.iter_mut().enumerate() {
            let start = Instant::now();
            run.step(i)?;
            step.time_us = step.time_us.min((microseconds(start) - clock).max(0.0));
        }
    }
    Ok(Measured {
        min: whole[0],
        median: whole[whole.len() / 2],
        p90: whole[whole.len() * 9 / 10],
        outside: outside(bundle, runs, clock)?,
        touched: session.arena_bytes() + bundle.weights.len(),
        steps,
    })
}

fn microseconds(since: Instant) -> f64 {
    since.elapsed().as_nanos() as f64 / 1e3
}

/// What reading the clock twice takes.
fn clock_us() -> f64 {
    (0..1000).map(|_| microseconds(Instant::now())).fold(f64::INFINITY, f64::min)
}

/// The first golden vector's inputs, or zeros. They are written before every run, which may reuse their memory: what
/// earlier runs left there could be infinite, or so small that the processor takes longer.
fn inputs(bundle: &Bundle<'_>, session: &Session<'_>) -> Result<Vec<Vec<u8>>> {
    let golden = bundle.golden.as_ref().filter(|g| g.vectors() > 0);
    let mut vector = golden.map(|g| g.vector(0)).transpose()?;
    let one = |i: usize| -> Result<Vec<u8>> {
        let bytes = session.plan().tensor(session.plan().input(i)?)?.desc.bytes();
        match &mut vector {
            Some(vector) => Ok(vector.next(bytes)?.to_vec()),
            None => Ok(vec![0; bytes]),
        }
    };
    (0..usize::from(session.plan().header.inputs)).map(one).collect()
}

fn prepare(run: &mut Run<'_, '_>, inputs: &[Vec<u8>]) -> Result<()> {
    for (i, bytes) in inputs.iter().enumerate() {
        run.input(i)?.copy_from_bytes(bytes)?;
    }
    Ok(())
}

fn steps(session: &Session<'_>) -> Result<Vec<Step>> {
    let plan = session.plan();
    let one = |i: usize| -> Result<Step> {
        let record = plan.step(i)?;
        let first = record.operands as usize;
        let operands = first..first + usize::from(record.inputs) + usize::from(record.outputs);
        let (mut bytes, mut dtypes) = (0, Vec::new());
        for operand in operands {
            let desc = match plan.operand(operand)? {
                Some(id) => Some(plan.tensor(id)?.desc),
                None => None,
            };
            bytes += desc.map_or(0, |d| d.bytes() as u64);
            dtypes.push(desc.map(|d| d.dtype));
        }
        let weights = dtypes.get(1).copied().flatten().filter(|_| record.inputs > 1);
        Ok(Step {
            name: lower::definition(record.op)?.name,
            kernel: session.kernel(i)?.name,
            dtypes: (dtypes.first().copied().flatten().unwrap_or(Dtype::I8), weights),
            macs: session.step_macs(i)?,
            bytes,
            time_us: f64::INFINITY,
        })
    };
    (0..session.steps()).map(one).collect()
}

/// A run of the same plan with kernels that do nothing.
fn outside(bundle: &Bundle<'_>, runs: usize, clock: f64) -> Result<f64> {
    fn nothing(_: &[u8], io: &mut Io<'_>, _: &Context) -> samara_runtime::Result<()> {
        // So that the operands are made.
        std::hint::black_box(io);
        Ok(())
    }
    let empty = |def: &OpDef| {
        let entries: Vec<Entry> = def.entries.iter().map(|e| Entry { run: nothing, ..*e }).collect();
        let mut def = *def;
        // A session borrows its list for as long as the program runs.
        def.entries = entries.leak();
        def
    };
    let ops: &'static [OpDef] = ops::ALL.iter().map(empty).collect::<Vec<_>>().leak();
    let session = Session::load(bundle, ops)?;
    let mut arena = AlignedBytes::zeros(session.arena_bytes());
    let mut room = vec![ResolvedStep::EMPTY; session.steps()];
    let resolved = session.resolve(&mut room)?;
    let mut run = resolved.bind(&mut arena)?;
    let mut least = f64::INFINITY;
    for _ in 0..runs.max(100) {
        let start = Instant::now();
        run.run()?;
        least = least.min((microseconds(start) - clock).max(0.0));
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle;
    use crate::plan::{self, Kernels};

    #[test]
    fn steps_count_every_operand_once_and_take_time() {
        let graph = super::super::roof::layer(Dtype::I8, 6, 32).unwrap();
        let plan = plan::plan(&graph, Kernels::Reference).unwrap();
        let bytes = AlignedBytes::new(&bundle::bare("roof", &plan).unwrap());
        let bundle = Bundle::check(&bytes).unwrap();
        let session = Session::load(&bundle, ops::ALL).unwrap();
        let measured = measure(&bundle, &session, 5, 2).unwrap();
        assert!(measured.min > 0.0 && measured.min <= measured.median && measured.median <= measured.p90);
        let [step] = &measured.steps[..] else { panic!("one layer is one step") };
        assert_eq!((step.name, step.macs), ("fully_connected", 6 * 32 * 32));
        // Input, output, weights, bias, multipliers and shifts.
        assert_eq!(step.bytes, 6 * 32 + 6 * 32 + 32 * 32 + 32 * 4 + 32 * 8);
        assert_eq!(step.dtypes, (Dtype::I8, Some(Dtype::I8)));
        assert!(step.time_us.is_finite() && measured.outside < 1e3);
    }
}
