//! Trains Samara's own models and exports them to ONNX.
//!
//! The data are simulated from a seed; the networks are trained with burn (feature `train`). What is
//! committed beside the sources — model, calibration and evaluation data, model card — comes from the
//! `samara-models` command. [`model::ALL`] lists the models.

pub mod anomaly;
pub mod card;
pub mod data;
pub mod evaluation;
pub mod glyphs;
pub mod mobile;
pub mod model;
pub mod npz;
pub mod onnx;
pub mod output;
pub mod random;
pub mod roc;
pub mod spectrum;
#[cfg(feature = "train")]
pub mod train;
pub mod vibration;
