//! Pulls Samara bundles in the field, keeps the device safe, reports what it sees.
//!
//! ```text
//! update      the state machine: events in, actions out, no I/O
//! agent       the driver that carries the actions out
//! store       A/B slots, content-addressed objects, journal; every write passes through `store::Disk`
//! tuf, http   where updates come from
//! bundle      verification and self-test by the runtime
//! serve       inference over loopback HTTP, Open Inference Protocol v2
//! health      what a server tells the agent about a bundle on probation
//! telemetry   counts, store and forward, OTLP
//! config      agent.toml
//! ```

pub mod agent;
pub mod bundle;
pub mod config;
pub mod health;
pub mod http;
pub mod model;
pub mod repository;
pub mod serve;
pub mod store;
pub mod telemetry;
pub mod tuf;
pub mod types;
pub mod update;
