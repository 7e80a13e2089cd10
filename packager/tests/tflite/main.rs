//! The TFLite importer against real models, models built here, and damaged ones.

mod build;
mod faults;
mod golden;
mod models;
mod operators;
