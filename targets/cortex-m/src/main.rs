//! Runs the bundle in flash on a Cortex-M machine and reports over semihosting.
//!
//! Without arguments: one measured run, the self-test, every golden vector's outputs. With `INPUTS OUTPUTS`
//! (files on the host): runs every sample of INPUTS, which holds each sample's inputs one after another as
//! little-endian bytes, and writes OUTPUTS likewise. With a third file: every step's outputs of the first
//! sample go there. With `--steps`: the first golden vector step by step, for `cargo xtask bench-mcu --operators`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod firmware;
#[cfg(target_os = "none")]
mod host;
#[cfg(target_os = "none")]
mod stack;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("samara-cortex-m: this is firmware; build it with --target thumbv7em-none-eabihf");
    std::process::exit(2);
}
