//! Evaluation and the report on whole models: well-formed, self-contained, complete, the same every time, and
//! without an error in a real browser.

mod browser;
mod markup;
#[path = "../mixed/mod.rs"]
mod mixed;
mod packing;

use std::path::Path;

use packing::{Packing, shared_model, vibration};
use samara_packager::evaluate::{self, Metric, Truth, evaluate, external};
use samara_packager::report::{Budget, Inputs, LayerError, Report, Trial, Unit, cost};
use samara_packager::target;

/// A report with every part.
fn inputs(p: &Packing) -> Inputs<'_> {
    let host = target::find("cortex-m4").expect("it is a target");
    let mut inputs = Inputs::new(&p.packed, &p.bundle, host);
    inputs.model = Some((p.file.clone(), p.model_bytes));
    inputs.evaluation = p.evaluation.as_ref();
    inputs.layers = p.comparisons.iter().map(LayerError::from).collect();
    for (i, layer) in inputs.layers.iter_mut().enumerate() {
        // Until `compare` tells own noise from inherited, the report's second bar is tried with made-up figures.
        layer.own_db = Some(layer.sqnr_db + i as f64 % 5.0);
    }
    assert!(!inputs.histograms.is_empty() && inputs.recipe.is_some() && !inputs.trials.is_empty());
    inputs.budgets = vec![
        Budget { name: "RAM".into(), unit: Unit::Bytes, limit: 16384.0, actual: p.packed.plan.arena as f64 },
        Budget { name: "flash".into(), unit: Unit::Bytes, limit: 8192.0, actual: p.bundle.len() as f64 },
        Budget { name: "accuracy drop".into(), unit: Unit::Points, limit: 1.0, actual: 0.25 },
    ];
    inputs.trials.push(Trial { name: "a name with <b>tags</b> & more".into(), ..Trial::default() });
    inputs
}

#[test]
fn the_page_of_the_vibration_model_is_whole() {
    let p = vibration();
    let report = Report::new(inputs(p)).unwrap_or_else(|e| panic!("{e}"));
    let (page, json) = (report.html(), report.json());
    p.write(&page, &json);
    markup::check(&page).unwrap_or_else(|e| panic!("{e}"));
    assert!(!page.contains("http:") && !page.contains("https:"), "the page refers to something outside it");
    assert!(page.contains("&lt;b&gt;tags") && !page.contains("<b>tags"), "text is escaped");
    for id in ["accuracy", "size", "error", "activations", "memory", "time", "recipe", "lineage"] {
        assert!(page.contains(&format!("<section id=\"{id}\">")), "section {id}");
        assert!(page.contains(&format!("href=\"#{id}\"")), "link to {id}");
    }
    let names: Vec<&str> =
        json["memory"]["tensors"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    for tensor in &p.packed.plan.tensors {
        if tensor.desc.place == samara_runtime::Place::Arena {
            assert!(names.contains(&&tensor.name[..]), "{} is in the JSON", tensor.name);
            assert!(page.contains(&markup::escaped(&tensor.name)), "{} is on the page", tensor.name);
        }
    }
    for label in &p.labels {
        assert!(page.contains(&format!(">{label}<")), "class {label}");
    }
    let again = Report::new(inputs(p)).unwrap();
    assert_eq!((again.html(), again.json()), (page, json), "equal inputs give equal bytes");
}

#[test]
fn figures_of_the_report_are_those_of_the_plan() {
    let p = vibration();
    let report = Report::new(inputs(p)).unwrap().json();
    let plan = &p.packed.plan;
    assert_eq!(report["memory"]["arena_bytes"], plan.arena);
    let heights: Vec<u64> =
        report["memory"]["heights"].as_array().unwrap().iter().map(|h| h.as_u64().unwrap()).collect();
    let top = heights.iter().copied().max().unwrap() as usize;
    assert_eq!(top.next_multiple_of(16), plan.arena, "the highest byte is the arena's");
    assert_eq!(heights[report["memory"]["peak_step"].as_u64().unwrap() as usize] as usize, top);
    assert_eq!(heights.len(), plan.steps.len() + 2);
    let after = report["sizes"]["after"]["total"].as_u64().unwrap() as usize;
    let padding = report["sizes"]["padding"].as_u64().unwrap() as usize;
    assert_eq!(after + padding, plan.weights.len(), "every byte of the weights is some layer's");
    let constants: usize = p.packed.source.tensors.iter().filter_map(|t| t.data.as_ref()).map(Vec::len).sum();
    let before = report["sizes"]["before"]["total"].as_u64().unwrap() as usize;
    assert!(before <= constants && before > after, "{before} of {constants}, {after}");
    assert_eq!(report["macs"], plan.macs());
    let estimates = report["estimates"].as_array().unwrap();
    assert_eq!(estimates.len(), target::PROFILES.len());
    assert!(
        estimates.iter().all(|e| e["milliseconds"].as_f64().is_some_and(|ms| ms > 0.0)),
        "int8 runs anywhere"
    );
}

#[test]
fn a_report_of_little_is_a_page_too() {
    let p = vibration();
    let (histograms, trials) = (Vec::new(), Vec::new());
    let all = Inputs::new(&p.packed, &p.bundle, p.target);
    let little = Inputs { histograms, trials, recipe: None, recovered: &[], ..all };
    let report = Report::new(little).unwrap();
    let page = report.html();
    markup::check(&page).unwrap_or_else(|e| panic!("{e}"));
    for id in ["accuracy", "error", "activations", "recipe"] {
        assert!(!page.contains(&format!("id=\"{id}\"")), "nothing is known for {id}");
    }
    assert!(report.json()["accuracy"].is_null());
}

/// The model card: 90.25 % of 1200 windows. Both models of one packing in one pass agree with that.
#[test]
fn the_vibration_model_is_scored_as_its_card_says() {
    let p = vibration();
    let e = p.evaluation.as_ref().unwrap();
    let top1 = &e.outcomes[0];
    println!(
        "vibration: {} -> {} %, drop {:?}, {:?}",
        top1.source.unwrap(),
        top1.bundle,
        top1.drop(),
        top1.interval
    );
    assert_eq!(e.samples, 1200);
    assert!((top1.source.unwrap() - 90.25).abs() < 0.2, "{top1:?}");
    assert!(top1.drop().unwrap() < 2.0, "{top1:?}");
    let interval = top1.interval.unwrap();
    assert!(interval.lo <= top1.drop().unwrap() && top1.drop().unwrap() <= interval.hi, "{interval:?}");
    assert!((top1.constant.unwrap() - 100.0 / 6.0).abs() < 1e-9, "classes are equally frequent");
    let classes = e.classes.as_ref().unwrap();
    assert!(classes.agreement > 0.9 && classes.agreement_counts(), "{classes:?}");
    let diagonal: u64 = (0..6).map(|c| classes.bundle.count(c, c).unwrap()).sum();
    assert!(
        (100.0 * diagonal as f64 / 1200.0 - top1.bundle).abs() < 1e-9,
        "the matrix is of the same answers"
    );
    let top5 = &e.outcomes[1];
    assert!(top5.bundle >= top1.bundle && top5.source.unwrap() >= top1.source.unwrap());
    assert!(e.outcomes[2].bundle > 15.0 && e.outcomes[2].source.is_none(), "{:?}", e.outcomes[2]);
}

#[test]
fn truth_of_another_data_set_is_refused() {
    let p = vibration();
    let run = |truth: Truth, metric| {
        let error =
            evaluate(&p.packed.source, &p.bundle, p.samples().take(5), &truth, &[metric]).unwrap_err();
        error.to_string()
    };
    assert!(run(Truth::from_labels(vec![0; 6]), Metric::Top1).contains("for 6 samples, not 5"));
    assert!(run(Truth::from_labels(vec![9; 5]), Metric::Top1).contains("holds 9 at sample 0"));
    assert!(run(Truth::NONE, Metric::Top1).contains("no labels"));
    assert!(run(Truth::from_labels(vec![0; 5]), Metric::Auc).contains("auc needs"));
    assert!(run(Truth::from_targets(3, vec![0.0; 15]), Metric::Mae).contains("has 6"));
    let none = evaluate(&p.packed.source, &p.bundle, p.samples().take(0), &Truth::NONE, &[Metric::Sqnr]);
    assert!(none.unwrap_err().to_string().contains("no sample"));
}

#[cfg(unix)]
#[test]
fn a_command_scores_the_outputs() {
    let p = vibration();
    let run =
        |command: &str| external::evaluate_with(&p.packed.source, &p.bundle, p.samples().take(3), command);
    // It counts the bytes of each archive: both hold three samples of six scores.
    let script = r#"f() { printf '{"float": %d, "bundle": %d, "higher_is_better": true}' $(wc -c <"$1") $(wc -c <"$2"); }; f"#;
    let (outcome, samples) = run(script).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(samples, 3);
    assert!(outcome.bundle > 100.0 && outcome.source.unwrap() > 100.0, "{outcome:?}");
    assert!(run("false").unwrap_err().to_string().contains("the command 'false'"));
}

/// The MLPerf Tiny models: larger plans, long names, reconstruction.
#[test]
fn pages_of_shared_models_are_whole() {
    for stem in ["vww_mobilenet", "kws_dscnn", "ad_autoencoder", "ic_resnet8"] {
        let Some(p) = shared_model(stem) else { continue };
        let report = Report::new(inputs(&p)).unwrap_or_else(|e| panic!("{e}"));
        let page = report.html();
        p.write(&page, &report.json());
        markup::check(&page).unwrap_or_else(|e| panic!("{stem}: {e}"));
        assert!(!page.contains("http:") && !page.contains("https:"), "{stem}");
        println!("{stem}: {} bytes of page", page.len());
    }
}

/// Reconstruction on a real autoencoder: both areas are those of counting every pair of samples.
#[test]
fn a_reconstruction_is_scored_by_every_pair() {
    let Some(p) = shared_model("ad_autoencoder") else { return };
    let source = &p.packed.source;
    let (mut scores, mut labels) = ((Vec::new(), Vec::new()), Vec::new());
    evaluate::both(source, &p.bundle, p.samples(), |pair| {
        let score = |output: &[f32]| -> f64 {
            output.iter().zip(pair.input).map(|(&y, &x)| (f64::from(y) - f64::from(x)).powi(2)).sum()
        };
        scores.0.push(score(&pair.source[0]));
        scores.1.push(score(&pair.bundle[0]));
        labels.push(i64::from(pair.sample % 3 == 0));
        Ok(())
    })
    .unwrap_or_else(|e| panic!("{e}"));
    let area = |scores: &[f64]| {
        let of = |label| (0..labels.len()).filter(|&i| labels[i] == label).collect::<Vec<_>>();
        let (normal, anomalous) = (of(0), of(1));
        let above =
            |&a: &usize| normal.iter().map(|&n| f64::from(u8::from(scores[a] > scores[n]))).sum::<f64>();
        100.0 * anomalous.iter().map(above).sum::<f64>() / (normal.len() * anomalous.len()) as f64
    };
    let truth = Truth::from_labels(labels.clone());
    assert_eq!(Metric::suggest(source, &truth), Metric::Auc);
    let got =
        evaluate(source, &p.bundle, p.samples(), &truth, &[Metric::Auc]).unwrap_or_else(|e| panic!("{e}"));
    let auc = &got.outcomes[0];
    println!("autoencoder: {:?} -> {} %", auc.source, auc.bundle);
    assert!((auc.source.unwrap() - area(&scores.0)).abs() < 1e-9, "{auc:?}, {}", area(&scores.0));
    assert!((auc.bundle - area(&scores.1)).abs() < 1e-9, "{auc:?}, {}", area(&scores.1));
}

#[test]
fn a_report_is_written_as_its_name_says() {
    let p = vibration();
    let report = Report::new(Inputs::new(&p.packed, &p.bundle, p.target)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    report.write(&path("r.html")).unwrap();
    report.write(&path("r.json")).unwrap();
    assert_eq!(std::fs::read_to_string(path("r.html")).unwrap(), report.html());
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path("r.json")).unwrap()).unwrap();
    assert_eq!(json["digest"], report.json()["digest"]);
    let error = report.write(&path("r.pdf")).unwrap_err().to_string();
    assert!(error.contains("r.pdf") && error.contains(".html or .json"), "{error}");
    assert!(!path("r.pdf").exists());
}

#[test]
fn a_browser_shows_the_page_without_an_error() {
    let p = vibration();
    let page = Report::new(inputs(p)).unwrap().html();
    browser::check(&page);
}

/// Where a model of the budgets is.
const FILES: [(&str, &str); 4] =
    [("kws", "kws_dscnn"), ("ic", "ic_resnet8"), ("vww", "vww_mobilenet"), ("ad", "ad_autoencoder")];

/// The estimate is a fit of few constants to the counts in `tests/budgets.toml`; it must stay one.
#[test]
fn estimated_instructions_are_near_counted_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let budgets: toml::Table =
        std::fs::read_to_string(root.join("tests/budgets.toml")).unwrap().parse().unwrap();
    let plan = |model: &str| {
        let file = FILES.iter().find(|(name, _)| *name == model);
        let Some((_, stem)) = file else { return Some(vibration().packed.plan.clone()) };
        let path = mixed::shared().join(format!("models/mlperf-tiny/{stem}_int8.tflite"));
        if !path.exists() {
            println!("SKIPPED: {stem}, {} is not here", path.display());
            return None;
        }
        Some(packing::plan(&path))
    };
    let mut far = Vec::new();
    let mut compared = 0;
    let plans: Vec<_> = ["vibration", "kws", "ic", "vww", "ad"].map(|model| (model, plan(model))).into();
    for (core, counted) in budgets["counted"].as_table().unwrap() {
        let Some(profile) = target::find(core) else { continue };
        let kernels = cost::speed(profile).kernels;
        for (model, plan) in plans.iter().filter_map(|(model, plan)| Some((model, plan.as_ref()?))) {
            let Some(counted) = counted.get(model).map(|line| line["instructions"].as_integer().unwrap())
            else {
                continue;
            };
            let all: f64 = plan.steps.iter().map(|s| cost::instructions(plan, s, kernels)).sum();
            let ratio = all / counted as f64;
            println!("{model} on {core}: {all:.0} estimated, {counted} counted, {ratio:.2}");
            compared += 1;
            if !(0.75..1.34).contains(&ratio) {
                far.push(format!("{model} on {core}: {ratio:.2}"));
            }
        }
    }
    assert!(far.is_empty() && compared > 0, "off by more than a quarter: {far:?}");
}
