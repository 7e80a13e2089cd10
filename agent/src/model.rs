//! What the agent asks of a bundle, so that the update logic does not depend on how a bundle is run.

use crate::types::{Digest, Version};

/// What verified bytes say they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Model name.
    pub name: String,
    /// Model version.
    pub version: Version,
    /// Hash of the prefix.
    pub digest: Digest,
}

/// Verification and self-test of bundles.
pub trait Model {
    /// Checks signatures, chunk hashes and structure.
    ///
    /// # Errors
    /// Why the bytes are not acceptable, in words for an operator.
    fn verify(&self, bytes: &[u8]) -> Result<Identity, String>;

    /// Loads verified bytes within the device's memory limits and runs every golden vector.
    ///
    /// # Errors
    /// Why the bundle does not load, or which vector gave something else.
    fn self_test(&self, bytes: &[u8]) -> Result<(), String>;
}
