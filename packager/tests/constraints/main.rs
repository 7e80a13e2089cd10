//! The rules for quantization parameters, one fixture each.

mod fixed;
mod groups;
mod net;
mod spans;
