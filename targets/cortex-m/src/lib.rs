//! What the firmware's programs share. Empty on hosts, which have no use for it.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(target_os = "none")]
pub mod flash;
#[cfg(all(target_os = "none", unaligned_words))]
mod mem;
