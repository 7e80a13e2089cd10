//! Line charts with logarithmic axes, as one SVG picture.

use std::fmt::Write;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Shown in the legend.
    pub name: String,
    /// Place in [`COLOURS`].
    pub colour: usize,
    /// Both positive, ascending along the first.
    pub points: Vec<(f64, f64)>,
}

/// One chart of a picture.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Above it.
    pub title: String,
    /// Under the axis.
    pub x: String,
    /// The lines.
    pub lines: Vec<Line>,
}

/// Apart for people who see colours differently as well (Okabe and Ito's palette).
pub const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 42.0;
const LEGEND: f64 = 40.0;

/// The charts in rows of `columns`, all with the same vertical axis, whose meaning `y` says.
pub fn svg(title: &str, y: &str, charts: &[Chart], columns: usize) -> String {
    let rows = charts.len().div_ceil(columns);
    let (width, height) = (columns as f64 * WIDTH, rows as f64 * HEIGHT + LEGEND);
    let mut out = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif" font-size="11" fill="#222">
<rect width="100%" height="100%" fill="#fff"/>
<text x="{LEFT}" y="18" font-size="14" font-weight="bold">{}</text>
"##,
        escape(title)
    );
    legend(&mut out, charts);
    let all = || charts.iter().flat_map(|c| &c.lines).flat_map(|l| &l.points);
    let (low, high) = decades(all().map(|p| p.1));
    for (i, chart) in charts.iter().enumerate() {
        let (x, top) = ((i % columns) as f64 * WIDTH, (i / columns) as f64 * HEIGHT + LEGEND);
        let _written = write!(out, r#"<g transform="translate({x} {top})">"#);
        draw(&mut out, chart, y, low, high);
        out += "</g>\n";
    }
    out + "</svg>\n"
}

fn legend(out: &mut String, charts: &[Chart]) {
    let mut x = LEFT;
    for line in charts.first().map_or(&[][..], |c| &c.lines) {
        let colour = COLOURS[line.colour % COLOURS.len()];
        let _written = writeln!(
            out,
            r#"<path d="M{x} 32h18" stroke="{colour}" stroke-width="2"/><text x="{}" y="36">{}</text>"#,
            x + 23.0,
            escape(&line.name)
        );
        x += 40.0 + 7.0 * line.name.len() as f64;
    }
}

/// The powers of ten around all values; a decade at least.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    let low = if low.is_finite() { low.log10().floor() } else { 0.0 };
    (low, high.log10().ceil().max(low + 1.0))
}

fn draw(out: &mut String, chart: &Chart, y_title: &str, low: f64, high: f64) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let xs: Vec<f64> = chart.lines.iter().flat_map(|l| l.points.iter().map(|p| p.0)).collect();
    let (first, last) = xs.iter().fold((f64::INFINITY, 0.0f64), |(l, h), &v| (l.min(v), h.max(v)));
    let span = (last / first).log2().max(1e-9);
    let x = |v: f64| LEFT + (v / first).log2() / span * (right - LEFT);
    let y = |v: f64| bottom - (v.log10() - low) / (high - low) * (bottom - TOP);
    let _written = write!(
        out,
        r#"<text x="{LEFT}" y="{}" font-weight="bold">{}</text><text x="{}" y="{}" text-anchor="middle">{}</text><text transform="translate(12 {}) rotate(-90)" text-anchor="middle">{}</text>"#,
        TOP - 8.0,
        escape(&chart.title),
        (LEFT + right) / 2.0,
        HEIGHT - 8.0,
        escape(&chart.x),
        (TOP + bottom) / 2.0,
        escape(y_title)
    );
    let mut decade = low;
    while decade <= high {
        let value = 10f64.powf(decade);
        let _written = write!(
            out,
            r##"<path d="M{LEFT} {0:.1}H{right}" stroke="#ddd"/><text x="{1}" y="{2:.1}" text-anchor="end">{value}</text>"##,
            y(value),
            LEFT - 5.0,
            y(value) + 4.0
        );
        decade += 1.0;
    }
    let mut ticks = xs;
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    for &tick in &ticks {
        let _written = write!(
            out,
            r##"<path d="M{0:.1} {bottom}v4" stroke="#888"/><text x="{0:.1}" y="{1}" text-anchor="middle">{tick}</text>"##,
            x(tick),
            bottom + 15.0
        );
    }
    let _written = write!(out, r##"<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#888"/>"##);
    for line in &chart.lines {
        let colour = COLOURS[line.colour % COLOURS.len()];
        let path: Vec<String> = line.points.iter().map(|p| format!("{:.1} {:.1}", x(p.0), y(p.1))).collect();
        let _written =
            write!(out, r#"<path d="M{}" fill="none" stroke="{colour}" stroke-width="2"/>"#, path.join("L"));
        for p in &line.points {
            let _written = write!(
                out,
                r#"<circle cx="{:.1}" cy="{:.1}" r="3" fill="{colour}"><title>{}: {} at {}</title></circle>"#,
                x(p.0),
                y(p.1),
                escape(&line.name),
                p.1,
                p.0
            );
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_inside_the_chart_and_text_is_escaped() {
        let line = Line { name: "a<b".to_owned(), colour: 5, points: vec![(4.0, 0.03), (64.0, 7.0)] };
        let chart = Chart { title: "t".to_owned(), x: "channels".to_owned(), lines: vec![line] };
        let picture = svg("&", "ps per MAC", &[chart], 1);
        assert!(picture.contains("a&lt;b") && picture.contains(">&amp;<"), "{picture}");
        // The least and greatest x at the ends of the axis.
        assert!(picture.contains(r#"cx="52.0""#) && picture.contains(r#"cx="388.0""#), "{picture}");
        assert_eq!(decades([0.03, 7.0].into_iter()), (-2.0, 1.0));
        assert_eq!(decades([10.0].into_iter()), (1.0, 2.0));
    }

    #[test]
    fn nothing_to_show_is_no_fault() {
        let chart = Chart { title: String::new(), x: String::new(), lines: Vec::new() };
        assert!(!svg("", "", &[chart], 3).contains("NaN"));
    }
}
