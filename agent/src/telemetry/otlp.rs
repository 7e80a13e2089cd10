//! The messages of OTLP/HTTP metrics that the agent sends, with the field numbers of opentelemetry-proto 1.x
//! (`collector/metrics/v1`, `metrics/v1`, `resource/v1`, `common/v1`). Fields never sent are left out.

/// `ExportMetricsServiceRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// One per resource.
    #[prost(message, repeated, tag = "1")]
    pub resource_metrics: Vec<ResourceMetrics>,
}

/// `ExportMetricsServiceResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Response {
    /// Present when the receiver dropped something.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// `ExportMetricsPartialSuccess`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PartialSuccess {
    /// Data points dropped.
    #[prost(int64, tag = "1")]
    pub rejected_data_points: i64,
    /// Why.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// `ResourceMetrics`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ResourceMetrics {
    /// What the metrics are about.
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    /// One per instrumentation scope.
    #[prost(message, repeated, tag = "2")]
    pub scope_metrics: Vec<ScopeMetrics>,
}

/// `Resource`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Resource {
    /// Its identity.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

/// `ScopeMetrics`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ScopeMetrics {
    /// What measured.
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    /// What was measured.
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
}

/// `InstrumentationScope`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Scope {
    /// Library name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Library version.
    #[prost(string, tag = "2")]
    pub version: String,
}

/// `Metric`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metric {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// In words.
    #[prost(string, tag = "2")]
    pub description: String,
    /// UCUM unit.
    #[prost(string, tag = "3")]
    pub unit: String,
    /// Data points.
    #[prost(oneof = "Data", tags = "5, 7, 10")]
    pub data: Option<Data>,
}

/// The kinds of `Metric.data` that are sent.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Data {
    /// A current value.
    #[prost(message, tag = "5")]
    Gauge(Gauge),
    /// A counter.
    #[prost(message, tag = "7")]
    Sum(Sum),
    /// A distribution.
    #[prost(message, tag = "10")]
    ExponentialHistogram(ExponentialHistogram),
}

/// `Gauge`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Gauge {
    /// One per attribute set.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberDataPoint>,
}

/// `Sum`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Sum {
    /// One per attribute set.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberDataPoint>,
    /// [`CUMULATIVE`].
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
    /// Whether it only grows.
    #[prost(bool, tag = "3")]
    pub is_monotonic: bool,
}

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`: values since `start_time_unix_nano`.
pub const CUMULATIVE: i32 = 2;

/// `NumberDataPoint` with an integer value.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NumberDataPoint {
    /// Start of the stream.
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    /// End of the window.
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    /// The value; a member of a oneof, so it is sent even when 0.
    #[prost(sfixed64, optional, tag = "6")]
    pub as_int: Option<i64>,
    /// Attributes.
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
}

/// `ExponentialHistogram`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExponentialHistogram {
    /// One per attribute set.
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<ExponentialHistogramDataPoint>,
    /// [`CUMULATIVE`].
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
}

/// `ExponentialHistogramDataPoint`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ExponentialHistogramDataPoint {
    /// Attributes.
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
    /// Start of the stream.
    #[prost(fixed64, tag = "2")]
    pub start_time_unix_nano: u64,
    /// End of the window.
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    /// Values.
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    /// Their sum.
    #[prost(double, optional, tag = "5")]
    pub sum: Option<f64>,
    /// Resolution.
    #[prost(sint32, tag = "6")]
    pub scale: i32,
    /// Values that are zero.
    #[prost(fixed64, tag = "7")]
    pub zero_count: u64,
    /// Values above zero.
    #[prost(message, optional, tag = "8")]
    pub positive: Option<Buckets>,
    /// Smallest value.
    #[prost(double, optional, tag = "12")]
    pub min: Option<f64>,
    /// Largest value.
    #[prost(double, optional, tag = "13")]
    pub max: Option<f64>,
}

/// `ExponentialHistogramDataPoint.Buckets`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Buckets {
    /// Index of the first.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// Counts.
    #[prost(uint64, repeated, tag = "2")]
    pub bucket_counts: Vec<u64>,
}

/// `KeyValue`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct KeyValue {
    /// Name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Value.
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

/// `AnyValue`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AnyValue {
    /// One of the kinds that are sent.
    #[prost(oneof = "Value", tags = "1, 3")]
    pub value: Option<Value>,
}

/// The kinds of `AnyValue.value` that are sent.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Value {
    /// Text.
    #[prost(string, tag = "1")]
    String(String),
    /// A number.
    #[prost(int64, tag = "3")]
    Int(i64),
}

impl KeyValue {
    /// A text attribute.
    pub fn text(key: &str, value: impl Into<String>) -> Self {
        Self { key: key.to_owned(), value: Some(AnyValue { value: Some(Value::String(value.into())) }) }
    }

    /// An integer attribute.
    pub fn int(key: &str, value: u64) -> Self {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        Self { key: key.to_owned(), value: Some(AnyValue { value: Some(Value::Int(value)) }) }
    }
}
