//! `samara verify BUNDLE --key PUB…`.

use std::path::PathBuf;

use samara_runtime::Bundle;
use samara_runtime::bundle::Trust;
use samara_runtime::bundle::verify::digest;
use serde_json::json;

use super::output::{Output, hex};
use crate::error::{About, Error, Result};
use crate::files;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The bundle.
    bundle: PathBuf,
    /// Public key files of trusted signers.
    #[arg(long, required = true)]
    key: Vec<PathBuf>,
    /// How many distinct trusted keys must have signed.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    threshold: u8,
}

pub(super) fn run(args: Args, output: &Output) -> Result<()> {
    let bytes = files::read_aligned(&args.bundle)?;
    let mut keys = Vec::new();
    for path in &args.key {
        let key = samara_tuf::keyfile::read_public(path).map_err(|e| Error::invalid(e.to_string()))?;
        keys.push(key.to_bytes());
    }
    if args.threshold as usize > keys.len() {
        let cause = format!("a threshold of {} cannot be met by {} keys", args.threshold, keys.len());
        return Err(Error::invalid(cause).remedy("give more --key or a lower --threshold"));
    }
    let about = args.bundle.display();
    // Not a bundle at all: the question cannot be asked.
    samara_runtime::bundle::Prefix::parse(&bytes).about(&about)?;
    let trust = Trust { keys: &keys, threshold: args.threshold as usize };
    let bundle = Bundle::verify(&bytes, &trust).map_err(|e| Error::refused(e.message()).about(&about))?;
    let digest = hex(&digest(&bundle.prefix));
    let json = json!({ "verified": true, "digest": digest, "threshold": args.threshold });
    output.result(&json, || format!("{about}: verified, digest {digest}"));
    Ok(())
}
