//! Trials as points: size to the right, what is judged upwards.

use super::percent;
use crate::report::Trial;
use crate::report::text::{self, bytes, decibels, escape};

const HEIGHT: f64 = 200.0;
const MARGIN: f64 = 18.0;

/// The picture; `None` where fewer than two trials have both numbers.
pub(in crate::report) fn picture(trials: &[Trial]) -> Option<String> {
    // Points lost where they were measured, else decibels; better is higher.
    let scored = trials.iter().filter(|t| t.drop.is_some()).count() > 1;
    let judged = |t: &Trial| if scored { t.drop.map(|d| -d) } else { t.sqnr_db.filter(|db| db.is_finite()) };
    let points: Vec<(f64, f64, &Trial)> =
        trials.iter().filter_map(|t| Some((t.bytes? as f64, judged(t)?, t))).collect();
    if points.len() < 2 {
        return None;
    }
    let span = |of: &dyn Fn(&(f64, f64, &Trial)) -> f64| {
        let (lo, hi) = points.iter().map(of).fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        let room = if hi > lo { (hi - lo) * 0.08 } else { lo.abs().max(1.0) * 0.1 };
        (lo - room, hi + room)
    };
    let ((x0, x1), (y0, y1)) = (span(&|p| p.0), span(&|p| p.1));
    let y = |v: f64| MARGIN + (HEIGHT - 2.0 * MARGIN) * (1.0 - (v - y0) / (y1 - y0));
    let value = |v: f64| if scored { format!("{} points lost", text::points(-v)) } else { decibels(v) };
    let mut out = format!(r#"<svg class="frontier" width="100%" height="{HEIGHT}" role="img">"#);
    out += "<title>trials by size and quality; the filled one was chosen</title>";
    for v in [y0, (y0 + y1) / 2.0, y1] {
        let at = y(v);
        out += &format!(r#"<line class="grid" x1="0" x2="100%" y1="{at:.1}" y2="{at:.1}"/>"#);
        out += &format!(r#"<text x="2" y="{:.1}">{}</text>"#, at - 3.0, escape(&value(v)));
    }
    for (share, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
        let (at, label) = (percent(share, 1.0), bytes(x0 + (x1 - x0) * share));
        let bottom = HEIGHT - 2.0;
        out += &format!(r#"<text x="{at}" y="{bottom}" text-anchor="{anchor}">{label}</text>"#);
    }
    for (size, judged, trial) in &points {
        let title = format!("{}\n{}, {}", trial.name, bytes(*size), value(*judged));
        out += &format!(
            r#"<circle class="{}" cx="{}" cy="{:.1}" r="6"><title>{}</title></circle>"#,
            if trial.chosen { "trial chosen" } else { "trial" },
            percent(size - x0, x1 - x0),
            y(*judged),
            escape(&title)
        );
    }
    Some(out + "</svg>")
}
