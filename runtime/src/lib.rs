//! Runs Samara bundles: no_std, no allocator, identical bits on every target.
