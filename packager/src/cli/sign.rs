//! `samara sign BUNDLE --key K`.

use std::path::PathBuf;

use samara_runtime::bundle::verify::key_id;
use serde_json::json;

use super::output::{Output, hex};
use crate::error::{About, Error, Result};
use crate::{files, sign};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The bundle, signed in place; its digest does not change.
    bundle: PathBuf,
    /// Private keys; each fills one signature slot.
    #[arg(long, required = true)]
    key: Vec<PathBuf>,
}

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    let mut bytes = files::read_aligned(&args.bundle)?;
    let mut ids = Vec::new();
    for path in &args.key {
        let key = samara_tuf::keyfile::read_secret(path).map_err(|e| Error::invalid(e.to_string()))?;
        sign::sign(&mut bytes, &key).about(args.bundle.display())?;
        ids.push(hex(&key_id(&key.verifying_key().to_bytes())));
    }
    files::write_atomic(&args.bundle, &bytes)?;
    output.result(&json!({ "signatures": ids }), || format!("signed by {}", ids.join(", ")));
    Ok(())
}
