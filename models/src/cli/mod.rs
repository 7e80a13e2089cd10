//! One file per command.

pub(crate) mod card;
pub(crate) mod data;
pub(crate) mod evaluate;
pub(crate) mod measure;
pub(crate) mod train;
