//! The page in Chromium, where there is one.

use std::process::Command;

/// Names that distributions give it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Puts in front of the page's script what counts errors; the page's own policy allows scripts inside it.
const WATCH: &str = "<script>window.faults = [];\
    addEventListener(\"error\", e => faults.push(e.message || \"load\"), true);\
    addEventListener(\"securitypolicyviolation\", e => faults.push(\"policy: \" + e.violatedDirective));\
    for (const level of [\"error\", \"warn\"]) console[level] = (...text) => faults.push(text.join(\" \"));\
    </script>";
/// Behind it: sorts every table by every column, moves the pointer over every rectangle, reports.
const EXERCISE: &str = "<script>let sorted = 0, tips = 0, wide = 0;\
    for (const head of document.querySelectorAll(\"table.sortable th\")) { head.click(); sorted += 1; }\
    for (const owner of document.querySelectorAll(\"[data-tip]\")) {\
      owner.dispatchEvent(new PointerEvent(\"pointermove\", { bubbles: true, clientX: 50, clientY: 50 }));\
      tips += document.querySelector(\"#tip\").hidden ? 0 : 1; }\
    wide = document.documentElement.scrollWidth - innerWidth;\
    document.documentElement.dataset.faults = JSON.stringify(faults);\
    document.documentElement.dataset.exercised = `${sorted} sorted ${tips} tips ${wide > 0 ? \"wide\" : \"fits\"}`;\
    </script>";

/// Loads the page at the widths of a phone and a desk and fails on any error in it, on content wider than the
/// window, or where sorting and tips do nothing.
pub(crate) fn check(page: &str) {
    let Some(browser) = NAMES.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok())
    else {
        println!("SKIPPED: the report in a browser, none of {NAMES:?} is here");
        return;
    };
    let page = page.replacen("<head>", &format!("<head>{WATCH}"), 1);
    let page = page.replacen("</body>", &format!("{EXERCISE}</body>"), 1);
    for width in [500, 1280] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("report.html");
        std::fs::write(&file, &page).unwrap();
        let output = Command::new(browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--dump-dom",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg(format!("--user-data-dir={}", directory.path().join("profile").display()))
            .arg(format!("--window-size={width},900"))
            .arg(format!("file://{}", file.display()))
            .output()
            .unwrap();
        let dom = String::from_utf8_lossy(&output.stdout);
        let root = dom.split_once("<html").and_then(|(_, rest)| rest.split_once('>')).map(|(root, _)| root);
        let root = root.unwrap_or_else(|| panic!("no document: {}", String::from_utf8_lossy(&output.stderr)));
        println!("{browser} at {width}: {root}");
        assert!(root.contains("data-ready=\"true\""), "the script ran to its end: {root}");
        assert!(root.contains("data-faults=\"[]\""), "no error: {root}");
        let done =
            root.split_once("data-exercised=\"").and_then(|(_, r)| r.split_once('"')).map_or("", |d| d.0);
        let numbers: Vec<usize> = done.split(' ').filter_map(|w| w.parse().ok()).collect();
        assert!(numbers.len() == 2 && numbers.iter().all(|&n| n > 20), "sorting and tips work: {done}");
        assert!(done.ends_with("fits"), "nothing is wider than a window of {width}");
    }
}
