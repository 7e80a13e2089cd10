//! [`Model`] over the runtime: real bundles, real signatures, real golden vectors.

use crate::{
    config::Config,
    model::{Identity, Model},
    types::{Digest, Version},
};
use samara_runtime::{
    AlignedBytes, Bundle, Session,
    bundle::{Tag, Trust, verify},
    ops,
};

/// Keys to trust and limits to keep.
#[derive(Clone, Debug)]
pub struct BundleModel {
    /// ed25519 public keys that sign bundles.
    pub keys: Vec<[u8; 32]>,
    /// Distinct keys that must have signed.
    pub threshold: usize,
    /// The device's class; a bundle for another one is refused, one for any class is not.
    pub class: String,
    /// The contract that the application insists on, if it does.
    pub contract: Option<Digest>,
    /// Largest arena, in bytes.
    pub arena_bytes: u64,
}

impl BundleModel {
    /// As a configuration says.
    pub fn of(config: &Config) -> Self {
        Self {
            keys: config.trust.bundle_keys.clone(),
            threshold: config.trust.threshold,
            class: config.class.clone(),
            contract: config.contract,
            arena_bytes: config.limits.arena,
        }
    }

    /// Verifies the bytes and hands out the parsed bundle. They must be [`AlignedBytes`] to be loaded afterwards.
    ///
    /// # Errors
    /// Why the bundle is not acceptable.
    pub fn open<'a>(&self, bytes: &'a [u8]) -> Result<Bundle<'a>, String> {
        let trust = Trust { keys: &self.keys, threshold: self.threshold };
        let bundle = Bundle::verify(bytes, &trust).map_err(|error| error.to_string())?;
        let name = bundle.manifest.string(Tag::Name).unwrap_or_default();
        if Digest::of(name.as_bytes()).0 != bundle.prefix.name_hash {
            return Err("the name in its manifest is not the one that was signed".to_owned());
        }
        let class = bundle.prefix.class;
        let class = class.split(|&byte| byte == 0).next().unwrap_or_default();
        if !class.is_empty() && class != self.class.as_bytes() {
            return Err(format!("it was packed for device class {}", String::from_utf8_lossy(class)));
        }
        if self.contract.is_some() && bundle.manifest.contract().map(Digest) != self.contract {
            return Err("its contract differs from the application's".to_owned());
        }
        Ok(bundle)
    }

    /// Loads a verified bundle within the arena limit.
    ///
    /// # Errors
    /// Why it does not load.
    pub fn load<'a>(&self, bundle: &Bundle<'a>) -> Result<Session<'a>, String> {
        let session = Session::load(bundle, ops::ALL).map_err(|error| error.to_string())?;
        let needed = session.arena_bytes() as u64;
        if needed > self.arena_bytes {
            return Err(format!("it needs {needed} bytes of arena, {} are allowed", self.arena_bytes));
        }
        Ok(session)
    }
}

/// What a verified bundle is called.
pub fn identity(bundle: &Bundle<'_>) -> Identity {
    let version = bundle.prefix.version;
    Identity {
        name: bundle.manifest.string(Tag::Name).unwrap_or_default().to_owned(),
        version: Version([version.major, version.minor, version.patch]),
        digest: Digest(verify::digest(&bundle.prefix)),
    }
}

impl Model for BundleModel {
    fn verify(&self, bytes: &[u8]) -> Result<Identity, String> {
        self.open(bytes).map(|bundle| identity(&bundle))
    }

    fn self_test(&self, bytes: &[u8]) -> Result<(), String> {
        let bytes = AlignedBytes::new(bytes);
        let bundle = self.open(&bytes)?;
        let session = self.load(&bundle)?;
        // Without vectors nobody can tell whether this device computes what the packager measured.
        let golden = bundle.golden.filter(|golden| golden.vectors() > 0).ok_or("it has no golden vectors")?;
        let mut arena = AlignedBytes::zeros(session.arena_bytes());
        let mut run = session.bind(&mut arena).map_err(|error| error.to_string())?;
        run.self_test(&golden).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_bundle_are_refused_in_words() {
        let model = BundleModel {
            keys: vec![[1; 32]],
            threshold: 1,
            class: "host".to_owned(),
            contract: None,
            arena_bytes: 1 << 20,
        };
        assert_eq!(model.verify(&[0; 4096]).unwrap_err(), "this is not a Samara bundle");
    }
}
