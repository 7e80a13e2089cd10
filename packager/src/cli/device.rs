//! `samara device enroll`.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::output::Output;
use crate::error::{About, Error, Result};
use crate::files;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write everything a device must trust, and its agent's configuration, into one directory.
    Enroll {
        /// The repository's root metadata, from its owner's hands.
        #[arg(long)]
        root: PathBuf,
        /// The device's identity.
        #[arg(long)]
        id: String,
        /// Its device class.
        #[arg(long)]
        class: String,
        /// The model it runs.
        #[arg(long)]
        model: String,
        /// Public keys that sign its bundles.
        #[arg(long, required = true)]
        key: Vec<PathBuf>,
        /// How many of them must have signed.
        #[arg(long, default_value_t = 1)]
        threshold: usize,
        /// Where the repository's metadata is served.
        #[arg(long)]
        metadata_url: String,
        /// Where its targets are served.
        #[arg(long)]
        targets_url: String,
        /// Contract hash that the device's application was built against.
        #[arg(long)]
        contract: Option<String>,
        /// OTLP/HTTP collector for measurements; none are sent without it.
        #[arg(long)]
        telemetry: Option<String>,
        /// Seconds that a new bundle is watched before it counts as good.
        #[arg(long)]
        probation_seconds: Option<u32>,
        /// Seconds between telemetry windows.
        #[arg(long)]
        telemetry_seconds: Option<u32>,
        /// Loopback address that `samara-agent serve` listens on.
        #[arg(long)]
        listen: Option<std::net::SocketAddr>,
        /// The directory, which must not exist.
        #[arg(short, long)]
        output: PathBuf,
    },
}

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    let Action::Enroll {
        root,
        id,
        class,
        model,
        key,
        threshold,
        metadata_url,
        targets_url,
        contract,
        telemetry,
        probation_seconds,
        telemetry_seconds,
        listen,
        output: dir,
    } = args.action;
    if dir.exists() {
        return Err(Error::invalid("exists already").remedy("choose a new directory").about(dir.display()));
    }
    let root_bytes = files::read(&root)?;
    serde_json::from_slice::<serde_json::Value>(&root_bytes)
        .map_err(|e| Error::invalid(format!("is not root metadata ({e})")).about(root.display()))?;
    let mut keys = Vec::new();
    for path in &key {
        let key = samara_tuf::keyfile::read_public(path).map_err(|e| Error::invalid(e.to_string()))?;
        keys.push(super::output::hex(key.as_bytes()));
    }
    // JSON strings are TOML basic strings.
    let quoted = |s: &str| serde_json::Value::from(s).to_string();
    let mut toml = format!(
        "device_id = {}\nclass = {}\nmodel = {}\ndata_dir = \"data\"\n",
        quoted(&id),
        quoted(&class),
        quoted(&model)
    );
    if let Some(contract) = &contract {
        toml += &format!("contract = {}\n", quoted(contract));
    }
    toml += &format!(
        "\n[repository]\nmetadata_url = {}\ntargets_url = {}\n\n[trust]\ndir = \"trust\"\nbundle_keys = {}\nthreshold = {threshold}\n",
        quoted(&metadata_url),
        quoted(&targets_url),
        serde_json::Value::from(keys)
    );
    if let Some(endpoint) = &telemetry {
        toml += &format!("\n[telemetry]\nendpoint = {}\n", quoted(endpoint));
        if let Some(seconds) = telemetry_seconds {
            toml += &format!("interval_seconds = {seconds}\n");
        }
    }
    if let Some(seconds) = probation_seconds {
        toml += &format!("\n[probation]\nseconds = {seconds}\n");
    }
    if let Some(address) = listen {
        toml += &format!("\n[serve]\nlisten = \"{address}\"\n");
    }
    let about = dir.display();
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    // Built aside and renamed, so that the directory is whole or absent.
    let aside = tempfile::Builder::new().prefix(".samara-").tempdir_in(parent).about(&about)?;
    fs::create_dir(aside.path().join("trust")).about(&about)?;
    files::write_atomic(&aside.path().join("trust/root.json"), &root_bytes)?;
    files::write_atomic(&aside.path().join("agent.toml"), toml.as_bytes())?;
    fs::rename(aside.keep(), &dir).about(&about)?;
    let config = dir.join("agent.toml");
    output.result(&json!({ "config": config }), || {
        format!("{id} enrolled; run `samara-agent run --config {}` on it", config.display())
    });
    Ok(())
}
