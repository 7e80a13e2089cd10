//! Emulated machines.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::command;

/// A board with the firmware's target and memory layout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) name: &'static str,
    /// The profile that its bundles are packed for.
    pub(crate) core: &'static str,
    pub(crate) target: &'static str,
    /// Features of the firmware: kernels that the core can run.
    pub(crate) kernels: &'static [&'static str],
    pub(crate) memory: &'static str,
}

/// Cortex-M4F.
pub(crate) const M4: Machine = Machine {
    name: "mps2-an386",
    core: "cortex-m4",
    target: "thumbv7em-none-eabihf",
    kernels: &["dsp"],
    memory: "mps2",
};
/// Cortex-M7, with the Cortex-M4's code.
pub(crate) const M7: Machine = Machine { name: "mps2-an500", core: "cortex-m7", ..M4 };
/// Cortex-M33.
pub(crate) const M33: Machine = Machine {
    name: "mps2-an505",
    core: "cortex-m33",
    target: "thumbv8m.main-none-eabihf",
    kernels: &["dsp"],
    memory: "an505",
};
/// The Cortex-M0 build: no microbit has the RAM for it, a Cortex-M3 runs it unchanged.
pub(crate) const M0_ON_M3: Machine = Machine {
    name: "mps2-an385",
    core: "cortex-m0",
    target: "thumbv6m-none-eabi",
    kernels: &[],
    memory: "mps2",
};
/// A real Cortex-M0 with 16 KiB of RAM, for models that fit.
pub(crate) const MICROBIT: Machine = Machine {
    name: "microbit",
    core: "cortex-m0",
    target: "thumbv6m-none-eabi",
    kernels: &[],
    memory: "microbit",
};
/// Cortex-M3 with 64 KiB.
pub(crate) const LM3S: Machine = Machine {
    name: "lm3s6965evb",
    core: "cortex-m3",
    target: "thumbv7m-none-eabi",
    kernels: &[],
    memory: "lm3s6965evb",
};

/// Cortex-M55 with Helium, its memories tightly coupled: 512 KiB each.
pub(crate) const M55: Machine = Machine {
    name: "mps3-an547",
    core: "cortex-m55",
    target: "thumbv8m.main-none-eabihf",
    kernels: &["mve"],
    memory: "an547",
};

/// The system emulator.
pub(crate) const SYSTEM: &str = "qemu-system-arm";

/// Runs firmware to its end in `dir`, which its host files are relative to; returns what it printed.
pub(crate) fn run(
    machine: Machine,
    elf: &Path,
    dir: &Path,
    arguments: &[&str],
    plugin: Option<&str>,
) -> Result<String> {
    let mut config = "enable=on,target=native".to_owned();
    if !arguments.is_empty() {
        for argument in std::iter::once(&"samara-cortex-m").chain(arguments) {
            config += &format!(",arg={argument}");
        }
    }
    let mut qemu = Command::new(SYSTEM);
    qemu.current_dir(dir)
        .args(["-M", machine.name, "-nographic", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", &config])
        .arg("-kernel")
        .arg(elf);
    if let Some(plugin) = plugin {
        qemu.args(["-plugin", plugin, "-accel", "tcg,thread=single"]);
    }
    command::read(&mut qemu)
}

/// A user-mode emulated Linux.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linux {
    /// Also the profile that its bundles are packed for.
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    pub(crate) emulator: &'static str,
    pub(crate) linker: &'static str,
    /// Where the distribution keeps the target's C library.
    pub(crate) sysroot: &'static str,
}

impl Linux {
    /// The variable that tells cargo its linker.
    pub(crate) fn linker_variable(&self) -> String {
        self.variable("LINKER")
    }

    /// The variable that tells cargo what runs its programs.
    pub(crate) fn runner_variable(&self) -> String {
        self.variable("RUNNER")
    }

    fn variable(&self, what: &str) -> String {
        format!("CARGO_TARGET_{}_{what}", self.target.replace('-', "_").to_uppercase())
    }
}
/// 32-bit Arm, whose cores have the instructions of the DSP extension.
pub(crate) const ARMV7: Linux = Linux {
    name: "armv7",
    target: "armv7-unknown-linux-gnueabihf",
    emulator: "qemu-arm",
    linker: "arm-linux-gnueabihf-gcc",
    sysroot: "/usr/arm-linux-gnueabihf",
};

/// The ones tests run.
pub(crate) const LINUX: [Linux; 2] = [
    Linux {
        name: "aarch64",
        target: "aarch64-unknown-linux-gnu",
        emulator: "qemu-aarch64",
        linker: "aarch64-linux-gnu-gcc",
        sysroot: "/usr/aarch64-linux-gnu",
    },
    ARMV7,
];
