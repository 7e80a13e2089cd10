//! Model cards: what every card says in the same way, with the figures of the run that made the model.

use crate::data::{CALIBRATION, DRAWS, Split};
use crate::model::{FINETUNE_EPOCHS, Model, Outcome, Task};

/// What a card says in words of its own; Markdown without a final newline.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Heading.
    pub title: &'static str,
    /// What the model does, from what to what.
    pub purpose: fn() -> String,
    /// One sample in the plural.
    pub samples: &'static str,
    /// How the data are simulated and what the network sees of them.
    pub data: fn() -> String,
    /// Layers, and what else happened to the weights.
    pub network: fn() -> String,
    /// How it was trained, the number of epochs excepted.
    pub training: &'static str,
    /// What it is for and what not.
    pub limits: &'static str,
}

/// What the card quotes.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Stored values, statistics of batch normalization included.
    pub parameters: usize,
    /// Size of the model file.
    pub model_bytes: usize,
    /// Of the float model on the evaluation split.
    pub float: &'a Outcome,
    /// Size of the file with trained ranges, where the model has one.
    pub quantized_bytes: Option<usize>,
    /// Of bundles on the evaluation split: the file, what was done with it, the outcome.
    pub bundles: &'a [(String, String, Outcome)],
}

/// The card as Markdown.
pub fn render(model: &Model, facts: &Facts<'_>) -> String {
    let parts = [
        introduction(model),
        files(model, facts),
        data(model),
        network(model),
        figures(model, facts),
        aware(model, facts),
        bundles(model, facts),
        format!("## Intended use and limits\n\n{}\n", model.text.limits),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn introduction(model: &Model) -> String {
    format!(
        "# {}

{}

This file is written by `samara-models card`; edit `models/src/{}/text.rs` and `models/src/card.rs` instead.
",
        model.text.title,
        (model.text.purpose)(),
        model.name
    )
}

fn files(model: &Model, facts: &Facts<'_>) -> String {
    let (name, input, samples) = (model.name, model.source.input, model.text.samples);
    let shape: Vec<String> = model.source.shape.iter().map(usize::to_string).collect();
    let labels = match model.task {
        Task::Classification { .. } => "",
        Task::Reconstruction => ": 0 normal, 1 anomalous",
    };
    format!(
        "## Files

| file | content |
|---|---|
| `model.onnx` | float32, opset 17, {} bytes, {} stored values; {} |
{}| `calibrate.npz` | `{input}`: {CALIBRATION} unlabelled {samples}, float32 [n, {}], for choosing quantization ranges |
| `evaluate.npz` | `{input}` and `labels` (int64{labels}): the {} {samples} of the evaluation split |

```
cargo run --release -p samara-models --features train -- train {name} -o models/{name}
cargo run --release -p samara-models -- data {name} -o models/{name}
cargo run --release -p samara-models -- data {name} -o DIR --splits
```

The first makes model and data anew (burn is large: the build takes longer than the training), the second only
the data above, the third the large sets of the table below: `train.npz`, `test.npz`, and `calibrate-0.npz` (which
is `calibrate.npz`) to `calibrate-{}.npz`. The data are a function of the seed ({}): generator and
features use a ChaCha stream and software mathematics, no function of the platform. Training repeats bit for bit on
one machine; an instruction set with other vector widths sums in another order and ends at slightly different weights.
",
        facts.model_bytes,
        facts.parameters,
        match model.task {
            Task::Classification { .. } => "batch normalization is not folded",
            Task::Reconstruction => "fully connected layers",
        },
        facts.quantized_bytes.map_or_else(String::new, |bytes| format!(
            "| `model_qat.onnx` | trained on for int8, QuantizeLinear and DequantizeLinear, opset 17, {bytes} bytes |\n"
        )),
        shape.join(", "),
        model.source.sizes.evaluation,
        DRAWS - 1,
        model.seed
    )
}

fn data(model: &Model) -> String {
    let size = |split| model.source.size(split);
    let samples = model.text.samples;
    let classes = match model.task {
        Task::Classification { .. } => {
            "Classes take turns and are equally frequent (calibration: to within one of them)."
        }
        Task::Reconstruction => {
            "Train and calibration are normal throughout; in the other splits normal and anomalous take turns."
        }
    };
    format!(
        "## Data

{}

| split | {samples} | use |
|---|---:|---|
| train | {} | weights |
| validation | {} | printed after each epoch; stops or selects nothing |
| calibration | {DRAWS} x {CALIBRATION} | quantization ranges: {DRAWS} independent draws, the first committed |
| evaluation | {} | the figures below; committed |
| test | {} | comparisons of quantizers, which need more than the evaluation split |

Each sample has a random stream keyed by seed, split, draw and index, so none of one split can be in another.
{classes}
",
        (model.text.data)(),
        size(Split::Train),
        size(Split::Validation),
        size(Split::Evaluation),
        size(Split::Test)
    )
}

fn network(model: &Model) -> String {
    format!(
        "## Network

{}

Trained with burn on one CPU core: {}, {} epochs.
",
        (model.text.network)(),
        model.text.training,
        model.epochs
    )
}

fn figures(model: &Model, facts: &Facts<'_>) -> String {
    let name = model.name;
    format!(
        "## Float accuracy

{} on the evaluation split.

```
cargo run --release -p samara-models --features train -- evaluate {name} models/{name}
```

{}",
        facts.float.summary(),
        facts.float
    )
}

fn aware(model: &Model, facts: &Facts<'_>) -> String {
    if facts.quantized_bytes.is_none() {
        return String::new();
    }
    let name = model.name;
    format!(
        "## Quantization-aware training

`model_qat.onnx` starts from `model.onnx`: batch normalization folded, weights rounded to int8 per output channel and
activations to int8 per tensor in every forward pass, gradients as if nothing were rounded. Ranges follow the batches
in the first half of {FINETUNE_EPOCHS} epochs on the train split and then stand still. The file holds the integers, scales and zero
points; `samara pack` keeps them as they are, and a test compares them.

```
cargo run --release -p samara-models --features train -- finetune {name} models/{name}
```
"
    )
}

fn bundles(model: &Model, facts: &Facts<'_>) -> String {
    if facts.bundles.is_empty() {
        return String::new();
    }
    let name = model.name;
    let rows: Vec<String> = facts
        .bundles
        .iter()
        .map(|(file, how, outcome)| {
            let points = 100.0 * (outcome.metric() - facts.float.metric());
            format!("| `{file}` | {how} | {} | {points:+.2} |", outcome.summary())
        })
        .collect();
    format!(
        "## Accuracy as bundles

Packed and run by `samara` on the evaluation split; points are against the float model.

| model | packed as | accuracy | points |
|---|---|---|---:|
{}

```
cargo run --release -p samara-models -- measure {name} models/{name} --samara target/release/samara
```
",
        rows.join("\n")
    )
}
