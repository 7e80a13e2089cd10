//! The page's frame: style, script, and nothing from elsewhere.

use super::text::escape;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A whole page. The policy in its head makes the browser refuse anything that is not in the page itself.
pub(super) fn frame(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\"/>\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escape(title)
    )
}

/// A part of the page with a heading and one line that says what is seen; nothing where there is no content.
pub(super) fn section(id: &str, heading: &str, lead: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"{id}\">\n<h2>{}</h2>\n<p class=\"lead\">{}</p>\n{content}\n</section>\n",
        escape(heading),
        escape(lead)
    )
}

/// A cell of a table.
pub(super) enum Cell {
    /// Text, sorted as text.
    Text(String),
    /// A name and its short form, which is shown; the whole on hover.
    Name(String, String),
    /// A number and how it is written; `None` sorts last and shows a dash.
    Number(Option<f64>, String),
    /// HTML made by this module's callers, not sorted.
    Picture(String),
}

/// A table whose columns can be sorted; `columns` are headings and whether the column is numeric.
pub(super) fn table(
    class: &str,
    columns: &[(&str, bool)],
    rows: &[Vec<Cell>],
    foot: Option<Vec<Cell>>,
) -> String {
    let mut out = format!("<div class=\"scroll\"><table class=\"{class}\">\n<thead><tr>");
    for (heading, numeric) in columns {
        let class = if *numeric { " class=\"n\"" } else { "" };
        out += &format!("<th scope=\"col\"{class}>{}</th>", escape(heading));
    }
    out += "</tr></thead>\n<tbody>\n";
    for row in rows {
        out += &format!("<tr>{}</tr>\n", row.iter().map(cell).collect::<String>());
    }
    out += "</tbody>\n";
    if let Some(foot) = foot {
        out += &format!("<tfoot><tr>{}</tr></tfoot>\n", foot.iter().map(cell).collect::<String>());
    }
    out + "</table></div>"
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => format!("<td>{}</td>", escape(text)),
        Cell::Name(name, short) => {
            let (name, short) = (escape(name), escape(short));
            format!("<td class=\"name\" data-v=\"{short}\"><span title=\"{name}\">{short}</span></td>")
        }
        Cell::Number(None, _) => "<td class=\"n\" data-v=\"\">–</td>".into(),
        Cell::Number(Some(value), text) => {
            // The script's word for it.
            let value = if *value == f64::INFINITY { "Infinity".into() } else { value.to_string() };
            format!("<td class=\"n\" data-v=\"{value}\">{}</td>", escape(text))
        }
        Cell::Picture(html) => format!("<td class=\"picture\">{html}</td>"),
    }
}
