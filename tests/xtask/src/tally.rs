//! Counts of what passed, failed and was skipped; a skip is never silent.

/// The three counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: Vec<String>,
    pub(crate) skipped: Vec<String>,
}

impl Tally {
    /// Counts a success and says so.
    pub(crate) fn pass(&mut self, what: &str) {
        eprintln!("passed   {what}");
        self.passed += 1;
    }

    /// Counts a failure and says why.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        let what = what.into();
        eprintln!("FAILED   {what}");
        self.failed.push(what);
    }

    /// Counts what could not be tried, and says why.
    pub(crate) fn skip(&mut self, what: impl Into<String>) {
        let what = what.into();
        eprintln!("SKIPPED  {what}");
        self.skipped.push(what);
    }

    /// Counts a result: an error is a failure.
    pub(crate) fn record(&mut self, what: &str, result: anyhow::Result<()>) {
        match result {
            Ok(()) => self.pass(what),
            Err(e) => self.fail(format!("{what}: {e:#}")),
        }
    }

    /// Adds another tally.
    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }

    /// Lists failures and skips, ends with the counts; whether nothing failed.
    pub(crate) fn print(&self) -> bool {
        for what in &self.skipped {
            println!("SKIPPED {what}");
        }
        for what in &self.failed {
            println!("FAILED {what}");
        }
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len());
        self.failed.is_empty()
    }
}
