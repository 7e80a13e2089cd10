//! Builds.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// What makes cargo tell where its results are.
pub(crate) const MESSAGES: &str = "--message-format=json-render-diagnostics";

/// Cargo, in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(command::root());
    cargo
}

/// Runs a build with [`MESSAGES`] and returns the executable it made, as cargo itself names it.
pub(crate) fn executable(build: &mut Command, name: &str) -> Result<PathBuf> {
    let messages = command::read(build)?;
    let mut found = None;
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line).context("cargo's messages")?;
        if message["target"]["name"] == name
            && let Some(path) = message["executable"].as_str()
        {
            found = Some(PathBuf::from(path));
        }
    }
    found.with_context(|| format!("{} made no {name}", command::shown(build)))
}

/// Whether rustup has a target's standard library here.
pub(crate) fn has_target(target: &str) -> bool {
    let Ok(root) = command::read(Command::new("rustc").args(["--print", "sysroot"])) else { return false };
    PathBuf::from(root.trim()).join("lib/rustlib").join(target).join("lib").is_dir()
}
