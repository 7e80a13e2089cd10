//! Numbers as people read them, and text that is safe inside HTML.

use std::fmt::Write;

/// Text as HTML content or attribute value.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Control characters are no characters of HTML.
            c if c.is_control() && c != '\n' => {
                let _infallible = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// Bytes with a binary unit.
pub(super) fn bytes(n: f64) -> String {
    match n {
        n if n < 10_240.0 => format!("{} B", thousands(n as u64)),
        n if n < 10_485_760.0 => format!("{:.1} KiB", n / 1024.0),
        n => format!("{:.1} MiB", n / 1_048_576.0),
    }
}

/// A count with a decimal prefix.
pub(super) fn count(n: u64) -> String {
    match n {
        0..10_000 => thousands(n),
        10_000..1_000_000 => format!("{:.1} k", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", n as f64 / 1e6),
        _ => format!("{:.1} G", n as f64 / 1e9),
    }
}

/// An integer with a thin space between groups of three digits.
pub(super) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out
}

/// Milliseconds with a fitting unit.
pub(super) fn time(milliseconds: f64) -> String {
    match milliseconds {
        t if t < 0.1 => format!("{:.0} µs", t * 1e3),
        t if t < 1.0 => format!("{:.2} ms", t),
        t if t < 100.0 => format!("{t:.1} ms"),
        t if t < 1_000.0 => format!("{t:.0} ms"),
        t => format!("{:.1} s", t / 1e3),
    }
}

/// A real with about four significant digits.
pub(super) fn real(x: f64) -> String {
    let size = x.abs();
    match size {
        _ if x == 0.0 => "0".into(),
        _ if !(1e-3..1e6).contains(&size) => format!("{x:.2e}"),
        _ if size < 1.0 => format!("{x:.4}"),
        _ if size < 100.0 => format!("{x:.2}"),
        _ => format!("{x:.0}"),
    }
}

/// Decibels; `exact` where there is no noise.
pub(super) fn decibels(db: f64) -> String {
    if db.is_finite() { format!("{db:.1} dB") } else { "exact".into() }
}

/// A share in [0, 1] in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Points of a metric: hundredths where they are few enough to matter, and a proper minus.
pub(super) fn points(x: f64) -> String {
    let text = if x.abs() < 0.005 && x != 0.0 { format!("{x:.1e}") } else { format!("{x:.2}") };
    let text =
        if text.contains('e') { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() };
    text.replace('-', "−")
}

/// A score with its unit.
pub(super) fn score(value: f64, unit: &str) -> String {
    match unit {
        "%" => format!("{value:.2} %"),
        "dB" => decibels(value),
        _ => real(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_html_is_left_in_text() {
        assert_eq!(escape("<a b=\"c\">&'\0\n"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;\\u{0}\n");
    }

    #[test]
    fn numbers_read_well() {
        let t = '\u{202f}';
        assert_eq!((bytes(512.0), bytes(9999.0)), ("512 B".into(), format!("9{t}999 B")));
        assert_eq!((bytes(16_589.0), bytes(2e7)), ("16.2 KiB".into(), "19.1 MiB".into()));
        assert_eq!(thousands(1_234_567), format!("1{t}234{t}567"));
        assert_eq!((time(0.05), time(0.5), time(12.34), time(65_000.0)).3, "65.0 s");
        assert_eq!((real(0.0), real(-3.25159), real(1e-9)), ("0".into(), "-3.25".into(), "1.00e-9".into()));
        assert_eq!([0.0, 1.0, -0.0833, 0.5, 0.00012].map(points), ["0", "1", "−0.08", "0.5", "1.2e−4"]);
        assert_eq!((decibels(f64::INFINITY), percent(0.125)), ("exact".into(), "12.5 %".into()));
    }
}
