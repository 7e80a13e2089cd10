//! The `.samara` format: one file, little-endian, read in place.
//!
//! `prefix | signature slots | chunk table | zeros | content`; the content is a table of sections and the
//! sections. Each structure's parser and emitter live in one file.

pub mod family;
pub mod golden;
pub mod limits;
pub mod manifest;
pub mod plan;
pub mod prefix;
pub mod section;
#[cfg(feature = "verify")]
pub mod verify;
pub(crate) mod wire;

pub use family::Family;
pub use golden::Golden;
pub use manifest::{Manifest, Tag};
pub use plan::Plan;
pub use prefix::{Prefix, Version};
pub use section::{Kind, Sections};
#[cfg(feature = "verify")]
pub use verify::Trust;

use crate::error::{Error, Result};

/// A bundle whose bytes may be used: verified, or trusted otherwise.
///
/// The bytes must not change while this exists: give it flash, a private copy, or a file nobody can write.
#[derive(Clone, Copy, Debug)]
pub struct Bundle<'a> {
    /// Identity and sizes.
    pub prefix: Prefix,
    /// All sections.
    pub sections: Sections<'a>,
    /// What it says of itself.
    pub manifest: Manifest<'a>,
    /// What it runs.
    pub plan: Plan<'a>,
    /// Its constants.
    pub weights: &'a [u8],
    /// Its self-test, where it has one.
    pub golden: Option<Golden<'a>>,
}

impl<'a> Bundle<'a> {
    /// Verifies signatures and every chunk's hash, then parses. Nothing but the head is looked at before.
    #[cfg(feature = "verify")]
    pub fn verify(bytes: &'a [u8], trust: &Trust<'_>) -> Result<Self> {
        let authentic = verify::Authentic::verify(bytes, trust)?;
        authentic.content(content(bytes, &authentic.prefix)?)?;
        Bundle::parse(bytes)
    }

    /// Checks all hashes but no signature, then parses: for tools that look at a bundle without running it.
    #[cfg(feature = "verify")]
    pub fn check(bytes: &'a [u8]) -> Result<Self> {
        Bundle::check_for(bytes, Family::HERE)
    }

    /// As [`Bundle::check`]; with the plan of another family, where the bundle has one.
    #[cfg(feature = "verify")]
    pub fn check_for(bytes: &'a [u8], family: Family) -> Result<Self> {
        let prefix = Prefix::parse(bytes)?;
        verify::Authentic::hashed(bytes, prefix)?.content(content(bytes, &prefix)?)?;
        Bundle::parse_for(bytes, family)
    }

    /// Parses bytes that are trusted otherwise: part of a signed firmware image, say. Any bytes are safe.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        Bundle::parse_for(bytes, Family::HERE)
    }

    /// As [`Bundle::parse`]; with the plan of another family, where the bundle has one. For tools: what runs here wants
    /// its own.
    pub fn parse_for(bytes: &'a [u8], family: Family) -> Result<Self> {
        let prefix = Prefix::parse(bytes)?;
        let sections = Sections::parse(content(bytes, &prefix)?, family)?;
        let plan = Plan::parse(sections.require(Kind::Plan)?)?;
        let golden = match sections.get(Kind::Golden) {
            Some(bytes) => Some(Golden::parse(bytes, &plan)?),
            None => None,
        };
        Ok(Bundle {
            prefix,
            sections,
            manifest: Manifest::parse(sections.require(Kind::Manifest)?)?,
            plan,
            weights: sections.require(Kind::Weights)?,
            golden,
        })
    }
}

/// The content's bytes; refuses a file that is shorter or longer than its prefix says.
pub fn content<'a>(bytes: &'a [u8], prefix: &Prefix) -> Result<&'a [u8]> {
    match bytes.len().cmp(&prefix.file_len()) {
        core::cmp::Ordering::Less => Err(Error::Truncated),
        core::cmp::Ordering::Greater => Err(Error::Length),
        core::cmp::Ordering::Equal => bytes.get(prefix.content_start()..).ok_or(Error::Truncated),
    }
}
