//! Fills signature slots. Signing never changes a bundle's digest.

use ed25519_dalek::{Signer, SigningKey};
use samara_runtime::bundle::verify::{Slot, key_id, message};
use samara_runtime::bundle::{Bundle, prefix};

use crate::error::{Error, Result};

/// Signs a bundle in place of an unused slot, or of an earlier signature by the same key. The whole bundle is
/// checked first, so that nobody signs damage.
pub fn sign(bundle: &mut [u8], key: &SigningKey) -> Result<()> {
    let prefix = Bundle::check(bundle)?.prefix;
    let id = key_id(&key.verifying_key().to_bytes());
    let mut free = None;
    for i in 0..prefix.slots as usize {
        match Slot::parse(bundle, i)? {
            Some(slot) if slot.key_id == id => {
                free = Some(i);
                break;
            }
            None => free = free.or(Some(i)),
            Some(_) => {}
        }
    }
    let Some(i) = free else {
        return Err(Error::invalid(format!("all {} signature slots are taken", prefix.slots)));
    };
    let slot = Slot { key_id: id, signature: key.sign(&message(&prefix)).to_bytes() };
    let at = prefix::PREFIX_LEN + i * prefix::SLOT_LEN;
    bundle[at..at + prefix::SLOT_LEN].copy_from_slice(&slot.emit());
    Ok(())
}
