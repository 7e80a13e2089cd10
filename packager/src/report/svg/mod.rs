//! The report's pictures, one per file, as inline SVG.
//!
//! Places along the width are percentages, so a picture fits any screen and its text keeps its size.

pub(super) mod bars;
pub(super) mod frontier;
pub(super) mod histogram;
pub(super) mod memory;

/// A length along the width.
fn percent(part: f64, whole: f64) -> String {
    let share = if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
    let text = format!("{share:.3}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}
