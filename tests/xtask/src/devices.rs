//! The same bits everywhere: each model on each device against outputs known from elsewhere, or against the
//! reference kernels of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, MESSAGES};
use crate::command::{self, exists};
use crate::firmware::Firmware;
use crate::models::{self, Model};
use crate::qemu::{self, Linux, Machine};
use crate::tally::Tally;

/// Where a bundle can run.
enum Device {
    /// This machine, fastest kernels or plain loops.
    Host {
        runner: PathBuf,
        reference: bool,
    },
    Linux {
        linux: Linux,
        runner: PathBuf,
    },
    Firmware(Machine),
}

/// What a device computed.
struct Computed {
    output: Vec<u8>,
    layers: Vec<u8>,
}

/// Every model on every device that this machine has.
pub(crate) fn run() -> Result<Tally> {
    let mut tally = Tally::default();
    let dir = tempfile::tempdir()?;
    let samara = models::samara()?;
    let devices = devices(&mut tally)?;
    let own = models::SCHEMES.into_iter().map(|s| models::own(&samara, dir.path(), s));
    let mut models = own.collect::<Result<Vec<_>>>()?;
    match command::shared() {
        Some(shared) => models.extend(models::mlperf_tiny(&samara, &shared, dir.path())?),
        None => tally.skip("MLPerf Tiny models on all devices: ../shared is not there"),
    }
    for model in &models {
        let steps = models::steps(&model.bundle("portable")?)?;
        let reference = match &devices[0].1 {
            device @ Device::Host { .. } => device.compute(model, dir.path())?,
            _ => anyhow::bail!("the first device is this machine's reference"),
        };
        for (name, device) in &devices {
            let what = format!("{} on {name}", model.name);
            let result = device.compute(model, dir.path()).and_then(|computed| match &model.expected {
                Some(expected) => {
                    same("outputs", &computed.output, &expected.output)?;
                    layers(&steps, &computed.layers, &expected.layers)
                }
                None if model.is_float => near("outputs", &computed.output, &reference.output),
                None => {
                    same("outputs", &computed.output, &reference.output)?;
                    same("layers", &computed.layers, &reference.layers)
                }
            });
            tally.record(&what, result);
        }
    }
    expected_output(&mut tally, &models[0], dir.path())?;
    Ok(tally)
}

fn devices(tally: &mut Tally) -> Result<Vec<(String, Device)>> {
    let runner = runner(None)?;
    let mut devices = vec![
        (
            "this machine, reference kernels".to_owned(),
            Device::Host { runner: runner.clone(), reference: true },
        ),
        ("this machine, fastest kernels".to_owned(), Device::Host { runner, reference: false }),
    ];
    for linux in qemu::LINUX {
        match missing(linux.target, &[linux.emulator, linux.linker]) {
            None => {
                let runner = self::runner(Some(linux))?;
                devices.push((linux.name.to_owned(), Device::Linux { linux, runner }));
            }
            Some(why) => tally.skip(format!("{}: {why}", linux.name)),
        }
    }
    for machine in [qemu::M4, qemu::M0_ON_M3, qemu::M55] {
        match missing(machine.target, &[qemu::SYSTEM]) {
            None => {
                let name = format!("{} ({})", machine.target, machine.name);
                devices.push((name, Device::Firmware(machine)));
            }
            Some(why) => tally.skip(format!("{} firmware: {why}", machine.target)),
        }
    }
    Ok(devices)
}

/// Why a device cannot be tried here.
pub(crate) fn missing(target: &str, programs: &[&str]) -> Option<String> {
    if !cargo::has_target(target) {
        return Some(format!("the Rust target {target} is not installed"));
    }
    programs.iter().find(|p| !exists(p)).map(|p| format!("{p} is not installed"))
}

/// Builds targets/linux-arm, for this machine or another.
fn runner(linux: Option<Linux>) -> Result<PathBuf> {
    let mut build = cargo::cargo();
    build.args(["build", "--quiet", "--locked", "-p", "samara-linux-arm", MESSAGES]);
    if let Some(linux) = linux {
        build.args(["--target", linux.target]).env(linux.linker_variable(), linux.linker);
    }
    cargo::executable(&mut build, "samara-linux-arm")
}

impl Device {
    fn compute(&self, model: &Model, dir: &Path) -> Result<Computed> {
        fs::write(dir.join("input.bin"), &model.input)?;
        for stale in ["output.bin", "layers.bin"] {
            if dir.join(stale).exists() {
                fs::remove_file(dir.join(stale))?;
            }
        }
        let files = ["--input", "input.bin", "--output", "output.bin", "--layers", "layers.bin"];
        match self {
            Device::Host { runner, reference } => {
                let mut run = Command::new(runner);
                run.current_dir(dir).arg(model.bundle("host")?).args(files);
                if *reference {
                    run.arg("--reference");
                }
                command::read(&mut run)?;
            }
            Device::Linux { linux, runner } => {
                let mut run = emulated(*linux, runner);
                command::read(run.current_dir(dir).arg(model.bundle(linux.name)?).args(files))?;
            }
            Device::Firmware(machine) => {
                let elf = Firmware::reporting(*machine, &model.bundle(machine.core)?).build()?;
                qemu::run(*machine, &elf, dir, &["input.bin", "output.bin", "layers.bin"], None)?;
            }
        }
        let read = |name: &str| fs::read(dir.join(name)).with_context(|| format!("{name} was not written"));
        Ok(Computed { output: read("output.bin")?, layers: read("layers.bin")? })
    }
}

fn emulated(linux: Linux, runner: &Path) -> Command {
    let mut run = Command::new(linux.emulator);
    run.args(["-L", linux.sysroot]).arg(runner);
    run
}

/// Zero differing bytes.
fn same(what: &str, got: &[u8], want: &[u8]) -> Result<()> {
    ensure!(got.len() == want.len(), "{what}: {} bytes where {} are expected", got.len(), want.len());
    let differing = got.iter().zip(want).filter(|(a, b)| a != b).count();
    ensure!(differing == 0, "{what}: {differing} of {} bytes differ", want.len());
    Ok(())
}

/// Little-endian floats within [`models::TOLERANCE`].
fn near(what: &str, got: &[u8], want: &[u8]) -> Result<()> {
    ensure!(got.len() == want.len(), "{what}: {} bytes where {} are expected", got.len(), want.len());
    let floats = |bytes: &[u8]| -> Vec<f32> { bytemuck::pod_collect_to_vec(bytes) };
    for (i, (g, w)) in floats(got).into_iter().zip(floats(want)).enumerate() {
        let close = (g - w).abs() <= models::TOLERANCE * w.abs().max(1.0);
        ensure!(close, "{what}: element {i} is {g} where {w} is expected");
    }
    Ok(())
}

/// Every layer against the step that computes it. A reshape moves no byte and needs no step of its own.
fn layers(steps: &[(&str, usize)], computed: &[u8], expected: &[(String, Vec<u8>)]) -> Result<()> {
    let mut steps = steps.iter().peekable();
    let mut rest = computed;
    let mut previous: &[u8] = &[];
    for (i, (operator, bytes)) in expected.iter().enumerate() {
        let what = format!("layer {i} ({operator})");
        if operator == "reshape" && steps.peek().is_none_or(|(name, _)| name != operator) {
            same(&what, previous, bytes)?;
            continue;
        }
        let &(name, len) = steps.next().with_context(|| format!("{what}: the plan has no more steps"))?;
        ensure!(name == operator, "{what}: the plan has {name} there");
        (previous, rest) = rest.split_at_checked(len).with_context(|| format!("{what}: not computed"))?;
        same(&what, previous, bytes)?;
    }
    ensure!(steps.next().is_none(), "the plan has more steps than the model has layers");
    Ok(())
}

/// The text beside each target is what its commands print.
fn expected_output(tally: &mut Tally, vibration: &Model, dir: &Path) -> Result<()> {
    for linux in qemu::LINUX {
        if missing(linux.target, &[linux.emulator, linux.linker]).is_some() {
            continue;
        }
        let text = command::read(emulated(linux, &runner(Some(linux))?).arg(vibration.bundle(linux.name)?))?;
        // The first line holds the arena, which depends on the target's kernels.
        let text = text.split_once('\n').map_or("", |(_, rest)| rest);
        compare_text(tally, linux.name, text, "targets/linux-arm/expected.txt")?;
    }
    for machine in [qemu::M4, qemu::M0_ON_M3, qemu::LM3S, qemu::MICROBIT, qemu::M55] {
        if missing(machine.target, &[qemu::SYSTEM]).is_some() {
            continue;
        }
        let bundle = vibration.bundle(machine.core)?;
        let result = Firmware::reporting(machine, &bundle)
            .build()
            .and_then(|elf| qemu::run(machine, &elf, dir, &[], None));
        match result {
            // The first line holds the stack's depth, which depends on the compiler.
            Ok(text) => {
                let text = text.split_once('\n').map_or("", |(_, rest)| rest);
                compare_text(tally, machine.name, text, "targets/cortex-m/expected.txt")?;
            }
            Err(e) => tally.fail(format!("vibration on {}: {e:#}", machine.name)),
        }
    }
    Ok(())
}

fn compare_text(tally: &mut Tally, device: &str, text: &str, file: &str) -> Result<()> {
    let path = command::root().join(file);
    if std::env::var_os("SAMARA_BLESS").is_some() {
        fs::write(&path, text)?;
    }
    let expected = fs::read_to_string(&path).with_context(|| file.to_owned())?;
    let what = format!("{device} prints {file}");
    if text == expected {
        tally.pass(&what);
    } else {
        let line = text.lines().zip(expected.lines()).position(|(a, b)| a != b);
        let line = line.unwrap_or_else(|| text.lines().count().min(expected.lines().count()));
        tally.fail(format!("{what}: line {} differs (SAMARA_BLESS=1 rewrites the file)", line + 1));
    }
    Ok(())
}
