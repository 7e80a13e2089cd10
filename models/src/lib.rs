//! Trains Samara's own models and exports them to ONNX.
//!
//! The data are simulated from a seed; the networks are trained with burn (feature `train`). What is
//! committed beside the sources — model, calibration and evaluation data, model card — comes from one run
//! of the `samara-models` command.

pub mod evaluation;
pub mod npz;
pub mod onnx;
pub mod output;
pub mod random;
#[cfg(feature = "train")]
pub mod train;
pub mod vibration;
