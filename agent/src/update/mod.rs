//! The update state machine, without I/O: events go in, actions come out, and a transition counts only once
//! its [`Record`] is durable.
//!
//! ```text
//!          targets           verified        passed          pointed          healthy
//!   Idle ----------> Fetching ------> Staging ----> Testing ----> Activating ----> Probation ----> Idle
//!    ^                  |               | staged       | failed                       | unhealthy
//!    +------------------+---------------+--------------+                              v
//!    +---------------------------------------- pointed back ---------------------- RollingBack
//! ```

pub mod machine;
#[cfg(test)]
mod properties;
pub mod record;
pub mod select;

pub use machine::{Action, Event, Machine, Policy};
pub use record::{Candidate, Failure, Phase, Record, Slot};
pub use select::{Custom, Device, Refusal, Target, select};
