//! Whether a page is well-formed: every tag closed in order, attributes quoted and once, ids and names right.

/// Elements that HTML never closes; the page writes them as `<meta …/>`.
const VOID: [&str; 3] = ["meta", "link", "br"];

/// Checks a page; the error names the fault and what stands there.
pub(crate) fn check(page: &str) -> Result<(), String> {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").ok_or("it has no document type")?;
    let mut open: Vec<&str> = Vec::new();
    while let Some(at) = rest.find('<') {
        if rest[..at].contains('>') {
            return Err(format!("a bare '>' before {}", start(&rest[at..])));
        }
        entities(&rest[..at])?;
        rest = &rest[at..];
        let end = rest.find('>').ok_or_else(|| format!("no end of tag at {}", start(rest)))?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let opened = open.pop();
            if opened != Some(name) {
                return Err(format!("</{name}> closes {opened:?} before {}", start(rest)));
            }
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |t| (t, true));
        let name = tag.split_ascii_whitespace().next().ok_or("a tag without a name")?;
        attributes(tag[name.len()..].trim())?;
        if VOID.contains(&name) || closed {
            continue;
        }
        if ["script", "style"].contains(&name) {
            let close = format!("</{name}>");
            let at = rest.find(&close).ok_or_else(|| format!("no {close}"))?;
            rest = &rest[at + close.len()..];
            continue;
        }
        open.push(name);
    }
    if open.is_empty() { Ok(()) } else { Err(format!("never closed: {open:?}")) }
}

/// `name="value"` pairs, each name once.
fn attributes(mut text: &str) -> Result<(), String> {
    let mut names = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").ok_or_else(|| format!("no value at {}", start(text)))?;
        if name.contains(|c: char| c.is_whitespace() || c == '"') || names.contains(&name) {
            return Err(format!("attribute '{name}' is odd or there twice"));
        }
        names.push(name);
        let (value, rest) = rest.split_once('"').ok_or_else(|| format!("open value of {name}"))?;
        entities(value)?;
        if value.contains("NaN") || value.contains("inf%") {
            return Err(format!("{name}=\"{value}\" is no number"));
        }
        text = rest.trim_start();
    }
    Ok(())
}

/// Every `&` starts one of the entities that the page uses.
fn entities(text: &str) -> Result<(), String> {
    let known = ["amp;", "lt;", "gt;", "quot;", "#39;"];
    match text.match_indices('&').find(|(at, _)| !known.iter().any(|k| text[at + 1..].starts_with(k))) {
        Some((at, _)) => Err(format!("a bare '&' at {}", start(&text[at..]))),
        None => Ok(()),
    }
}

fn start(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Text as the page has it.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[test]
fn faults_of_a_page_are_found() {
    let page = |body: &str| check(&format!("<!DOCTYPE html><body>{body}</body>"));
    assert_eq!(page("<p class=\"a\">x &amp; y</p><br/>"), Ok(()));
    for fault in [
        "<p>",
        "<b><i></b></i>",
        "a & b",
        "<p a=1></p>",
        "<p a=\"1\" a=\"2\"></p>",
        "</p>",
        "<p a=\"NaN\"></p>",
        "a > b",
    ] {
        assert!(page(fault).is_err(), "{fault}");
    }
}
