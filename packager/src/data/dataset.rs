//! Samples that can be read more than once.

use samara_runtime::ops::eval::Value;

use super::samples::Samples;
use crate::error::Result;

/// One reading of a data set: every sample, the model's inputs in order.
pub type Pass<'a> = Box<dyn Iterator<Item = Result<Vec<Value>>> + 'a>;

/// A model's inputs, sample by sample, readable any number of times with the same result.
pub trait Dataset {
    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads all samples in order.
    fn pass(&self) -> Pass<'_>;
}

impl Dataset for Samples {
    fn len(&self) -> usize {
        Samples::len(self)
    }

    fn pass(&self) -> Pass<'_> {
        Box::new(self.iter())
    }
}

/// Samples in memory.
impl Dataset for Vec<Vec<Value>> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn pass(&self) -> Pass<'_> {
        Box::new(self.iter().map(|sample| Ok(sample.clone())))
    }
}

/// A data set whose reading moves a progress bar, or anything else that counts samples.
pub struct Watched<'a> {
    /// What is read.
    pub data: &'a dyn Dataset,
    /// Called for every sample that is read.
    pub tick: &'a dyn Fn(),
}

impl Dataset for Watched<'_> {
    fn len(&self) -> usize {
        self.data.len()
    }

    fn pass(&self) -> Pass<'_> {
        Box::new(self.data.pass().inspect(|_| (self.tick)()))
    }
}
