//! JSON on stdout for scripts, text on stderr for people.

use std::io::Write;

use serde_json::Value;

/// How a command speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Output { json }
    }

    /// Whether `--json` was given.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// The command's result: the JSON document with `--json`, else the text.
    pub(crate) fn result(&self, json: &Value, text: impl FnOnce() -> String) {
        if self.json {
            // A reader that closes the pipe early is no error of ours.
            let _closed = writeln!(std::io::stdout(), "{json:#}");
        } else {
            self.say(text().trim_end());
        }
    }

    /// A progress bar on stderr; silent where stderr is no terminal or there is nothing to count.
    pub(crate) fn progress(&self, what: &'static str, total: usize) -> indicatif::ProgressBar {
        if total == 0 {
            return indicatif::ProgressBar::hidden();
        }
        indicatif::ProgressBar::new(total as u64)
            .with_message(what)
            .with_finish(indicatif::ProgressFinish::AndClear)
    }

    /// A running count on stderr, for work whose end is not known ahead; silent where stderr is no terminal.
    pub(crate) fn counter(&self, what: &'static str) -> indicatif::ProgressBar {
        let style = indicatif::ProgressStyle::with_template("{spinner} {pos} {msg}, {elapsed}");
        let bar = indicatif::ProgressBar::new_spinner().with_message(what);
        style
            .map_or(bar.clone(), |style| bar.with_style(style))
            .with_finish(indicatif::ProgressFinish::AndClear)
    }

    /// A line for people.
    pub(crate) fn say(&self, text: impl std::fmt::Display) {
        let _closed = writeln!(std::io::stderr(), "{text}");
    }
}

/// Bytes as people read them.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
