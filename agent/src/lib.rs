//! Pulls Samara bundles in the field, keeps the device safe, reports what it sees.
