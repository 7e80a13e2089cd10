//! Runs a bundle on Linux Arm targets with nothing but the runtime.
