//! The model as a graph of tensors and nodes, between import and planning.
//!
//! Spatial operators are NHWC and weights OHWI, as the runtime has them. A graph is topologically ordered:
//! a node comes after the nodes that make its inputs. Quantization parameters sit on the tensors, so a float
//! graph and a quantized one are the same type; [`Graph::numeric`] says how integer steps round.

mod edit;
mod graph;
mod op;
pub mod permute;

pub use graph::{Graph, Node, Numeric, Quant, Tensor, TensorId};
pub use op::{Activation, Binary, Function, NearestMode, Op, PoolKind, ReduceKind, Sampling};
