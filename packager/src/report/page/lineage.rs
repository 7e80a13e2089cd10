//! What the bundle was made from.

use crate::report::Report;
use crate::report::text::escape;

/// The bundle's identity and its card.
pub(super) fn content(r: &Report<'_>) -> String {
    let mut entries = vec![("bundle · digest".to_owned(), r.facts.digest.clone())];
    if let Some((name, _)) = &r.inputs.model {
        entries.push(("source · file".into(), name.clone()));
    }
    entries.extend(r.facts.lineage());
    let entry = |(key, value): &(String, String)| {
        let hash = value.len() >= 32 && value.bytes().all(|b| b.is_ascii_hexdigit());
        let class = if hash { " class=\"hash\"" } else { "" };
        format!("<dt>{}</dt><dd{class}>{}</dd>\n", escape(key), escape(value))
    };
    format!("<dl>\n{}</dl>", entries.iter().map(entry).collect::<String>())
}
