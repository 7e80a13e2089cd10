//! `samara bench BUNDLE`: where a run's time goes, against what this machine can do.

mod elsewhere;
mod measure;
mod roof;

use std::path::PathBuf;

use samara_runtime::{Bundle, Choice, Session, ops};
use serde_json::{Value, json};

use super::output::{Output, size};
use super::run::choice;
use crate::error::{About, Result};
use crate::files;
use measure::{Measured, Step};
use roof::Roof;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The bundle.
    bundle: PathBuf,
    /// Runs that are timed, after a tenth as many to warm up.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// Which kernels run: `auto`, `reference`, or an instruction set of this processor.
    #[arg(long, value_parser = choice, default_value = "auto")]
    kernels: Choice,
    /// Threads for whole runs of bundles packed with --threads; single steps are timed on one.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// A microcontroller that the bundle was packed for, such as `cortex-m4`: counts its instructions in the emulator
    /// instead. Needs --source.
    #[arg(long)]
    target: Option<String>,
    /// A checkout of this project, which builds the firmware that is counted.
    #[arg(long, default_value = ".", requires = "target")]
    source: PathBuf,
}

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    if let Some(target) = &args.target {
        return elsewhere::run(&args.bundle, target, &args.source, output);
    }
    let about = args.bundle.display();
    let bytes = files::read_aligned(&args.bundle)?;
    let bundle = Bundle::check(&bytes).about(&about)?;
    let session = Session::load_with(&bundle, ops::ALL, args.kernels).about(&about)?;
    let measured =
        measure::measure(&bundle, &session, args.runs as usize, args.threads.into()).about(&about)?;
    let roof = Roof::measure(measured.touched, &measured.steps).about("the machine's roof")?;
    output.result(&report(&args, &session, &measured, &roof), || {
        let mut text = format!(
            "{about}: min {:.1} us, median {:.1} us, p90 {:.1} us, {:.2} MAC/ns, {:.2} us outside kernels\n",
            measured.min,
            measured.median,
            measured.p90,
            session.macs() as f64 / measured.min / 1e3,
            measured.outside,
        );
        text += &format!(
            "roof of this machine, one thread: int8 {:.0} GMAC/s, f32 {:.0} GMAC/s, {:.0} GB/s reading the {} \
             that a run touches\n",
            roof.int8,
            roof.f32,
            roof.bandwidth,
            size(measured.touched)
        );
        text += &format!(
            "  {:20} {:>9} {:>5} {:>11} {:>8} {:>10} {:>7} {:>6}  kernel\n",
            "operator", "us", "%", "MACs", "GMAC/s", "bytes", "GB/s", "roof"
        );
        let whole: f64 = measured.steps.iter().map(|s| s.time_us).sum();
        for step in &measured.steps {
            text += &line(step, whole, &roof);
        }
        text
    });
    Ok(())
}

/// One step for people: its share as a bar, the roof that it is under.
fn line(step: &Step, whole: f64, roof: &Roof) -> String {
    let share = 100.0 * step.time_us / whole.max(1e-9);
    let (limit, bound) = roof.least_us(step);
    format!(
        "  {:20} {:9.2} {share:5.1} {:>11} {:8.2} {:>10} {:7.2} {:4.0} %{} {} {}\n",
        step.name,
        step.time_us,
        step.macs,
        step.macs as f64 / step.time_us.max(1e-3) / 1e3,
        step.bytes,
        step.bytes as f64 / step.time_us.max(1e-3) / 1e3,
        100.0 * limit / step.time_us.max(1e-3),
        if bound == "memory" { "m" } else { " " },
        step.kernel,
        "#".repeat((share / 2.5).round() as usize),
    )
}

fn report(args: &Args, session: &Session<'_>, measured: &Measured, roof: &Roof) -> Value {
    let operator = |step: &Step| {
        let (limit, bound) = roof.least_us(step);
        json!({
            "name": step.name,
            "kernel": step.kernel,
            "macs": step.macs,
            "time_us": step.time_us,
            "gmac_s": step.macs as f64 / step.time_us.max(1e-3) / 1e3,
            "bytes": step.bytes,
            "gb_s": step.bytes as f64 / step.time_us.max(1e-3) / 1e3,
            "roof_us": limit,
            "roof_percent": 100.0 * limit / step.time_us.max(1e-3),
            "bound": bound,
        })
    };
    json!({
        "kernels": name(args.kernels),
        "threads": args.threads,
        "runs": args.runs,
        "macs": session.macs(),
        "latency_us": { "median": measured.median, "min": measured.min, "p90": measured.p90 },
        "outside_kernels_us": measured.outside,
        "roof": {
            "int8_gmac_s": roof.int8,
            "f32_gmac_s": roof.f32,
            "bandwidth_gb_s": roof.bandwidth,
            "touched_bytes": measured.touched,
        },
        "operators": measured.steps.iter().map(operator).collect::<Vec<_>>(),
    })
}

fn name(choice: Choice) -> &'static str {
    match choice {
        Choice::Auto => "auto",
        Choice::Reference => "reference",
        Choice::Only(isa) => isa.name(),
    }
}
