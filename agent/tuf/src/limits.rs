//! Every bound on untrusted input, in one place.

/// Bounds that a client puts on what a repository may make it read or do.
///
/// Sizes are bytes of one file as served. The defaults are several times what a repository of a few
/// thousand bundles needs, and small enough that hostile data cannot exhaust a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest `N.root.json` (W of specification 5.3.3).
    pub root: u64,
    /// Largest `timestamp.json` (X of 5.4.1).
    pub timestamp: u64,
    /// Largest snapshot, whatever the timestamp says (Y of 5.5.1).
    pub snapshot: u64,
    /// Largest targets metadata of any role, whatever the snapshot says (Z of 5.6.1).
    pub targets: u64,
    /// Root versions followed in one refresh (Y of 5.3.3); the next refresh goes on from there.
    pub root_rotations: u32,
    /// Roles visited in one search, the top-level targets role included (5.6.7.1).
    pub delegations: usize,
    /// Signatures on one file; each costs a verification.
    pub signatures: usize,
    /// Largest target file accepted, whatever the targets metadata says.
    pub target_file: u64,
}

impl Limits {
    /// The bounds used unless others are given.
    pub const DEFAULT: Limits = Limits {
        root: 256 * 1024,
        timestamp: 16 * 1024,
        snapshot: 1024 * 1024,
        targets: 4 * 1024 * 1024,
        root_rotations: 32,
        delegations: 32,
        signatures: 64,
        target_file: 4 * 1024 * 1024 * 1024,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Limits::DEFAULT
    }
}
