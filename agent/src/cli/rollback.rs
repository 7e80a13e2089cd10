//! `samara-agent rollback`

use super::{Report, Result, lock, once, open_disk, with_agent};
use samara_agent::{config::Config, telemetry::Reporter, tuf::TufRepository};
use serde_json::json;

pub(super) fn run(config: &Config) -> Result<Report> {
    let _lock = lock(config)?;
    let mut repository = TufRepository::open(config, open_disk(config)?)?;
    let (outcome, record) = with_agent(config, &mut repository, |agent| {
        let outcome = agent.roll_back()?;
        Ok((outcome, agent.record().clone()))
    })?;
    let mut report = once::report(&outcome, &record);
    let mut reporter = Reporter::open(config, open_disk(config)?, "agent", once::active(&record))?;
    once::count(&mut reporter, &report);
    once::send(&mut reporter)?;
    // Here a rollback is what was asked for, not a failure.
    if outcome.declined.is_none() && outcome.rolled_back.is_some() {
        report.code = 0;
        report.json["error"] = json!(null);
    }
    Ok(report)
}
