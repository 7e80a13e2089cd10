//! Makes a machine ready for the tests where it may, says exactly what is missing where it may not.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::cargo;
use crate::command::{self, exists};

/// Rust targets of devices.
const TARGETS: [&str; 7] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "aarch64-unknown-linux-gnu",
    "armv7-unknown-linux-gnueabihf",
    "wasm32-wasip1",
];

/// What shows that a Debian package is there: a program on the path, a file, or a Python module.
const PACKAGES: [(&str, &str); 10] = [
    ("qemu-system-arm", "qemu-system-arm"),
    ("qemu-user", "qemu-aarch64"),
    ("qemu-user", "qemu-arm"),
    ("gcc-aarch64-linux-gnu", "aarch64-linux-gnu-gcc"),
    ("gcc-arm-linux-gnueabihf", "arm-linux-gnueabihf-gcc"),
    ("libc6-dev-arm64-cross", "/usr/aarch64-linux-gnu/include/stdio.h"),
    ("libc6-dev-armhf-cross", "/usr/arm-linux-gnueabihf/include/stdio.h"),
    ("nodejs", "node"),
    ("python3", "python3"),
    ("python3-venv", "python:ensurepip"),
];

/// PyPI packages and the module that shows each.
const PYTHON: [(&str, &str); 4] = [
    ("numpy", "numpy"),
    ("onnx", "onnx"),
    ("tuf", "tuf.ngclient"),
    ("opentelemetry-proto", "opentelemetry.proto"),
];

/// Installs what it can; what stays missing is named, and the tests that need it will be skipped and counted.
pub(crate) fn run() -> Result<()> {
    for component in ["rustfmt", "clippy"] {
        if !exists(&format!("cargo-{}", if component == "rustfmt" { "fmt" } else { component })) {
            rustup(&["component", "add", component]);
        }
    }
    let targets: Vec<&str> = TARGETS.into_iter().filter(|t| !cargo::has_target(t)).collect();
    if !targets.is_empty() {
        rustup(&[&["target", "add"], &targets[..]].concat());
    }
    packages();
    python();
    for missing in self::missing() {
        eprintln!("missing: {missing}");
    }
    Ok(())
}

/// What is still not there, in words.
pub(crate) fn missing() -> Vec<String> {
    let targets =
        TARGETS.into_iter().filter(|t| !cargo::has_target(t)).map(|t| format!("rustup target add {t}"));
    let packages = missing_packages().into_iter().map(|p| format!("apt-get install {p}"));
    let python = missing_modules(&python_path()).into_iter().map(|p| format!("pip install {p}"));
    targets.chain(packages).chain(python).collect()
}

fn rustup(arguments: &[&str]) {
    if let Err(e) = command::check(Command::new("rustup").args(arguments)) {
        eprintln!("setup: {e:#}");
    }
}

fn missing_packages() -> Vec<&'static str> {
    let there = |sign: &str| match sign.strip_prefix("python:") {
        Some(module) => imports(Path::new("python3"), module),
        None if sign.starts_with('/') => Path::new(sign).exists(),
        None => exists(sign),
    };
    let mut packages: Vec<_> =
        PACKAGES.into_iter().filter(|(_, sign)| !there(sign)).map(|(p, _)| p).collect();
    packages.dedup();
    packages
}

/// Through apt-get, as root or with a sudo that asks nothing.
fn packages() {
    let packages = missing_packages();
    if packages.is_empty() || !exists("apt-get") {
        return;
    }
    let is_root = command::read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let apt = |arguments: &[&str]| {
        let mut apt = if is_root { Command::new("apt-get") } else { Command::new("sudo") };
        if !is_root {
            apt.args(["-n", "apt-get"]);
        }
        command::read(apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments)).map(|_| ())
    };
    eprintln!("setup: installing {}", packages.join(" "));
    let install = [&["install", "-y", "--no-install-recommends"], &packages[..]].concat();
    if let Err(e) = apt(&["update"]).and_then(|()| apt(&install)) {
        eprintln!("setup: {e:#}");
    }
}

/// Where the tests' Python packages live when the system has none.
fn environment() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| command::root().join("target"), PathBuf::from);
    target.join("python")
}

/// The Python that tests call: the one set up here, else the system's.
pub(crate) fn python_path() -> PathBuf {
    let own = environment().join("bin/python3");
    if own.is_file() { own } else { PathBuf::from("python3") }
}

fn imports(python: &Path, module: &str) -> bool {
    command::read(Command::new(python).args(["-c", &format!("import {module}")])).is_ok()
}

fn missing_modules(python: &Path) -> Vec<&'static str> {
    PYTHON.into_iter().filter(|(_, module)| !imports(python, module)).map(|(package, _)| package).collect()
}

/// Into an environment of their own: distributions forbid `pip` in theirs.
fn python() {
    let packages = missing_modules(&python_path());
    if packages.is_empty() || !exists("python3") {
        return;
    }
    eprintln!("setup: installing Python packages {}", packages.join(" "));
    let own = environment();
    let install = || -> Result<()> {
        command::read(Command::new("python3").args(["-m", "venv", "--system-site-packages"]).arg(&own))?;
        let mut pip = Command::new(own.join("bin/python3"));
        command::read(pip.args(["-m", "pip", "install", "--quiet"]).args(&packages))?;
        Ok(())
    };
    if let Err(e) = install() {
        eprintln!("setup: {e:#}");
    }
}
