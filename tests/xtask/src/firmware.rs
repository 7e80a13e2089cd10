//! Builds of targets/cortex-m.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cargo;
use crate::qemu::{self, Machine};

/// Which of its programs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    /// The one that reports over semihosting.
    Reporting,
    /// Load and run with nothing around them.
    Bare,
    /// Kernels against reference kernels, without a bundle.
    Kernels,
}

/// What to build.
#[derive(Clone, Debug)]
pub(crate) struct Firmware<'a> {
    pub(crate) program: Program,
    /// Target, memory layout and kernels.
    pub(crate) machine: Machine,
    pub(crate) bundle: Option<&'a Path>,
    pub(crate) features: &'a [&'a str],
    /// Arguments for rustc of the last crate.
    pub(crate) rustc: &'a [&'a str],
    /// Profile settings other than those of `firmware`, as `KEY=VALUE`.
    pub(crate) profile: &'a [&'a str],
}

impl<'a> Firmware<'a> {
    /// The reporting firmware for a bundle packed for this machine's core.
    pub(crate) fn reporting(machine: Machine, bundle: &'a Path) -> Self {
        Firmware { program: Program::Reporting, bundle: Some(bundle), ..Firmware::bare(machine, &[]) }
    }

    /// The bare one, without a bundle.
    pub(crate) fn bare(machine: Machine, features: &'a [&'a str]) -> Self {
        Firmware { program: Program::Bare, machine, bundle: None, features, rustc: &[], profile: &[] }
    }

    /// Builds it; the ELF's path.
    pub(crate) fn build(&self) -> Result<PathBuf> {
        let name = match self.program {
            Program::Reporting => "samara-cortex-m",
            Program::Bare => "bare",
            Program::Kernels => "kernels",
        };
        let mut build = cargo::cargo();
        build.args(["rustc", "--quiet", "--locked", "-p", "samara-cortex-m", "--profile", "firmware"]);
        build.args(["--bin", name, "--target", self.machine.target]);
        let features: Vec<&str> = self.machine.kernels.iter().chain(self.features).copied().collect();
        if !features.is_empty() {
            build.args(["--features", &features.join(",")]);
        }
        for setting in self.profile {
            build.args(["--config", &format!("profile.firmware.{setting}")]);
        }
        build.env("SAMARA_MACHINE", self.machine.memory);
        if self.machine.core == qemu::M33.core {
            // The target leaves out the DSP extension, which this core has.
            build.env("CARGO_TARGET_THUMBV8M_MAIN_NONE_EABIHF_RUSTFLAGS", "-C target-cpu=cortex-m33");
        }
        match self.bundle {
            Some(path) => build.env("SAMARA_BUNDLE", path),
            None => build.env_remove("SAMARA_BUNDLE"),
        };
        // Cargo's own arguments end where rustc's begin.
        build.arg(cargo::MESSAGES);
        if !self.rustc.is_empty() {
            build.arg("--").args(self.rustc);
        }
        cargo::executable(&mut build, name)
    }
}
