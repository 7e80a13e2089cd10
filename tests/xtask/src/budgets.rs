//! `cargo xtask budgets`: what models cost on microcontrollers against tests/budgets.toml. Only counts that repeat
//! exactly; never time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command;
use crate::mcu::{Bench, Cost, Selection};
use crate::tally::Tally;

/// What other compilers than the one that the counts were taken with may exceed them by, in percent.
const OTHER_COMPILER: u64 = 3;
/// A count this far below its line, in percent, deserves a new line.
const WORTH_LOWERING: u64 = 5;

/// What is compared; the file's names.
type Line = BTreeMap<String, u64>;
/// By core and model.
type Table = BTreeMap<String, BTreeMap<String, Line>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budgets {
    /// The compiler that the counts were taken with, as `rustc --version` says it.
    rustc: String,
    /// Limits that hold whatever was counted; written by hand.
    #[serde(default)]
    promised: Table,
    /// What was counted last.
    #[serde(default)]
    counted: Table,
}

/// What is compared.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Write what is counted into the file.
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    selection: Selection,
}

impl Args {
    /// What the test command compares.
    pub(crate) fn promised() -> Self {
        Args { update: false, selection: Selection::promised() }
    }
}

/// Measures models on cores and compares with the file, or rewrites it.
pub(crate) fn run(args: &Args) -> Result<Tally> {
    let path = path();
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut budgets: Budgets = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let rustc = command::read(Command::new("rustc").arg("--version"))?.trim().to_owned();
    let mut tally = Tally::default();
    let measurable: Vec<_> = args
        .selection
        .cores()
        .filter(|&core| match Bench::missing(core) {
            Some(why) => {
                tally.skip(format!("budgets on {}: {why}", core.core));
                false
            }
            None => true,
        })
        .collect();
    if measurable.is_empty() {
        return Ok(tally);
    }
    let bench = Bench::new()?;
    for core in measurable {
        for model in args.selection.models() {
            let what = format!("{model} on {}", core.core);
            let Some(bundle) = bench.pack(model, core.core)? else {
                tally.skip(format!("budgets of {what}: ../shared is not there"));
                continue;
            };
            let seen = line(&bench.cost(&bundle, core, false)?);
            if let Some(promised) = find(&budgets.promised, core.core, model) {
                let result = excess(promised, &seen, 0);
                tally.record(&format!("{what} keeps what is promised"), within(result));
            }
            if args.update {
                budgets.counted.entry(core.core.to_owned()).or_default().insert(model.to_owned(), seen);
                continue;
            }
            let slack = if rustc == budgets.rustc { 0 } else { OTHER_COMPILER };
            let Some(counted) = find(&budgets.counted, core.core, model) else {
                tally.skip(format!(
                    "budget of {what}: no line in the file; `cargo xtask budgets --update` adds it"
                ));
                continue;
            };
            lower(&what, counted, &seen);
            tally.record(&format!("{what} within its budget"), within(excess(counted, &seen, slack)));
        }
    }
    if args.update {
        budgets.rustc = rustc;
        std::fs::write(&path, budgets.text())?;
        eprintln!("wrote {}", path.display());
    }
    Ok(tally)
}

fn path() -> PathBuf {
    command::root().join("tests/budgets.toml")
}

fn find<'t>(table: &'t Table, core: &str, model: &str) -> Option<&'t Line> {
    table.get(core)?.get(model)
}

fn line(cost: &Cost) -> Line {
    [
        ("instructions", cost.counts.instructions),
        ("load_words", cost.counts.load_words),
        ("arena", cost.arena),
        ("stack", cost.stack),
        ("flash", cost.flash),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// What is above its limit by more than `slack` percent, in words; a limit on something nobody counts is one, too.
fn excess(limits: &Line, seen: &Line, slack: u64) -> Vec<String> {
    let judge = |(name, &limit): (&String, &u64)| match seen.get(name) {
        Some(&count) if count * 100 <= limit * (100 + slack) => None,
        Some(count) => Some(format!("{name} {count} of {limit}")),
        None => Some(format!("{name} is not counted")),
    };
    limits.iter().filter_map(judge).collect()
}

fn within(excess: Vec<String>) -> Result<()> {
    anyhow::ensure!(
        excess.is_empty(),
        "{}; where that is meant, `cargo xtask budgets --update` rewrites tests/budgets.toml",
        excess.join(", ")
    );
    Ok(())
}

/// Says which lines have become loose.
fn lower(what: &str, limits: &Line, seen: &Line) {
    for (name, &limit) in limits {
        if let Some(&count) = seen.get(name).filter(|&&c| c * 100 < limit * (100 - WORTH_LOWERING)) {
            eprintln!(
                "{what}: {name} {count} is well below {limit}; `cargo xtask budgets --update` keeps it there"
            );
        }
    }
}

impl Budgets {
    /// The file. Promises are kept as they are, counts are rewritten.
    fn text(&self) -> String {
        let mut text = String::from(
            "# What models cost on microcontrollers, in counts that repeat exactly: executed instructions and words\n\
             # loaded per inference, bytes of arena, stack (load and run) and flash (runtime and kernels, without\n\
             # model and harness). `cargo xtask budgets` fails where a count exceeds its line.\n\
             \n\
             # The compiler that they were taken with; others may exceed them by a little.\n",
        );
        text += &format!("rustc = {:?}\n", self.rustc);
        text += "\n# Limits that hold whatever was counted. By hand: --update keeps them. Cortex-M0's are half of what its\n\
                 # reference kernels take: `cargo xtask bench-mcu --core cortex-m0 --reference`.\n";
        text += &table("promised", &self.promised);
        text += "\n# What was counted last: `cargo xtask budgets --update` writes it.\n";
        text + &table("counted", &self.counted)
    }
}

fn table(name: &str, table: &Table) -> String {
    let mut text = String::new();
    for (core, models) in table {
        text += &format!("[{name}.{core}]\n");
        for (model, line) in models {
            let entries: Vec<_> = line.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            text += &format!("{model} = {{ {} }}\n", entries.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcu::{CORES, NAMES};

    fn limits(entries: &[(&str, u64)]) -> Line {
        entries.iter().map(|&(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn a_count_above_its_line_is_named() {
        let seen = limits(&[("stack", 2049), ("flash", 100)]);
        assert_eq!(excess(&limits(&[("stack", 2048), ("flash", 100)]), &seen, 0), ["stack 2049 of 2048"]);
        assert_eq!(excess(&limits(&[("stack", 2048)]), &seen, 3), [] as [&str; 0]);
        assert_eq!(excess(&limits(&[("heap", 1)]), &seen, 0), ["heap is not counted"]);
    }

    #[test]
    fn the_file_comes_back_as_it_was_written() {
        let mut budgets = Budgets { rustc: "rustc 1.95.0 \"x\"".to_owned(), ..Budgets::default() };
        for table in [&mut budgets.promised, &mut budgets.counted] {
            table
                .entry("cortex-m4".to_owned())
                .or_default()
                .insert("kws".to_owned(), limits(&[("arena", 7)]));
        }
        let again: Budgets = toml::from_str(&budgets.text()).unwrap();
        assert_eq!(
            (again.rustc, again.promised, again.counted),
            (budgets.rustc, budgets.promised, budgets.counted)
        );
    }

    #[test]
    fn the_file_names_models_and_cores_that_exist() {
        let budgets: Budgets = toml::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
        for (core, models) in budgets.promised.iter().chain(&budgets.counted) {
            assert!(CORES.iter().any(|m| m.core == core), "no core {core}");
            for model in models.keys() {
                assert!(NAMES.contains(&model.as_str()), "no model {model}");
            }
        }
    }
}
