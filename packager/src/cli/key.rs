//! `samara key new K` and `samara key public K`.

use std::path::PathBuf;

use clap::Subcommand;
use samara_runtime::bundle::verify::key_id;
use serde_json::json;

use super::output::{Output, hex};
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write a new ed25519 key to K (private, mode 0600) and K.pub.
    New {
        /// Where; nothing is overwritten.
        path: PathBuf,
    },
    /// Print the public half of a private key.
    Public {
        /// The private key's file.
        path: PathBuf,
    },
}

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    let key = match &args.action {
        Action::New { path } => samara_tuf::keyfile::generate(path),
        Action::Public { path } => samara_tuf::keyfile::read_secret(path),
    };
    let public = key.map_err(|e| Error::invalid(e.to_string()))?.verifying_key().to_bytes();
    let json = json!({ "public": hex(&public), "key_id": hex(&key_id(&public)) });
    match args.action {
        Action::New { path } => output.result(&json, || {
            format!(
                "wrote {0} (keep it secret) and {0}.pub\nkey id {1}",
                path.display(),
                hex(&key_id(&public))
            )
        }),
        // The key itself is the result, so it goes to stdout in both forms.
        Action::Public { .. } => {
            if output.is_json() {
                output.result(&json, String::new);
            } else {
                println!("{}", hex(&public));
            }
        }
    }
    Ok(())
}
