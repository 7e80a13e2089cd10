//! `samara-agent once`

use super::{Report, Result, lock, open_disk, status, with_agent};
use samara_agent::{
    agent::Outcome,
    config::Config,
    store::HostDisk,
    telemetry::Reporter,
    tuf::TufRepository,
    types::Release,
    update::{Phase, Record},
};
use serde_json::json;

pub(super) fn run(config: &Config, retry_failed: bool) -> Result<Report> {
    let _lock = lock(config)?;
    let mut repository = TufRepository::open(config, open_disk(config)?)?;
    let (outcome, record) = look(config, &mut repository, retry_failed)?;
    let mut reporter = Reporter::open(config, open_disk(config)?, "agent", active(&record))?;
    let report = report(&outcome, &record);
    count(&mut reporter, &report);
    send(&mut reporter)?;
    Ok(report)
}

/// One look for an update; what came of it, and the state afterwards.
pub(super) fn look(
    config: &Config,
    repository: &mut TufRepository<HostDisk>,
    retry_failed: bool,
) -> Result<(Outcome, Record)> {
    with_agent(config, repository, |agent| {
        if retry_failed {
            agent.forget_failures()?;
        }
        let outcome = agent.once()?;
        Ok((outcome, agent.record().clone()))
    })
}

pub(super) fn active(record: &Record) -> Option<Release> {
    record.active().map(|(_, release)| release.clone())
}

/// Counts an outcome in the telemetry: updates by outcome, and what went wrong as an error too.
pub(super) fn count(reporter: &mut Reporter<HostDisk>, report: &Report) {
    let outcome = report.json["outcome"].as_str().unwrap_or_default();
    reporter.metrics.update(outcome);
    if report.code != 0 {
        reporter.metrics.error(outcome);
    }
}

/// Sends what waits; a receiver that is away costs a line, not the command.
pub(super) fn send(reporter: &mut Reporter<HostDisk>) -> Result<()> {
    let delivery = reporter.flush()?;
    if let Some(cause) = delivery.error {
        eprintln!(
            "telemetry: {cause}; {} windows wait, {} were rejected",
            delivery.waiting, delivery.rejected
        );
    }
    Ok(())
}

pub(super) fn report(outcome: &Outcome, record: &Record) -> Report {
    let active = record.active().map(|(_, release)| release);
    let now = active.map_or("nothing is active".to_owned(), |release| format!("{release} is active"));
    let (code, name, line) = if let Some((left, cause)) = &outcome.rolled_back {
        (1, "rolled-back", format!("{left} was rolled back ({cause}); {now}"))
    } else if let Some(cause) = &outcome.refused {
        (1, "refused", format!("refused: {cause}; {now}"))
    } else if let Some(cause) = &outcome.declined {
        (1, "declined", format!("{cause}; {now}"))
    } else if let Some(cause) = &outcome.unreachable {
        (2, "unreachable", format!("{cause}; {now}"))
    } else if let Some(release) = &outcome.installed {
        (0, "installed", format!("installed {release}"))
    } else if matches!(record.phase, Phase::Probation { .. }) {
        (0, "probation", format!("{now}, on probation"))
    } else if record.phase != Phase::Idle {
        let cause = record.last_error.as_deref().unwrap_or("the update is not complete");
        (1, "incomplete", format!("{cause}; {now}"))
    } else {
        (0, "up-to-date", format!("nothing new; {now}"))
    };
    let passed_over: Vec<_> = outcome
        .passed_over
        .iter()
        .map(|(target, refusal)| json!({ "target": target, "reason": refusal.to_string() }))
        .collect();
    let mut line = line;
    for (target, refusal) in &outcome.passed_over {
        line.push_str(&format!("\n  {target}: {refusal}"));
    }
    let cause = outcome
        .rolled_back
        .as_ref()
        .map(|(_, cause)| cause)
        .or(outcome.refused.as_ref())
        .or(outcome.declined.as_ref())
        .or(outcome.unreachable.as_ref());
    let json = json!({
        "outcome": name,
        "active": active.map(status::describe),
        "installed": outcome.installed.as_ref().map(status::describe),
        "rolled_back": outcome.rolled_back.as_ref().map(|(release, _)| status::describe(release)),
        "error": cause,
        "passed_over": passed_over,
    });
    Report { code, line, json }
}
