//! `cargo xtask bench-aarch64`: exact executed instructions per inference on emulated 64-bit Arm, beside LiteRT's where
//! it can be run.
//!
//! LiteRT runs in an emulated Python. `SAMARA_LITERT_AARCH64` names a folder with `sysroot`, Debian's arm64 packages of
//! python3.11-minimal, its standard library and what they need, unpacked; and `site`, the aarch64 wheels of
//! ai-edge-litert and its requirements, unpacked. Its `sysroot/proc/cpuinfo` is written here: the emulator would show
//! this machine's, in which LiteRT finds no Arm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use crate::cargo::{self, MESSAGES};
use crate::command;
use crate::devices::missing;
use crate::mcu::MODELS;
use crate::models;
use crate::qemu::{LINUX, Linux};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A JSON array on stdout.
    #[arg(long)]
    json: bool,
    /// Only these models, such as `kws,ad`.
    #[arg(long, value_delimiter = ',', value_parser = MODELS.map(|(name, _)| name))]
    model: Vec<String>,
}

/// A processor as the emulator calls it, with what Linux would say of it.
struct Cpu {
    name: &'static str,
    part: &'static str,
    features: &'static str,
}

/// With everything, without vectors wider than 128 bits, with dot products, with NEON alone.
const CPUS: [Cpu; 4] = [
    Cpu {
        name: "max",
        part: "0xd4f",
        features: "asimd asimdrdm asimddp i8mm bf16 sve sve2 atomics fphp asimdhp",
    },
    Cpu {
        name: "max,sve=off,sme=off",
        part: "0xd4f",
        features: "asimd asimdrdm asimddp i8mm bf16 atomics fphp asimdhp",
    },
    Cpu { name: "cortex-a76", part: "0xd0b", features: "asimd asimdrdm asimddp atomics fphp asimdhp" },
    Cpu { name: "cortex-a53", part: "0xd03", features: "asimd" },
];

/// Lengths of two runs of a program, whose difference is the inferences alone.
const RUNS: [u64; 2] = [2, 12];

/// Prints one row per processor and model; what cannot be run here is named.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let linux = LINUX[0];
    if let Some(why) = missing(linux.target, &[linux.emulator, linux.linker, "cc"]) {
        anyhow::bail!("{why}; `cargo xtask setup` installs it where it may");
    }
    let dir = tempfile::tempdir()?;
    let plugin = dir.path().join("total.so");
    let source = command::root().join("tests/xtask/total.c");
    let flags = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"];
    command::read(Command::new("cc").args(flags).arg(&plugin).arg(source))?;
    let (samara, runner) = (models::samara()?, runner(linux)?);
    let count = |cpu: &Cpu, sysroot: &Path, program: &mut dyn FnMut(&mut Command, u64)| -> Result<u64> {
        let out = dir.path().join("count.txt");
        let mut counts = [0u64; 2];
        for (count, runs) in counts.iter_mut().zip(RUNS) {
            let mut emulator = Command::new(linux.emulator);
            emulator.args(["-cpu", cpu.name, "-L"]).arg(sysroot);
            let plugin = format!("{},out={}", plugin.to_string_lossy(), out.to_string_lossy());
            emulator.args(["-plugin", &plugin]);
            program(&mut emulator, runs);
            command::read(&mut emulator)?;
            let text = fs::read_to_string(&out).context("the plugin wrote no count")?;
            *count = text.trim().parse().with_context(|| format!("the plugin wrote '{text}'"))?;
        }
        Ok((counts[1] - counts[0]) / (RUNS[1] - RUNS[0]))
    };
    let litert = std::env::var_os("SAMARA_LITERT_AARCH64").map(PathBuf::from);
    if litert.is_none() {
        eprintln!("SKIPPED LiteRT: SAMARA_LITERT_AARCH64 is not set");
    }
    let Some(shared) = command::shared() else {
        eprintln!("SKIPPED MLPerf Tiny models: ../shared is not there");
        return Ok(true);
    };
    let mut rows = Vec::new();
    eprintln!("{:<8} {:<20} {:>12} {:>12} {:>6}", "model", "processor", "instructions", "LiteRT", "ratio");
    for (name, file) in MODELS {
        let Some(file) = file.filter(|_| args.model.is_empty() || args.model.iter().any(|m| m == name))
        else {
            continue;
        };
        let model = shared.join("models/mlperf-tiny").join(file);
        let bundle = dir.path().join(format!("{name}.samara"));
        let mut pack = Command::new(&samara);
        command::read(
            pack.arg("pack").arg(&model).args(["--name", name, "--target", linux.name, "-o"]).arg(&bundle),
        )?;
        for cpu in &CPUS {
            let ours = count(cpu, Path::new(linux.sysroot), &mut |emulator, runs| {
                emulator.arg(&runner).arg(&bundle).args(["--runs", &runs.to_string()]);
            })?;
            let theirs = match &litert {
                Some(folder) => {
                    describe(cpu, &folder.join("sysroot"))?;
                    Some(count(cpu, &folder.join("sysroot"), &mut |emulator, runs| {
                        emulator
                            .arg("-E")
                            .arg(format!("PYTHONPATH={}", folder.join("site").to_string_lossy()));
                        emulator
                            .args(["-E", "PYTHONHASHSEED=0"])
                            .arg(folder.join("sysroot/usr/bin/python3.11"));
                        emulator.arg(command::root().join("tests/xtask/litert.py")).arg(&model);
                        emulator.arg(runs.to_string());
                    })?)
                }
                None => None,
            };
            let ratio = theirs.map(|t| ours as f64 / t as f64);
            eprintln!(
                "{name:<8} {:<20} {ours:>12} {:>12} {:>6}",
                cpu.name,
                theirs.map_or("-".to_owned(), |t| t.to_string()),
                ratio.map_or("-".to_owned(), |r| format!("{r:.2}"))
            );
            rows.push(json!({ "model": name, "cpu": cpu.name, "instructions": ours, "litert": theirs }));
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    }
    Ok(true)
}

/// Builds targets/linux-arm as it would be shipped.
fn runner(linux: Linux) -> Result<PathBuf> {
    let mut build = cargo::cargo();
    build.args(["build", "--quiet", "--locked", "--release", "-p", "samara-linux-arm", MESSAGES]);
    build.args(["--target", linux.target]).env(linux.linker_variable(), linux.linker);
    cargo::executable(&mut build, "samara-linux-arm")
}

/// Writes what a program reads of its processor.
fn describe(cpu: &Cpu, sysroot: &Path) -> Result<()> {
    let folder = sysroot.join("proc");
    fs::create_dir_all(&folder)?;
    let text = format!(
        "processor\t: 0\nFeatures\t: fp {}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n\
         CPU part\t: {}\nCPU revision\t: 0\n\n",
        cpu.features, cpu.part
    );
    fs::write(folder.join("cpuinfo"), text).with_context(|| folder.display().to_string())
}
