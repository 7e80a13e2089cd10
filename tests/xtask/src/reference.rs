//! Float models against tract, with their tables shown.

use anyhow::{Context, Result};

use crate::command;
use crate::{cargo, setup};

/// Builds and runs the tests of samara-reference, which are no part of `cargo xtask test`.
pub(crate) fn run() -> Result<bool> {
    let mut test = cargo::cargo();
    test.args(["test", "--locked", "--no-fail-fast", "-p", "samara-reference", "--", "--nocapture"]);
    test.env("SAMARA_PYTHON", setup::python_path());
    Ok(test.status().with_context(|| command::shown(&test))?.success())
}
