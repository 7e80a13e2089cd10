//! `samara-agent run`

use super::{Report, Result, lock, once, open_disk, stopped};
use samara_agent::{
    config::Config,
    http::{Backoff, jitter},
    telemetry::Reporter,
    tuf::TufRepository,
};
use std::{
    thread,
    time::{Duration, Instant},
};

const STEP: Duration = Duration::from_millis(200);
/// A repository that is away is asked again sooner than a quiet one, but not in a hurry.
const FIRST_RETRY: Duration = Duration::from_secs(30);

pub(super) fn run(config: &Config) -> Result<Report> {
    let _lock = lock(config)?;
    let mut repository = TufRepository::open(config, open_disk(config)?)?;
    let backoff = Backoff { base: FIRST_RETRY.min(config.poll_interval), cap: config.poll_interval };
    let mut reporter: Option<Reporter<_>> = None;
    let (mut looks, mut failures) = (0, 0);
    loop {
        let (outcome, record) = once::look(config, &mut repository, false)?;
        let active = once::active(&record);
        let report = once::report(&outcome, &record);
        eprintln!("{}", report.line);
        let reporter = match &mut reporter {
            Some(reporter) => {
                if reporter.metrics.release() != active.as_ref() {
                    reporter.switch(active)?;
                }
                reporter
            }
            none => none.insert(Reporter::open(config, open_disk(config)?, "agent", active)?),
        };
        once::count(reporter, &report);
        once::send(reporter)?;
        let wait = if report.code == 2 {
            failures += 1;
            backoff.delay(&config.device_id, failures - 1)
        } else {
            failures = 0;
            jitter(config.poll_interval, 4, &config.device_id, looks)
        };
        looks += 1;
        let started = Instant::now();
        while started.elapsed() < wait {
            if stopped() {
                once::send(reporter)?;
                return Ok(Report { code: 0, line: "stopped".to_owned(), json: report.json });
            }
            thread::sleep(STEP.min(wait));
            reporter.tick()?;
        }
    }
}
