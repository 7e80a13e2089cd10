//! ONNX files: what the exporter writes and the evaluation reads back.

mod build;
pub mod proto;
mod quantized;
mod weights;

pub use build::{Array, BatchNormalization, Convolution, GraphBuilder};
pub use quantized::{Grid, Levels};
pub use weights::Weights;
