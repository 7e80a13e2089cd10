//! One test per attack on a client, against a repository that misbehaves in memory.

mod delegation;
mod limits;
mod mutation;
mod rollback;
mod root;
mod signatures;
mod simulator;
