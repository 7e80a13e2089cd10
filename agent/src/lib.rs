//! Pulls Samara bundles in the field, keeps the device safe, reports what it sees.
pub mod agent;
pub mod bundle;
pub mod config;
pub mod http;
pub mod model;
pub mod repository;
pub mod store;
pub mod tuf;
pub mod types;
pub mod update;
