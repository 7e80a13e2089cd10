//! Set-up, checks and measurements of the workspace.
fn main() {}
