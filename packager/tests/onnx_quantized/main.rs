//! Quantized ONNX operators against their Q/DQ sub-graphs in float64, ties to even.

mod faults;
mod forms;
mod layers;
mod net;
mod operators;
mod proto;
mod real;
mod tally;
