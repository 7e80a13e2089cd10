//! Samara firmware for Cortex-M machines.
fn main() {}
