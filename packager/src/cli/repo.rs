//! `samara repo init|add|release|refresh|status REPO`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::output::Output;
use crate::error::{Error, Result};
use crate::repository::{self, Admission};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a repository, and the keys that the key directory lacks.
    Init {
        /// A directory that any web server can serve.
        repository: PathBuf,
        /// Private keys; keep this directory off the server.
        #[arg(long)]
        keys: PathBuf,
    },
    /// Approve a signed bundle: checked, listed, released to nobody yet.
    Add {
        /// The repository's directory.
        repository: PathBuf,
        /// The bundle.
        bundle: PathBuf,
        /// Private keys.
        #[arg(long)]
        keys: PathBuf,
        /// Device class that may install it; the bundle's own by default.
        #[arg(long)]
        class: Vec<String>,
        /// Public keys of which enough must have signed the bundle.
        #[arg(long, required = true)]
        key: Vec<PathBuf>,
        /// How many of them.
        #[arg(long, default_value_t = 1)]
        threshold: usize,
        /// Take the golden vectors on trust, where this machine cannot run them as the device does.
        #[arg(long)]
        skip_self_test: bool,
    },
    /// Let devices have an approved bundle.
    Release {
        /// The repository's directory.
        repository: PathBuf,
        /// The target's name, as `add` and `status` print it.
        target: String,
        /// Private keys.
        #[arg(long)]
        keys: PathBuf,
        /// Share of the devices.
        #[arg(long, default_value_t = 100.0)]
        percent: f64,
        /// Inputs, outputs or labels differ from the released ones, and the applications know.
        #[arg(long)]
        new_contract: bool,
    },
    /// Sign the listing anew before it expires.
    Refresh {
        /// The repository's directory.
        repository: PathBuf,
        /// Private keys; snapshot and timestamp suffice.
        #[arg(long)]
        keys: PathBuf,
    },
    /// Roles, expiry, bundles.
    Status {
        /// The repository's directory.
        repository: PathBuf,
    },
}

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    match args.action {
        Action::Init { repository, keys } => {
            repository::init(&repository, &keys)?;
            let root = repository.join("metadata").join("1.root.json");
            output.result(&json!({ "repository": repository, "root": root }), || {
                format!("{}: ready; devices are enrolled with {}", repository.display(), root.display())
            });
        }
        Action::Add { repository, bundle, keys, class, key, threshold, skip_self_test } => {
            let trusted = key.iter().map(|path| {
                samara_tuf::keyfile::read_public(path)
                    .map(|k| k.to_bytes())
                    .map_err(|e| Error::invalid(e.to_string()))
            });
            let admission = Admission {
                classes: class,
                trusted: trusted.collect::<Result<_>>()?,
                threshold,
                skip_self_test,
            };
            let target = repository::add(&repository, &keys, &bundle, &admission)?;
            output.result(&json!({ "target": target }), || {
                format!("added {target}; `samara repo release` lets devices have it")
            });
        }
        Action::Release { repository, target, keys, percent, new_contract } => {
            if !(0.0..=100.0).contains(&percent) {
                return Err(Error::invalid(format!("--percent {percent} is not between 0 and 100")));
            }
            let permyriad = (percent * 100.0).round() as u32;
            repository::release(&repository, &keys, &target, permyriad, new_contract)?;
            output.result(&json!({ "target": target, "permyriad": permyriad }), || {
                format!("released {target} to {percent} % of its devices")
            });
        }
        Action::Refresh { repository, keys } => {
            repository::refresh(&repository, &keys)?;
            output.result(&json!({ "refreshed": true }), || format!("{}: signed anew", repository.display()));
        }
        Action::Status { repository } => {
            let status = repository::status(&repository)?;
            output.result(&status, || text(&status));
        }
    }
    Ok(())
}

fn text(status: &Value) -> String {
    let list = |key: &str| status[key].as_array().cloned().unwrap_or_default();
    let string = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut out = String::new();
    for r in list("roles") {
        out += &format!(
            "{:10} version {:3}  expires {}\n",
            string(&r["name"]),
            r["version"],
            string(&r["expires"])
        );
    }
    for t in list("targets") {
        let percent = t["custom"]["permyriad"].as_f64().unwrap_or(0.0) / 100.0;
        out += &format!("{:32} {:>9} bytes  {percent} %\n", string(&t["name"]), t["length"]);
    }
    out
}
