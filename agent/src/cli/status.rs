//! `samara-agent status`

use super::{Report, Result};
use samara_agent::{
    config::Config,
    store::{HostDisk, journal, read_pointer},
    types::Release,
    update::Phase,
};
use serde_json::{Value, json};

/// Reads only; works beside a running agent.
pub(super) fn run(config: &Config) -> Result<Report> {
    let disk = HostDisk::existing(&config.data_dir);
    let (_, record) = journal::load(&disk)?;
    let pointer = read_pointer(&disk)?;
    let active = record.active();
    let previous = active.and_then(|(slot, _)| record.slot(slot.other()));
    let state = serde_json::to_value(&record.phase)?["name"].clone();
    let candidate = match &record.phase {
        Phase::Idle | Phase::RollingBack { .. } => None,
        Phase::Fetching { candidate }
        | Phase::Staging { candidate, .. }
        | Phase::Testing { candidate, .. }
        | Phase::Activating { candidate, .. }
        | Phase::Probation { candidate, .. } => Some(&candidate.release),
    };
    let failed: Vec<Value> = record
        .failed
        .iter()
        .map(|failure| {
            let mut object = describe(&failure.release);
            object["reason"] = json!(failure.reason);
            object
        })
        .collect();
    let mut line = match active {
        Some((_, release)) => format!("{release} is active ({})", release.digest),
        None => "nothing is active".to_owned(),
    };
    line.push_str(&format!("; state {}", state.as_str().unwrap_or_default()));
    if let Some(candidate) = candidate {
        line.push_str(&format!(" with {candidate}"));
    }
    if let Some(previous) = previous {
        line.push_str(&format!("\nprevious: {previous}"));
    }
    if let Some(error) = &record.last_error {
        line.push_str(&format!("\nlast error: {error}"));
    }
    for failure in &record.failed {
        line.push_str(&format!("\nfailed: {}: {}", failure.release, failure.reason));
    }
    let json = json!({
        "device_id": config.device_id,
        "class": config.class,
        "model": config.model,
        "version": active.map(|(_, release)| release.version.to_string()),
        "digest": active.map(|(_, release)| release.digest),
        "active": active.map(|(slot, release)| {
            let mut object = describe(release);
            object["slot"] = json!(slot);
            object["path"] = json!(pointer.as_ref().map(|pointer| config.data_dir.join(&pointer.path)));
            object
        }),
        "previous": previous.map(describe),
        "state": state,
        "candidate": candidate.map(describe),
        "last_error": record.last_error,
        "failed": failed,
    });
    Ok(Report { code: 0, line, json })
}

/// A release for scripts, its version as text.
pub(super) fn describe(release: &Release) -> Value {
    json!({
        "name": release.name,
        "version": release.version.to_string(),
        "digest": release.digest,
        "sha256": release.sha256,
        "bytes": release.bytes,
    })
}
