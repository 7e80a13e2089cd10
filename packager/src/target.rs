//! Target profiles: what a bundle may be packed for.

use crate::plan::Kernels;

/// A family of processors.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// What `--target` takes.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// The Rust target that its firmware or program is built for.
    pub rust_target: &'static str,
    /// Which kernels, and so which layouts of weights, its plans are made for.
    pub kernels: Kernels,
    /// Floats would be emulated: f32 bundles are refused.
    pub integer_only: bool,
}

const fn profile(
    name: &'static str,
    rust_target: &'static str,
    kernels: Kernels,
    integer_only: bool,
    about: &'static str,
) -> Profile {
    Profile { name, about, rust_target, kernels, integer_only }
}

/// Every profile; the first is the default.
pub const PROFILES: &[Profile] = &[
    profile("host", "x86_64-unknown-linux-gnu", Kernels::HOST, false, "this machine"),
    profile("portable", "", Kernels::Reference, false, "any target; reference layouts only"),
    profile(
        "cortex-m0",
        "thumbv6m-none-eabi",
        Kernels::Folded,
        true,
        "Cortex-M0 and M0+: no divide, no DSP, no FPU",
    ),
    profile("cortex-m3", "thumbv7m-none-eabi", Kernels::Folded, true, "Cortex-M3: no DSP, no FPU"),
    profile(
        "cortex-m4",
        "thumbv7em-none-eabihf",
        Kernels::CortexMDsp,
        false,
        "Cortex-M4F: DSP and single-precision FPU",
    ),
    profile(
        "cortex-m7",
        "thumbv7em-none-eabihf",
        Kernels::CortexMDsp,
        false,
        "Cortex-M7: DSP and FPU, dual issue",
    ),
    profile("cortex-m33", "thumbv8m.main-none-eabihf", Kernels::CortexMDsp, false, "Cortex-M33: DSP and FPU"),
    profile("cortex-m55", "thumbv8m.main-none-eabihf", Kernels::Folded, false, "Cortex-M55: Helium vectors"),
    profile("aarch64", "aarch64-unknown-linux-gnu", Kernels::Signed, false, "64-bit Arm with NEON"),
    profile("armv7", "armv7-unknown-linux-gnueabihf", Kernels::CortexMDsp, false, "32-bit Arm Linux"),
    profile("riscv32", "riscv32imac-unknown-none-elf", Kernels::Folded, true, "RV32IMAC microcontrollers"),
    profile("wasm32", "wasm32-unknown-unknown", Kernels::Signed, false, "browsers and WASI"),
];

/// The profile of this name.
pub fn find(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|p| p.name == name)
}
