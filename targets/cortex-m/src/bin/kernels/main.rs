//! Every int8 kernel that this processor has against the reference kernel, on random shapes, byte for byte; and
//! copying, filling and comparing of bytes. Exit status 1 where one differs.
#![cfg_attr(target_os = "none", no_std, no_main)]

// For what it gives the linker.
#[cfg(target_os = "none")]
use samara_cortex_m as _;

#[cfg(target_os = "none")]
mod bytes;
#[cfg(target_os = "none")]
mod cases;
#[cfg(target_os = "none")]
mod compare;
#[cfg(target_os = "none")]
mod noise;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("kernels: this is firmware; build it with --target thumbv7em-none-eabihf");
    std::process::exit(2);
}
