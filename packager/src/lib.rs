//! Quantizes, plans and signs models into Samara bundles.
//!
//! `import -> ir -> passes -> quantize -> lower -> plan -> bundle -> sign`; a stage never imports a later one.

pub mod bundle;
pub mod cli;
pub mod compare;
pub mod data;
pub mod error;
pub mod evaluate;
pub mod files;
pub mod import;
pub mod interpret;
pub mod ir;
pub mod lower;
pub mod passes;
pub mod pipeline;
pub mod plan;
pub mod quantize;
pub mod report;
pub mod repository;
pub mod search;
pub mod sign;
pub mod target;

pub use error::{Error, Result};
