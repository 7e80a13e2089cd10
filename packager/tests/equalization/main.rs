//! Equalization keeps what a float graph computes, and keeps int8 graphs of unequal channels alive.

mod build;
mod compare;
mod function;
#[path = "../mixed/mod.rs"]
mod mixed;
mod signal;
