//! Quantizes, plans and signs models into Samara bundles; the samara command.
