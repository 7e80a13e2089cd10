//! Where updates come from, as the driver sees it.

use crate::update::Target;
use std::{fmt, io};

/// Why a repository gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It could not be asked: network, server, time-out. Worth another try.
    Unreachable(String),
    /// It answered, and the answer does not verify.
    Refused(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(cause) | Self::Refused(cause) => f.write_str(cause),
        }
    }
}

/// Receives a download: the offset of a chunk in the file, and the chunk. An offset of 0 after other bytes
/// means that the server does not serve ranges and starts again.
pub type Sink<'a> = dyn FnMut(u64, &[u8]) -> io::Result<()> + 'a;

/// A source of verified metadata and of target files.
pub trait Repository {
    /// Refreshes the metadata and lists all targets it vouches for.
    ///
    /// # Errors
    /// When the metadata could not be fetched or does not verify; what was trusted before stays so.
    fn targets(&mut self) -> Result<Vec<Target>, Failure>;

    /// Downloads a target from byte `from` on; never passes on more than its length.
    ///
    /// # Errors
    /// When the download ends early. What was passed on before is still good for resuming.
    fn fetch(&mut self, target: &Target, from: u64, sink: &mut Sink<'_>) -> Result<(), Failure>;
}
