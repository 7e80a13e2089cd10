//! `samara-models`: makes the files of the project's own models.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use samara_models::{output, vibration};

#[derive(Parser)]
#[command(version, about = "Makes the project's own models and their data", long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the calibration and evaluation data
    Data {
        model: Model,
        /// Folder to write to
        #[arg(short, long)]
        output: PathBuf,
        /// Seed of the simulation
        #[arg(long, default_value_t = vibration::SEED)]
        seed: u64,
    },
    /// Trains the model and writes it with its data and model card
    Train {
        model: Model,
        /// Folder to write to
        #[arg(short, long)]
        output: PathBuf,
        /// Seed of the simulation, the first weights and the order of the batches
        #[arg(long, default_value_t = vibration::SEED)]
        seed: u64,
        /// Passes over the training data
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
        epochs: u16,
    },
    /// Measures the float accuracy of a written model on its evaluation data
    Evaluate {
        model: Model,
        /// Folder with `model.onnx` and `evaluate.npz`
        folder: PathBuf,
        /// Writes the probabilities of every window, to compare other runtimes with
        #[arg(long, value_name = "FILE.npz")]
        probabilities: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Model {
    /// Machine condition from vibration spectrograms
    Vibration,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Data { model: Model::Vibration, output, seed } => data(&output, seed),
        Command::Train { model: Model::Vibration, output, seed, epochs } => {
            training::train(&output, seed, usize::from(epochs))
        }
        Command::Evaluate { model: Model::Vibration, folder, probabilities } => {
            training::evaluate(&folder, probabilities.as_deref())
        }
    }
}

fn data(folder: &Path, seed: u64) -> Result<()> {
    let [calibrate, evaluate] = data_files(seed)?;
    output::write(&[(folder.join("calibrate.npz"), &calibrate), (folder.join("evaluate.npz"), &evaluate)])
}

fn data_files(seed: u64) -> Result<[Vec<u8>; 2]> {
    let calibration = vibration::generate(seed, vibration::Split::Calibration);
    let test = vibration::generate(seed, vibration::Split::Test);
    Ok([vibration::calibration_file(&calibration)?, vibration::evaluation_file(&test)?])
}

#[cfg(feature = "train")]
mod training {
    use std::path::Path;

    use anyhow::{Context, Result};
    use burn::tensor::Device;
    use prost::Message;
    use samara_models::npz::Archive;
    use samara_models::onnx::Weights;
    use samara_models::vibration::network::Network;
    use samara_models::vibration::{self, DataSet, Split, card};
    use samara_models::{output, train};

    pub(crate) fn train(folder: &Path, seed: u64, epochs: usize) -> Result<()> {
        let fit = vibration::generate(seed, Split::Train);
        let validation = vibration::generate(seed, Split::Validation);
        let network = train::fit(seed, epochs, &fit, &validation, |epoch, loss, confusion| {
            println!(
                "epoch {epoch:2}/{epochs}  loss {loss:.4}  validation accuracy {:.2} %",
                100.0 * confusion.accuracy()
            );
        });
        let test = vibration::generate(seed, Split::Test);
        let confusion = train::evaluate(&network, &test);
        let model = network.export().encode_to_vec();
        let [calibrate, evaluate] = super::data_files(seed)?;
        let card = card::render(&card::Facts {
            seed,
            epochs,
            parameters: Weights::parse(&model)?.iter().map(|(_, array)| array.values.len()).sum(),
            model_bytes: model.len(),
            confusion: &confusion,
        });
        print!("\n{confusion}");
        output::write(&[
            (folder.join("calibrate.npz"), &calibrate),
            (folder.join("evaluate.npz"), &evaluate),
            (folder.join("model.onnx"), &model),
            (folder.join("README.md"), card.as_bytes()),
        ])
    }

    pub(crate) fn evaluate(folder: &Path, probabilities: Option<&Path>) -> Result<()> {
        let path = folder.join("model.onnx");
        let device = Device::flex();
        let network = std::fs::read(&path)
            .map_err(anyhow::Error::from)
            .and_then(|bytes| Network::new(&device).load(&Weights::parse(&bytes)?, &device))
            .with_context(|| format!("{}: not a model that `train` wrote", path.display()))?;
        let path = folder.join("evaluate.npz");
        let set = DataSet::open(&path)
            .with_context(|| format!("{}: not data that `data` wrote", path.display()))?;
        let scores = train::infer(&network, &set);
        let confusion = train::count(&scores, &set.labels);
        if let Some(path) = probabilities {
            let mut archive = Archive::new();
            let shape = [set.labels.len() as u64, (scores.len() / set.labels.len().max(1)) as u64];
            archive.add(vibration::OUTPUT, &shape, &scores)?;
            output::write(&[(path.to_path_buf(), &archive.finish()?)])?;
        }
        print!("{confusion}");
        println!(
            "\n{} of {} correct: {:.2} %",
            confusion.correct(),
            confusion.total(),
            100.0 * confusion.accuracy()
        );
        Ok(())
    }
}

#[cfg(not(feature = "train"))]
mod training {
    use std::path::Path;

    use anyhow::{Result, bail};

    pub(crate) fn train(_: &Path, _: u64, _: usize) -> Result<()> {
        bail!("train: this build has no trainer; build with `--features train`")
    }

    pub(crate) fn evaluate(_: &Path, _: Option<&Path>) -> Result<()> {
        bail!("evaluate: this build cannot run networks; build with `--features train`")
    }
}
