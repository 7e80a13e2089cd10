//! The only signature check.
//!
//! Signatures are over [`message`]: a domain, then the SHA-256 of the prefix. The prefix holds the hash of the
//! chunk table, the table the hash of every chunk; so one signature covers every byte, and a device can check
//! chunk by chunk while it receives.

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use super::prefix::{HASH_LEN, Prefix, SLOT_LEN};
use super::wire;
use crate::error::{Error, Result};

/// An ed25519 public key.
pub type PublicKey = [u8; 32];

/// Whose signatures count, and how many of them it takes.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// Distinct keys, from firmware, configuration or TUF; never from a bundle.
    pub keys: &'a [PublicKey],
    /// Distinct keys that must have signed; at least 1.
    pub threshold: usize,
}

/// The id by which a signature slot names its key: the key's SHA-256.
pub fn key_id(key: &PublicKey) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// What identifies a bundle: the SHA-256 of its prefix. Signing does not change it.
pub fn digest(prefix: &Prefix) -> [u8; HASH_LEN] {
    Sha256::digest(prefix.emit()).into()
}

/// Bytes of a signed message.
pub const MESSAGE_LEN: usize = DOMAIN.len() + HASH_LEN;
const DOMAIN: [u8; 16] = *b"samara-bundle-1\0";

/// The bytes that keys sign.
pub fn message(prefix: &Prefix) -> [u8; MESSAGE_LEN] {
    let mut out = [0u8; MESSAGE_LEN];
    wire::put(&mut out, 0, DOMAIN);
    wire::put(&mut out, DOMAIN.len(), digest(prefix));
    out
}

/// A used signature slot.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// [`key_id`] of the signer.
    pub key_id: [u8; 32],
    /// ed25519 signature over [`message`].
    pub signature: [u8; 64],
}

impl Slot {
    /// Slot `i` of a bundle's head, `None` where it is unused (all zero). A slot with only a key id or only a
    /// signature is neither, and refused.
    pub fn parse(head: &[u8], i: usize) -> Result<Option<Self>> {
        let bytes = wire::slice(head, super::prefix::PREFIX_LEN + i * SLOT_LEN, SLOT_LEN)?;
        let slot = Slot { key_id: wire::array(bytes, 0)?, signature: wire::array(bytes, 32)? };
        match (wire::zero(&slot.key_id).is_ok(), wire::zero(&slot.signature).is_ok()) {
            (true, true) => Ok(None),
            (false, false) => Ok(Some(slot)),
            _ => Err(Error::Padding),
        }
    }

    /// The counterpart of [`Slot::parse`].
    pub fn emit(&self) -> [u8; SLOT_LEN] {
        let mut out = [0u8; SLOT_LEN];
        wire::put(&mut out, 0, self.key_id);
        wire::put(&mut out, 32, self.signature);
        out
    }
}

/// A prefix and chunk table that enough trusted keys have signed. Content is not looked at yet.
#[derive(Clone, Copy, Debug)]
pub struct Authentic<'a> {
    /// The signed prefix.
    pub prefix: Prefix,
    table: &'a [u8],
}

impl<'a> Authentic<'a> {
    /// Verifies the head of a bundle: everything before the content. A signature by a trusted key that fails
    /// refuses the bundle even where enough others hold; unknown key ids are ignored.
    pub fn verify(head: &'a [u8], trust: &Trust<'_>) -> Result<Self> {
        let prefix = Prefix::parse(head)?;
        if trust.threshold == 0 || trust.keys.is_empty() {
            return Err(Error::Trust);
        }
        let message = message(&prefix);
        let mut signed = 0usize;
        for (k, key) in trust.keys.iter().enumerate() {
            // A key listed twice counts once.
            if trust.keys.iter().take(k).any(|earlier| earlier == key) {
                continue;
            }
            let id = key_id(key);
            let verifying = VerifyingKey::from_bytes(key).map_err(|_| Error::Trust)?;
            let mut counted = false;
            for i in 0..prefix.slots as usize {
                let Some(slot) = Slot::parse(head, i)?.filter(|s| s.key_id == id) else { continue };
                let signature = Signature::from_bytes(&slot.signature);
                verifying.verify_strict(&message, &signature).map_err(|_| Error::Signature)?;
                counted = true;
            }
            signed += usize::from(counted);
        }
        if signed < trust.threshold {
            return Err(Error::Threshold);
        }
        Self::hashed(head, prefix)
    }

    /// The table's hash against the prefix, and the zeros after the table.
    pub(crate) fn hashed(head: &'a [u8], prefix: Prefix) -> Result<Self> {
        let range = prefix.table_range();
        let table = wire::slice(head, range.start, range.len())?;
        wire::zero(wire::slice(head, range.end, prefix.content_start() - range.end)?)?;
        if Sha256::digest(table)[..] != prefix.table_hash {
            return Err(Error::Hash);
        }
        Ok(Authentic { prefix, table })
    }

    /// Checks chunk `i` of the content: its exact length and its hash.
    pub fn chunk(&self, i: usize, bytes: &[u8]) -> Result<()> {
        let size = 1usize << self.prefix.chunk_log2;
        let start = i.checked_mul(size).ok_or(Error::Index)?;
        let left = (self.prefix.content_len as usize).checked_sub(start).ok_or(Error::Index)?;
        if bytes.len() != left.min(size) {
            return Err(Error::Length);
        }
        let expected = wire::slice(self.table, i * HASH_LEN, HASH_LEN).map_err(|_| Error::Index)?;
        if Sha256::digest(bytes)[..] == *expected { Ok(()) } else { Err(Error::Hash) }
    }

    /// Checks every chunk of a whole content.
    pub fn content(&self, content: &[u8]) -> Result<()> {
        if content.len() as u64 != self.prefix.content_len {
            return Err(Error::Length);
        }
        for (i, chunk) in content.chunks(1 << self.prefix.chunk_log2).enumerate() {
            self.chunk(i, chunk)?;
        }
        Ok(())
    }
}
