//! ONNX files: what the exporter writes and the evaluation reads back.

mod build;
pub mod proto;
mod weights;

pub use build::{Array, BatchNormalization, Convolution, GraphBuilder};
pub use weights::Weights;
