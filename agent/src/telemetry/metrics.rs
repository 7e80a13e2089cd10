//! What is counted, and how it becomes one OTLP request per window.

use super::{
    histogram::Histogram,
    otlp::{
        Buckets, CUMULATIVE, Data, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, KeyValue,
        Metric, NumberDataPoint, Request, Resource, ResourceMetrics, Scope, ScopeMetrics, Sum,
    },
};
use crate::types::{Digest, Release};
use prost::Message;
use std::collections::BTreeMap;

/// Counts by name.
pub type Counts = BTreeMap<String, u64>;

/// Who measures.
#[derive(Clone, Debug)]
pub struct Source {
    /// The device.
    pub device_id: String,
    /// Its class.
    pub class: String,
    /// `agent` or `serve`.
    pub component: String,
    /// How often this component has started on this device.
    pub boot: u64,
}

/// Cumulative counts of one stream: one bundle during one run of one component.
#[derive(Clone, Debug)]
pub struct Metrics {
    source: Source,
    release: Option<Release>,
    start: u64,
    sequence: u64,
    latency: Histogram,
    nan: u64,
    errors: Counts,
    updates: Counts,
}

/// One window, ready to be stored and sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// With `sequence`, and the device, what makes it unique.
    pub boot: u64,
    /// Counts up within a boot.
    pub sequence: u64,
    /// Windows of equal stream are cumulative: the later one contains the earlier one.
    pub stream: u64,
    /// Errors by code so far, kept outside the payload for merging.
    pub errors: Counts,
    /// An encoded [`Request`].
    pub payload: Vec<u8>,
}

impl Metrics {
    /// Starts counting at `now` (nanoseconds since 1970).
    pub fn new(source: Source, release: Option<Release>, now: u64) -> Self {
        Self {
            source,
            release,
            start: now,
            sequence: 0,
            latency: Histogram::default(),
            nan: 0,
            errors: Counts::new(),
            updates: Counts::new(),
        }
    }

    /// An inference that took `seconds` and gave an answer.
    pub fn inference(&mut self, seconds: f64) {
        self.latency.record(seconds);
    }

    /// An inference whose answer contained NaN.
    pub fn nan(&mut self) {
        self.nan += 1;
    }

    /// An error, by a short code of few kinds.
    pub fn error(&mut self, code: &str) {
        *self.errors.entry(code.to_owned()).or_default() += 1;
    }

    /// An update that ended as `outcome`.
    pub fn update(&mut self, outcome: &str) {
        *self.updates.entry(outcome.to_owned()).or_default() += 1;
    }

    /// The bundle that the counts are about.
    pub fn release(&self) -> Option<&Release> {
        self.release.as_ref()
    }

    /// Inferences answered.
    pub fn inferences(&self) -> u64 {
        self.latency.count()
    }

    /// Errors of all codes.
    pub fn errors(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Answers with NaN.
    pub fn nans(&self) -> u64 {
        self.nan
    }

    /// Closes the stream of the bundle so far and begins that of `release`, at `now`. Counts start again;
    /// take a [`Metrics::window`] first.
    pub fn switch(&mut self, release: Option<Release>, now: u64) {
        let sequence = self.sequence;
        *self = Self::new(self.source.clone(), release, now);
        self.sequence = sequence;
    }

    /// The counts up to `now` as an OTLP request. `merged` are errors of windows that had to be dropped.
    pub fn window(&mut self, now: u64, merged: &Counts) -> Window {
        self.sequence += 1;
        let digest = self.release.as_ref().map(|release| release.digest);
        let stream = format!("{} {} {digest:?} {}", self.source.component, self.source.boot, self.start);
        let hash = Digest::of(stream.as_bytes()).0;
        let request = Request {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(Resource { attributes: self.attributes() }),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(Scope {
                        name: env!("CARGO_PKG_NAME").to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                    }),
                    metrics: self.metrics(now, merged),
                }],
            }],
        };
        Window {
            boot: self.source.boot,
            sequence: self.sequence,
            stream: hash.iter().take(8).fold(0, |word, &byte| word << 8 | u64::from(byte)),
            errors: self.errors.clone(),
            payload: request.encode_to_vec(),
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let source = &self.source;
        let mut attributes = vec![
            KeyValue::text("service.name", "samara"),
            KeyValue::text("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::text("service.instance.id", format!("{}/{}", source.device_id, source.component)),
            KeyValue::text("device.id", &source.device_id),
            KeyValue::text("samara.device.class", &source.class),
            KeyValue::text("samara.component", &source.component),
            KeyValue::int("samara.boot", source.boot),
        ];
        if let Some(release) = &self.release {
            attributes.push(KeyValue::text("samara.model.name", &release.name));
            attributes.push(KeyValue::text("samara.model.version", release.version.to_string()));
            attributes.push(KeyValue::text("samara.bundle.digest", release.digest.to_string()));
        }
        attributes
    }

    fn metrics(&self, now: u64, merged: &Counts) -> Vec<Metric> {
        let point = |value: u64, attributes| NumberDataPoint {
            start_time_unix_nano: self.start,
            time_unix_nano: now,
            as_int: Some(i64::try_from(value).unwrap_or(i64::MAX)),
            attributes,
        };
        let counter = |name: &str, description: &str, unit: &str, data_points| Metric {
            name: name.to_owned(),
            description: description.to_owned(),
            unit: unit.to_owned(),
            data: Some(Data::Sum(Sum {
                data_points,
                aggregation_temporality: CUMULATIVE,
                is_monotonic: true,
            })),
        };
        let by = |key: &str, counts: &Counts| -> Vec<_> {
            counts.iter().map(|(name, &count)| point(count, vec![KeyValue::text(key, name)])).collect()
        };
        let mut metrics = vec![
            counter(
                "samara.inference.count",
                "Inferences answered",
                "{inference}",
                vec![point(self.inferences(), Vec::new())],
            ),
            counter(
                "samara.inference.nan",
                "Answers with NaN",
                "{inference}",
                vec![point(self.nan, Vec::new())],
            ),
            self.duration(now),
            Metric {
                name: "samara.telemetry.sequence".to_owned(),
                description: "Number of this window within its boot".to_owned(),
                unit: "1".to_owned(),
                data: Some(Data::Gauge(Gauge { data_points: vec![point(self.sequence, Vec::new())] })),
            },
        ];
        // A counter without data points would be no metric at all.
        for (name, description, unit, key, counts) in [
            ("samara.errors", "Errors by code", "{error}", "error.code", &self.errors),
            ("samara.updates", "Updates by outcome", "{update}", "samara.update.outcome", &self.updates),
            (
                "samara.errors.merged",
                "Errors of windows dropped for the quota",
                "{error}",
                "error.code",
                merged,
            ),
        ] {
            if !counts.is_empty() {
                metrics.push(counter(name, description, unit, by(key, counts)));
            }
        }
        metrics
    }

    fn duration(&self, now: u64) -> Metric {
        let (offset, counts) = self.latency.buckets();
        let range = self.latency.range();
        let point = ExponentialHistogramDataPoint {
            attributes: Vec::new(),
            start_time_unix_nano: self.start,
            time_unix_nano: now,
            count: self.latency.count(),
            sum: Some(self.latency.sum()),
            scale: self.latency.scale(),
            zero_count: self.latency.zeros(),
            positive: Some(Buckets { offset, bucket_counts: counts.collect() }),
            min: range.map(|range| range.0),
            max: range.map(|range| range.1),
        };
        Metric {
            name: "samara.inference.duration".to_owned(),
            description: "Time from decoded request to computed answer".to_owned(),
            unit: "s".to_owned(),
            data: Some(Data::ExponentialHistogram(ExponentialHistogram {
                data_points: vec![point],
                aggregation_temporality: CUMULATIVE,
            })),
        }
    }
}
