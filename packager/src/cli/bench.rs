//! `samara bench BUNDLE`.

use std::path::PathBuf;
use std::time::Instant;

use samara_runtime::{Bundle, Choice, Session, ops};
use serde_json::json;

use super::output::Output;
use super::run::choice;
use crate::error::{About, Result};
use crate::files::{self, AlignedBytes};
use crate::lower;

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
}

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    let about = args.bundle.display();
    let bytes = files::read_aligned(&args.bundle)?;
    let bundle = Bundle::check(&bytes).about(&about)?;
    let session = Session::load_with(&bundle, ops::ALL, args.kernels).about(&about)?;
    let mut arena = AlignedBytes::zeros(session.arena_bytes());
    let mut run = session.bind(&mut arena).about(&about)?;
    for _ in 0..args.runs.div_ceil(10) {
        run.run().about(&about)?;
    }
    let mut whole = Vec::with_capacity(args.runs as usize);
    for _ in 0..args.runs {
        let start = Instant::now();
        run.run().about(&about)?;
        whole.push(start.elapsed().as_nanos() as f64 / 1e3);
    }
    // Steps are timed in runs of their own: reading the clock would lengthen the whole.
    let mut steps = vec![f64::INFINITY; session.steps()];
    for _ in 0..args.runs {
        for (i, least) in steps.iter_mut().enumerate() {
            let start = Instant::now();
            run.step(i).about(&about)?;
            *least = least.min(start.elapsed().as_nanos() as f64 / 1e3);
        }
    }
    whole.sort_by(f64::total_cmp);
    let (min, median, p90) = (whole[0], whole[whole.len() / 2], whole[whole.len() * 9 / 10]);
    let mut operators = Vec::new();
    for (i, time_us) in steps.iter().enumerate() {
        let name = lower::definition(session.plan().step(i)?.op)?.name;
        let kernel = session.kernel(i)?.name;
        operators.push(
            json!({ "name": name, "kernel": kernel, "macs": session.step_macs(i)?, "time_us": time_us }),
        );
    }
    let report = json!({
        "kernels": name(args.kernels),
        "threads": 1,
        "runs": args.runs,
        "macs": session.macs(),
        "latency_us": { "median": median, "min": min, "p90": p90 },
        "operators": operators,
    });
    output.result(&report, || {
        let mut text = format!(
            "{about}: min {min:.1} us, median {median:.1} us, p90 {p90:.1} us, {:.2} MAC/ns\n",
            session.macs() as f64 / min / 1e3
        );
        for o in &operators {
            let (macs, us) = (o["macs"].as_u64().unwrap_or(0) as f64, o["time_us"].as_f64().unwrap_or(0.0));
            text += &format!(
                "  {:20} {:10.1} us {:12} MACs {:6.2} MAC/ns  {}\n",
                o["name"].as_str().unwrap_or_default(),
                us,
                macs,
                macs / us.max(1e-3) / 1e3,
                o["kernel"].as_str().unwrap_or_default()
            );
        }
        text
    });
    Ok(())
}

fn name(choice: Choice) -> &'static str {
    match choice {
        Choice::Auto => "auto",
        Choice::Reference => "reference",
        Choice::Only(isa) => isa.name(),
    }
}
