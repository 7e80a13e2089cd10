//! The test command.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::cargo;
use crate::command;
use crate::tally::Tally;
use crate::{budgets, devices, emulated, kernels, proofs, setup};

/// Set-up, formatting, lints, tests, devices, proofs; whether nothing failed.
pub(crate) fn run() -> Result<bool> {
    setup::run()?;
    let mut tally = Tally::default();
    step("formatting");
    tally.record("cargo fmt --check", command::check(cargo::cargo().args(["fmt", "--all", "--check"])));
    step("lints");
    let others = ["samara-models", "samara-benches", "samara-linux-arm"].map(|p| ["-p", p]);
    for selection in std::iter::once(&[][..]).chain(others.iter().map(|o| &o[..])) {
        let mut clippy = cargo::cargo();
        clippy.args(["clippy", "--quiet", "--locked", "--all-targets"]).args(selection);
        clippy.args(["--", "-D", "warnings"]);
        tally.record(&format!("cargo clippy {}", selection.join(" ")), command::check(&mut clippy));
    }
    step("tests");
    tally.add(tests(&[])?);
    tally.add(tests(&["-p", "samara-models"])?);
    tally.add(tests(&["-p", "samara-benches", "--lib", "--bins"])?);
    for (name, part) in [
        ("the panic-free proof", proofs::panic_free as fn() -> Result<Tally>),
        ("symbols of a two-operator firmware", proofs::symbols),
        ("budgets on microcontrollers", || budgets::run(&budgets::Args::promised())),
        ("kernels of devices", kernels::run),
        ("kernels on emulated processors", emulated::run),
        ("devices", devices::run),
    ] {
        step(name);
        match part() {
            Ok(counts) => tally.add(counts),
            Err(e) => tally.fail(format!("{name}: {e:#}")),
        }
    }
    Ok(tally.print())
}

fn step(name: &str) {
    eprintln!("== {name}");
}

/// `cargo test`, shown as it runs and counted by what each harness prints.
fn tests(selection: &[&str]) -> Result<Tally> {
    let mut test = cargo::cargo();
    test.args(["test", "--locked", "--no-fail-fast"]).args(selection).args(["--", "--show-output"]);
    let python = setup::python_path();
    test.env("SAMARA_PYTHON", &python).stdout(Stdio::piped());
    if let (Some(own), Some(path)) = (python.parent().filter(|p| p.is_absolute()), std::env::var_os("PATH")) {
        let paths = std::iter::once(own.to_owned()).chain(std::env::split_paths(&path));
        test.env("PATH", std::env::join_paths(paths)?);
    }
    let mut child = test.spawn().with_context(|| command::shown(&test))?;
    let mut count = Count::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            println!("{line}");
            count.line(&line);
        }
    }
    let status = child.wait()?;
    let mut tally = count.tally;
    if !status.success() && tally.failed.is_empty() {
        tally.fail(format!("{} ended with {status}", command::shown(&test)));
    }
    Ok(tally)
}

/// Reads libtest's output. A test that prints a line starting with SKIPPED did not pass: it is counted as skipped.
#[derive(Default)]
struct Count {
    tally: Tally,
    /// The test whose output is being shown has been counted as skipped already.
    is_skipped: bool,
}

impl Count {
    fn line(&mut self, line: &str) {
        if line.starts_with("---- ") {
            self.is_skipped = false;
        } else if let Some(why) = line.strip_prefix("SKIPPED") {
            if !self.is_skipped {
                self.tally.passed = self.tally.passed.saturating_sub(1);
                self.tally.skipped.push(why.trim_start_matches([':', ' ']).to_owned());
            }
            self.is_skipped = true;
        } else if let Some(name) = line.strip_prefix("test ").and_then(|l| l.split_once(" ... ")) {
            match name.1.split([' ', ',']).next() {
                Some("ok") => self.tally.passed += 1,
                Some("FAILED") => self.tally.failed.push(name.0.to_owned()),
                Some("ignored") => self.tally.skipped.push(format!("{} (ignored)", name.0)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_skips_is_not_a_test_that_passes() {
        let mut count = Count::default();
        let output = "running 3 tests\ntest a ... ok\ntest b ... ok\ntest c ... FAILED\n\nsuccesses:\n\n\
                      ---- b stdout ----\nSKIPPED b: no emulator\nSKIPPED b: no models\n\n\
                      test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        output.lines().for_each(|line| count.line(line));
        assert_eq!(count.tally.passed, 1);
        assert_eq!(count.tally.failed, ["c"]);
        assert_eq!(count.tally.skipped, ["b: no emulator"]);
    }
}
