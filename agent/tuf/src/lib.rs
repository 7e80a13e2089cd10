//! The Update Framework 1.0: metadata, a sans-I/O client, and a static repository writer.
