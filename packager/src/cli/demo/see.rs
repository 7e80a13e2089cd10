//! What arrived at the OTLP receiver.

use std::collections::BTreeMap;

use prost::Message;
use samara_agent::telemetry::otlp::{Data, Request, Value};

use super::stage::{Stage, check};
use crate::error::{Error, Result};

pub(super) fn run(stage: &mut Stage<'_>) -> Result<()> {
    // The serving agent sends every few seconds.
    let served = stage.wait_for("telemetry of the inferences", || {
        let seen = read(&stage.server.metrics()).ok()?;
        seen.iter().any(|((_, name), v)| name == "samara.inference.count" && *v >= 20.0).then_some(seen)
    })?;
    for ((version, name), value) in &served {
        stage.say(format_args!("{version:8} {name:40} {value}"));
    }
    check(!served.is_empty(), "no telemetry arrived")
}

/// Latest value by model version and metric; histograms by their count.
fn read(bodies: &[Vec<u8>]) -> Result<BTreeMap<(String, String), f64>> {
    let mut seen = BTreeMap::new();
    for body in bodies {
        let request = Request::decode(&body[..]).map_err(|e| Error::invalid(format!("not OTLP: {e}")))?;
        for resource in request.resource_metrics {
            let attributes = resource.resource.map(|r| r.attributes).unwrap_or_default();
            let version = attributes.iter().find(|a| a.key == "samara.model.version").and_then(|a| {
                match a.value.as_ref()?.value.as_ref()? {
                    Value::String(text) => Some(text.clone()),
                    Value::Int(number) => Some(number.to_string()),
                }
            });
            for metric in resource.scope_metrics.into_iter().flat_map(|s| s.metrics) {
                let value = match metric.data {
                    Some(Data::Sum(sum)) => {
                        sum.data_points.iter().filter_map(|p| p.as_int).sum::<i64>() as f64
                    }
                    Some(Data::Gauge(gauge)) => {
                        gauge.data_points.iter().filter_map(|p| p.as_int).sum::<i64>() as f64
                    }
                    Some(Data::ExponentialHistogram(h)) => {
                        h.data_points.iter().map(|p| p.count).sum::<u64>() as f64
                    }
                    None => continue,
                };
                let key = (version.clone().unwrap_or_default(), metric.name);
                let latest = seen.entry(key).or_insert(0.0f64);
                *latest = latest.max(value);
            }
        }
    }
    Ok(seen)
}
