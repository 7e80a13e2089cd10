//! What the device sees, on its way to an OTLP receiver.
//!
//! [`Metrics`] counts in memory; each interval a [`Window`] of cumulative counts goes into the [`Ring`], and the
//! ring empties into `POST endpoint/v1/metrics`. A window that is sent twice is recognised by device,
//! component, boot and sequence: resource attributes and the gauge `samara.telemetry.sequence`, and again in the
//! header `idempotency-key`.

pub mod export;
pub mod histogram;
pub mod metrics;
pub mod otlp;
pub mod ring;

pub use export::{Delivery, Reporter};
pub use histogram::Histogram;
pub use metrics::{Counts, Metrics, Source, Window};
pub use ring::Ring;
