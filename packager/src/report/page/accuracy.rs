//! Scores of both models, and who is taken for whom.

use crate::evaluate::{Classes, Confusion, Metric, Outcome};
use crate::report::Report;
use crate::report::html::{Cell, table};
use crate::report::text::{escape, percent, points, score, thousands};

/// Most classes that a matrix is drawn for.
const MATRIX: usize = 24;
/// Classes listed beyond that: those that lose most.
const LISTED: usize = 40;

/// Outcomes, then classes.
pub(super) fn content(r: &Report<'_>) -> String {
    let Some(evaluation) = r.inputs.evaluation else { return String::new() };
    let outcomes = &evaluation.outcomes;
    // Only columns that some metric fills.
    let (floats, constants) =
        (outcomes.iter().any(|o| o.source.is_some()), outcomes.iter().any(|o| o.constant.is_some()));
    let intervals = outcomes.iter().any(|o| o.interval.is_some());
    let columns = [
        (true, "metric", false),
        (floats, "float", true),
        (true, "bundle", true),
        (floats, "drop in points", true),
        (intervals, "its 95 % interval", true),
        (constants, "without looking", true),
    ];
    let row = |o: &Outcome| {
        let number = |x: Option<f64>| Cell::Number(x, x.map_or(String::new(), |x| score(x, o.unit)));
        let interval = o.interval.map_or(String::new(), |i| format!("{} to {}", points(i.lo), points(i.hi)));
        let cells = [
            Cell::Text(title(&o.name)),
            number(o.source),
            number(Some(o.bundle)),
            Cell::Number(o.drop(), o.drop().map_or(String::new(), points)),
            Cell::Number(o.interval.map(|i| i.hi - i.lo), interval),
            number(o.constant),
        ];
        cells.into_iter().zip(&columns).filter(|c| c.1.0).map(|c| c.0).collect()
    };
    let rows: Vec<Vec<Cell>> = outcomes.iter().map(row).collect();
    let headings: Vec<(&str, bool)> = columns.iter().filter(|c| c.0).map(|c| (c.1, c.2)).collect();
    let mut out = table("scores", &headings, &rows, None);
    let constant = if constants {
        " “Without looking” is what the best answer that ignores the input would score."
    } else {
        ""
    };
    let samples = thousands(evaluation.samples as u64);
    out += &format!("<p class=\"note\">{samples} samples.{constant}</p>\n");
    if let Some(classes) = &evaluation.classes {
        out += &agreement(classes);
        let names = names(&r.facts.labels, classes.source.classes());
        if names.len() <= MATRIX && classes.source.count(0, 0).is_some() {
            out += &format!(
                "<div class=\"matrices\">\n<div><h3>Float model</h3>{}</div>\n<div><h3>Bundle</h3>{}</div>\n</div>\n",
                matrix(&classes.source, &names),
                matrix(&classes.bundle, &names)
            );
            out += "<p class=\"note\">Rows are the labels, columns the answers.</p>\n";
        }
        out += &format!(
            "<details{}><summary>Recall and precision by class</summary>\n{}</details>\n",
            if names.len() > MATRIX { " open=\"\"" } else { "" },
            by_class(classes, &names)
        );
    }
    out
}

/// What people call a metric.
pub(super) fn title(name: &str) -> String {
    Metric::find(name).map_or(name, |m| m.title()).to_owned()
}

fn agreement(classes: &Classes) -> String {
    let beside = percent(classes.constant_agreement);
    let text = if classes.agreement_counts() {
        format!(
            "Both give the same class for {} of the samples; always giving the float model's commonest class would agree on {beside}.",
            percent(classes.agreement)
        )
    } else {
        format!(
            "Both give the same class for {} of the samples, which says little: {beside} of the float model's answers are one class.",
            percent(classes.agreement)
        )
    };
    format!("<p class=\"note\">{}</p>\n", escape(&text))
}

fn names(labels: &[String], classes: usize) -> Vec<String> {
    (0..classes).map(|c| labels.get(c).cloned().unwrap_or_else(|| format!("class {c}"))).collect()
}

fn matrix(c: &Confusion, names: &[String]) -> String {
    let heading = |name: &String| format!("<th scope=\"col\" title=\"{0}\">{0}</th>", escape(name));
    let mut out = format!(
        "<div class=\"scroll\"><table class=\"matrix\"><thead><tr><th class=\"row\"></th>{}</tr></thead><tbody>\n",
        names.iter().map(heading).collect::<String>()
    );
    for (label, name) in names.iter().enumerate() {
        out += &format!("<tr><th scope=\"row\" class=\"row\" title=\"{0}\">{0}</th>", escape(name));
        for (answer, given) in names.iter().enumerate() {
            let n = c.count(label, answer).unwrap_or(0);
            let share = n as f64 / c.support(label).max(1) as f64;
            let class = match (n, label == answer) {
                (0, _) => "zero",
                (_, true) => "right",
                (_, false) => "wrong",
            };
            let title = format!("{name} given as {given}: {n} of {} ({})", c.support(label), percent(share));
            out += &format!(
                "<td class=\"{class}\" style=\"--p:{share:.3}\" title=\"{}\">{n}</td>",
                escape(&title)
            );
        }
        out += "</tr>\n";
    }
    out + "</tbody></table></div>"
}

/// All classes in order, or those whose recall falls most.
fn by_class(classes: &Classes, names: &[String]) -> String {
    let fall = |c: usize| Some(classes.source.recall(c)? - classes.bundle.recall(c)?);
    let mut order: Vec<usize> = (0..names.len()).collect();
    if order.len() > LISTED {
        order.sort_by(|&a, &b| fall(b).unwrap_or(-2.0).total_cmp(&fall(a).unwrap_or(-2.0)));
        order.truncate(LISTED);
    }
    let number = |x: Option<f64>| Cell::Number(x, x.map_or(String::new(), percent));
    let row = |&c: &usize| {
        let support = classes.source.support(c);
        vec![
            Cell::Text(names[c].clone()),
            Cell::Number(Some(support as f64), thousands(support)),
            number(classes.source.recall(c)),
            number(classes.bundle.recall(c)),
            number(classes.source.precision(c)),
            number(classes.bundle.precision(c)),
        ]
    };
    let columns = [
        ("class", false),
        ("samples", true),
        ("recall, float", true),
        ("recall, bundle", true),
        ("precision, float", true),
        ("precision, bundle", true),
    ];
    table("sortable", &columns, &order.iter().map(row).collect::<Vec<_>>(), None)
}
