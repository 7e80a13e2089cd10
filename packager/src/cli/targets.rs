//! `samara targets`.

use serde_json::json;

use super::output::Output;
use crate::error::Result;
use crate::target::PROFILES;

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: Args, output: &Output) -> Result<()> {
    let json: Vec<_> = PROFILES
        .iter()
        .map(|p| json!({ "name": p.name, "integer_only": p.integer_only, "about": p.about, "rust_target": p.rust_target }))
        .collect();
    output.result(&json!({ "targets": json }), || {
        PROFILES.iter().map(|p| format!("{:12} {}\n", p.name, p.about)).collect()
    });
    Ok(())
}
