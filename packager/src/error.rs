//! One-line errors for people: what, why, and what to do about it.

use std::fmt;

/// Result of the packager's fallible calls.
pub type Result<T> = std::result::Result<T, Error>;

/// Which exit code an error means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The check was made and answered no: exit code 1.
    Refused,
    /// The question could not be asked (bad usage, unreadable or invalid input): exit code 2.
    Invalid,
}

/// A message of one line: subject (a file, a node), cause, remedy.
#[derive(Clone, Debug)]
pub struct Error {
    kind: Kind,
    subject: Option<String>,
    cause: String,
    remedy: Option<String>,
}

impl Error {
    /// The input cannot be used, for this cause.
    pub fn invalid(cause: impl Into<String>) -> Self {
        Error { kind: Kind::Invalid, subject: None, cause: cause.into(), remedy: None }
    }

    /// The check answered no, for this cause.
    pub fn refused(cause: impl Into<String>) -> Self {
        Error { kind: Kind::Refused, ..Error::invalid(cause) }
    }

    /// Names what the error is about; an outer subject goes in front of an inner one.
    pub fn about(mut self, subject: impl fmt::Display) -> Self {
        self.subject = Some(match self.subject {
            Some(inner) => format!("{subject}: {inner}"),
            None => subject.to_string(),
        });
        self
    }

    /// Says what the user can do.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Refused or invalid.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        if let Some(subject) = &self.subject {
            line = format!("{subject}: ");
        }
        line += &self.cause;
        if let Some(remedy) = &self.remedy {
            line += "; ";
            line += remedy;
        }
        // Names from files may hold line breaks; an error stays one line.
        f.write_str(&line.replace(['\n', '\r'], " "))
    }
}

impl std::error::Error for Error {}

impl From<samara_runtime::Error> for Error {
    fn from(e: samara_runtime::Error) -> Self {
        Error::invalid(e.message())
    }
}

/// Adds a subject to any error.
pub trait About<T> {
    /// As [`Error::about`].
    fn about(self, subject: impl fmt::Display) -> Result<T>;
}

impl<T> About<T> for std::result::Result<T, std::io::Error> {
    fn about(self, subject: impl fmt::Display) -> Result<T> {
        self.map_err(|e| Error::invalid(e.to_string()).about(subject))
    }
}

impl<T> About<T> for Result<T> {
    fn about(self, subject: impl fmt::Display) -> Result<T> {
        self.map_err(|e| e.about(subject))
    }
}

impl<T> About<T> for samara_runtime::Result<T> {
    fn about(self, subject: impl fmt::Display) -> Result<T> {
        self.map_err(|e| Error::from(e).about(subject))
    }
}
