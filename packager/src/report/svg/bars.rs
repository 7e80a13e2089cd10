//! A stacked horizontal bar.

use super::percent;
use crate::report::text::escape;

/// A part of a bar.
pub(in crate::report) struct Part {
    /// CSS class that gives its colour.
    pub(in crate::report) class: &'static str,
    /// Its length, in the units of `whole`.
    pub(in crate::report) value: f64,
    /// What a pointer over it is told.
    pub(in crate::report) title: String,
}

/// Parts side by side, `whole` being the full width.
pub(in crate::report) fn stacked(parts: &[Part], whole: f64) -> String {
    let mut out = String::from(r#"<svg class="bar" width="100%" height="12" role="img">"#);
    let mut at = 0.0;
    for part in parts.iter().filter(|p| p.value > 0.0) {
        out += &format!(
            r#"<rect class="{}" x="{}" width="{}" height="12"><title>{}</title></rect>"#,
            part.class,
            percent(at, whole),
            percent(part.value, whole),
            escape(&part.title)
        );
        at += part.value;
    }
    out + "</svg>"
}
