//! The demo, from release builds.

use std::process::Command;

use anyhow::Result;

use crate::cargo::{self, MESSAGES};

/// Builds the commands and tells the story.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let executable = |package: &str, name: &str| {
        let mut build = cargo::cargo();
        build.args(["build", "--release", "--locked", "-p", package, "--bin", name, MESSAGES]);
        eprintln!("building {name}");
        cargo::executable(&mut build, name)
    };
    // `samara demo` looks for the agent beside itself.
    executable("samara-agent", "samara-agent")?;
    let samara = executable("samara-packager", "samara")?;
    let mut demo = Command::new(samara);
    demo.arg("demo").args(arguments).current_dir(crate::command::root());
    Ok(demo.status()?.success())
}
