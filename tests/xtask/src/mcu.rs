//! What a model costs on a Cortex-M: packed and built for it, run in the emulator, every instruction counted.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::command;
use crate::devices::missing;
use crate::elf::Elf;
use crate::firmware::Firmware;
use crate::models;
use crate::qemu::{self, Machine};

/// The cores that are measured.
pub(crate) const CORES: [Machine; 5] = [qemu::M4, qemu::M7, qemu::M33, qemu::M55, qemu::M0_ON_M3];

/// The models that are measured, and MLPerf Tiny's file of each; the project's own has none.
pub(crate) const MODELS: [(&str, Option<&str>); 5] = [
    ("vibration", None),
    ("ic", Some("ic_resnet8_int8.tflite")),
    ("kws", Some("kws_dscnn_int8.tflite")),
    ("vww", Some("vww_mobilenet_int8.tflite")),
    ("ad", Some("ad_autoencoder_int8.tflite")),
];

/// Names of [`MODELS`] packed otherwise: the model's own name, and what `pack` is told.
const VARIANTS: [(&str, &str, &[&str]); 1] = [("vww-36000", "vww", &["--ram", "36000"])];

/// What can be measured.
pub(crate) const NAMES: [&str; MODELS.len() + VARIANTS.len()] = {
    let mut names = [""; MODELS.len() + VARIANTS.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = if i < MODELS.len() { MODELS[i].0 } else { VARIANTS[i - MODELS.len()].0 };
        i += 1;
    }
    names
};

/// The target whose bundles hold what every processor's reference kernels read.
pub(crate) const REFERENCE: &str = "portable";

/// Some of [`CORES`] and [`NAMES`]; all where none is named.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Selection {
    /// Only these models, such as `kws,ad`.
    #[arg(long, value_delimiter = ',', value_parser = NAMES)]
    model: Vec<String>,
    /// Only these cores, such as `cortex-m4`.
    #[arg(long, value_delimiter = ',', value_parser = CORES.map(|m| m.core))]
    core: Vec<String>,
}

impl Selection {
    /// What the test command measures: the core that promises are made for.
    pub(crate) fn promised() -> Self {
        Selection { model: Vec::new(), core: vec!["cortex-m4".to_owned()] }
    }

    /// The chosen cores.
    pub(crate) fn cores(&self) -> impl Iterator<Item = Machine> {
        CORES.into_iter().filter(|m| self.core.is_empty() || self.core.iter().any(|c| c == m.core))
    }

    /// The chosen models' names.
    pub(crate) fn models(&self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().filter(|name| self.model.is_empty() || self.model.iter().any(|m| m == name))
    }
}

/// Executed instructions; a load of several registers is one load of as many words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) instructions: u64,
    pub(crate) loads: u64,
    pub(crate) load_words: u64,
    pub(crate) stores: u64,
    pub(crate) store_words: u64,
}

/// One step of the plan.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) kernel: String,
    pub(crate) macs: u64,
    pub(crate) counts: Counts,
}

/// One model on one core.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    /// Of one run, from the first instruction of `Run::run` to its last.
    pub(crate) counts: Counts,
    pub(crate) macs: u64,
    pub(crate) arena: u64,
    /// Load and run, as painting shows.
    pub(crate) stack: u64,
    /// Runtime and kernels: the firmware without the bundle and without the same harness around nothing.
    pub(crate) flash: u64,
    /// With the marks around each, which cost a few instructions; empty unless asked for.
    pub(crate) steps: Vec<Step>,
}

/// The command, the counter and a place for their files.
pub(crate) struct Bench {
    dir: TempDir,
    samara: PathBuf,
    plugin: PathBuf,
}

impl Bench {
    /// Builds what every measurement needs.
    pub(crate) fn new() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let plugin = dir.path().join("roi.so");
        let source = command::root().join("tests/xtask/roi.c");
        let flags = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o"];
        command::read(Command::new("cc").args(flags).arg(&plugin).arg(source))?;
        Ok(Bench { samara: models::samara()?, plugin, dir })
    }

    /// Why a core cannot be measured here.
    pub(crate) fn missing(machine: Machine) -> Option<String> {
        missing(machine.target, &[qemu::SYSTEM, "cc"])
    }

    /// Packs one of [`NAMES`] for a target; `None` where its file is not on this machine.
    pub(crate) fn pack(&self, model: &str, target: &str) -> Result<Option<PathBuf>> {
        let variant = VARIANTS.iter().find(|(name, ..)| *name == model);
        let (own, options) = variant.map_or((model, &[][..]), |&(_, own, options)| (own, options));
        let &(name, file) = MODELS
            .iter()
            .find(|(name, _)| *name == own)
            .with_context(|| format!("no model is called '{model}'"))?;
        let bundle = self.dir.path().join(format!("{model}-{target}.samara"));
        let mut pack = Command::new(&self.samara);
        pack.arg("pack");
        match (file, command::shared()) {
            (Some(file), Some(shared)) => pack.arg(shared.join("models/mlperf-tiny").join(file)),
            (Some(_), None) => return Ok(None),
            (None, _) => {
                let folder = command::root().join("models").join(name);
                pack.arg(folder.join("model.onnx")).arg("--calibrate").arg(folder.join("calibrate.npz"))
            }
        };
        pack.args(["--name", name, "--target", target]).args(options).arg("-o").arg(&bundle);
        command::read(&mut pack)?;
        Ok(Some(bundle))
    }

    /// Builds and runs a bundle on a core; step by step as well where `operators` says so.
    pub(crate) fn cost(&self, bundle: &Path, machine: Machine, operators: bool) -> Result<Cost> {
        let flash = |features| -> Result<u64> {
            let firmware = Firmware { bundle: Some(bundle), ..Firmware::bare(machine, features) };
            Elf::read(&firmware.build()?)?.flash_bytes()
        };
        let (whole, harness) = (flash(&[])?, flash(&["list-none"])?);
        let reporting = Firmware::reporting(machine, bundle).build()?;
        let (text, lines) = self.count(&reporting, machine, operators)?;
        let line = text.lines().next().context("the firmware printed nothing")?;
        let mut lines = lines.into_iter();
        let counts = lines.next().context("the plugin wrote no count")?;
        let steps: Vec<_> = text.lines().filter_map(step).zip(lines).collect();
        ensure!(
            !operators || steps.len() as u64 == number(line, ": ")?,
            "the firmware has other steps than it says"
        );
        Ok(Cost {
            counts,
            macs: number(line, "steps, ")?,
            arena: number(line, "arena ")?,
            stack: number(line, "stack ")?,
            flash: whole.saturating_sub(harness),
            steps: steps.into_iter().map(|((kernel, macs), counts)| Step { kernel, macs, counts }).collect(),
        })
    }

    /// Runs the reporting firmware; what it printed, and the plugin's lines.
    fn count(&self, elf: &Path, machine: Machine, operators: bool) -> Result<(String, Vec<Counts>)> {
        let out = self.dir.path().join("counts.txt");
        let file = Elf::read(elf)?;
        let mut plugin = self.plugin.to_string_lossy().into_owned();
        let marks: &[(&str, &str)] =
            &[("begin", "roi_begin"), ("end", "roi_end"), ("from", "step_begin"), ("to", "step_end")];
        for (argument, function) in &marks[..if operators { 4 } else { 2 }] {
            plugin += &format!(",{argument}={:#x}", file.function(function)?.address);
        }
        plugin += &format!(",out={}", out.to_string_lossy());
        let arguments: &[&str] = if operators { &["--steps"] } else { &[] };
        let printed = qemu::run(machine, elf, self.dir.path(), arguments, Some(&plugin))?;
        let text = std::fs::read_to_string(&out).context("the plugin wrote no count")?;
        Ok((printed, text.lines().map(counts).collect::<Result<_>>()?))
    }
}

/// One line of the plugin.
fn counts(line: &str) -> Result<Counts> {
    let numbers: Result<Vec<u64>, _> = line.split(' ').map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[instructions, loads, load_words, stores, store_words]) => {
            Ok(Counts { instructions, loads, load_words, stores, store_words })
        }
        _ => anyhow::bail!("the plugin wrote '{line}'"),
    }
}

/// Kernel and multiply-accumulates of a line `step N KERNEL MACS`.
fn step(line: &str) -> Option<(String, u64)> {
    let mut words = line.strip_prefix("step ")?.split(' ').skip(1);
    let (kernel, macs) = (words.next()?, words.next()?);
    Some((kernel.to_owned(), macs.parse().ok()?))
}

/// The number after a word of the firmware's first line.
fn number(line: &str, before: &str) -> Result<u64> {
    let digits = line.split_once(before).map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
    digits.and_then(|d| d.parse().ok()).with_context(|| format!("no number after '{before}' in '{line}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_firmwares_and_the_plugins_lines_are_read() {
        let line = "kws 1: 12 steps, 2664844 MACs, arena 8640 bytes, stack 2036 bytes";
        let read = |before| number(line, before).unwrap();
        assert_eq!((read(": "), read("steps, "), read("arena "), read("stack ")), (12, 2664844, 8640, 2036));
        assert_eq!(step("step 3 reference_lut 64"), Some(("reference_lut".to_owned(), 64)));
        assert_eq!(step("step 3 reference_lut output 0 crc32 00"), None);
        assert_eq!(counts("5 2 4 1 1").unwrap().load_words, 4);
        assert!(counts("5 2 4 1").is_err());
    }
}
