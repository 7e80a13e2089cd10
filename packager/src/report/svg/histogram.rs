//! Counts of an activation's values with the range that was chosen for it.

use super::percent;
use crate::report::histogram::Histogram;

const COLUMNS: usize = 96;
const HEIGHT: f64 = 64.0;

/// The picture over `[lo, hi]`; heights are logarithms, because a few values are most of them.
pub(in crate::report) fn picture(h: &Histogram, (lo, hi): (f64, f64), chosen: Option<(f32, f32)>) -> String {
    let counts = h.columns((lo, hi), COLUMNS);
    let height = |n: u64| libm::log1p(n as f64);
    let most = counts.iter().map(|&n| height(n)).fold(f64::MIN_POSITIVE, f64::max);
    let at = |x: f64| ((x - lo) / (hi - lo).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
    let mut out = format!(r#"<svg class="histogram" width="100%" height="{HEIGHT}" role="img">"#);
    out += "<title>counts, logarithmic; shaded: outside the chosen range</title>";
    // The outline as one shape, stretched to the width.
    let mut path = format!("M0 {HEIGHT}");
    for (i, &n) in counts.iter().enumerate() {
        let y = HEIGHT - (HEIGHT - 4.0) * height(n) / most;
        path += &format!("L{i} {y:.1}L{} {y:.1}", i + 1);
    }
    out += &format!(
        r#"<svg viewBox="0 0 {COLUMNS} {HEIGHT}" preserveAspectRatio="none" width="100%" height="{HEIGHT}"><path class="counts" d="{path}L{COLUMNS} {HEIGHT}Z"/></svg>"#
    );
    if let Some((from, to)) = chosen {
        let (from, to) = (at(from.into()), at(to.into()));
        for (x, width) in [(0.0, from), (to, 1.0 - to)] {
            if width > 0.0 {
                let (x, width) = (percent(x, 1.0), percent(width, 1.0));
                out += &format!(r#"<rect class="outside" x="{x}" width="{width}" height="{HEIGHT}"/>"#);
            }
        }
        for x in [from, to] {
            let x = percent(x, 1.0);
            out += &format!(r#"<line class="edge" x1="{x}" x2="{x}" y1="0" y2="{HEIGHT}"/>"#);
        }
    }
    if lo < 0.0 && hi > 0.0 {
        let x = percent(at(0.0), 1.0);
        out += &format!(r#"<line class="zero" x1="{x}" x2="{x}" y1="{}" y2="{HEIGHT}"/>"#, HEIGHT - 5.0);
    }
    out + "</svg>"
}
