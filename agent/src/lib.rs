//! Pulls Samara bundles in the field, keeps the device safe, reports what it sees.
pub mod agent;
pub mod config;
pub mod http;
pub mod model;
pub mod repository;
pub mod store;
pub mod types;
pub mod update;
