//! `samara-models`: makes the files of the project's own models.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use clap::{Args, Parser, Subcommand};
use samara_models::model::{self, Model};

mod cli;

#[derive(Parser)]
#[command(version, about = "Makes the project's own models and their data", long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the models
    List,
    /// Writes the calibration and evaluation data
    Data {
        #[command(flatten)]
        which: Which,
        /// Folder to write to
        #[arg(short, long)]
        output: PathBuf,
        /// Seed of the simulation, instead of the committed data's
        #[arg(long)]
        seed: Option<u64>,
        /// Writes the large sets instead: train, test and every calibration draw
        #[arg(long)]
        splits: bool,
    },
    /// Trains the model and writes it with its data
    Train {
        #[command(flatten)]
        which: Which,
        /// Folder to write to
        #[arg(short, long)]
        output: PathBuf,
        /// Seed of the simulation, the first weights and the order of the batches, instead of the committed
        /// model's
        #[arg(long)]
        seed: Option<u64>,
        /// Passes over the training data, instead of the committed model's
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        epochs: Option<u16>,
    },
    /// Trains a written model on with fake quantization and writes it as `model_qat.onnx` beside it
    Finetune {
        #[command(flatten)]
        which: Which,
        /// Folder with `model.onnx`
        folder: PathBuf,
        /// Seed of the simulation and the order of the batches, instead of the committed model's
        #[arg(long)]
        seed: Option<u64>,
        /// Passes over the training data
        #[arg(long, default_value_t = model::FINETUNE_EPOCHS, value_parser = clap::value_parser!(u16).range(1..))]
        epochs: u16,
    },
    /// Measures the float accuracy of a written model on its evaluation data
    Evaluate {
        #[command(flatten)]
        which: Which,
        /// Folder with `model.onnx` and `evaluate.npz`
        folder: PathBuf,
        /// Labelled data to use instead of the folder's `evaluate.npz`
        #[arg(long, value_name = "FILE.npz")]
        data: Option<PathBuf>,
        /// Writes the outputs of every sample, to compare other runtimes with
        #[arg(long, value_name = "FILE.npz")]
        outputs: Option<PathBuf>,
    },
    /// Packs the folder's models with `samara` and measures the bundles on labelled data
    Measure {
        #[command(flatten)]
        bundles: Bundles,
        /// Labelled data to use instead of the folder's `evaluate.npz`
        #[arg(long, value_name = "FILE.npz")]
        data: Option<PathBuf>,
    },
    /// Measures a written model in floats and as bundles and writes its model card
    Card {
        #[command(flatten)]
        bundles: Bundles,
    },
}

#[derive(Args)]
struct Which {
    #[arg(value_parser = model_parser())]
    model: &'static Model,
}

#[derive(Args)]
struct Bundles {
    #[command(flatten)]
    which: Which,
    /// Folder with the model and its data
    folder: PathBuf,
    /// The `samara` command
    #[arg(long, value_name = "PROGRAM")]
    samara: PathBuf,
    /// Further arguments for `samara pack` of the float model
    #[arg(last = true)]
    pack: Vec<String>,
}

fn model_parser() -> impl TypedValueParser<Value = &'static Model> {
    PossibleValuesParser::new(model::ALL.iter().map(|model| model.name))
        .map(|name| model::find(&name).expect("the parser admits the list's names alone"))
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
        Command::List => {
            model::ALL.iter().for_each(|model| println!("{:10} {}", model.name, model.about));
            Ok(())
        }
        Command::Data { which, output, seed, splits } => {
            cli::data::run(which.model, &output, seed.unwrap_or(which.model.seed), splits)
        }
        Command::Train { which, output, seed, epochs } => {
            let epochs = epochs.unwrap_or(which.model.epochs);
            cli::train::run(which.model, &output, seed.unwrap_or(which.model.seed), epochs)
        }
        Command::Finetune { which, folder, seed, epochs } => {
            cli::train::finetune(which.model, &folder, seed.unwrap_or(which.model.seed), epochs)
        }
        Command::Evaluate { which, folder, data, outputs } => {
            cli::evaluate::run(which.model, &folder, data.as_deref(), outputs.as_deref())
        }
        Command::Measure { bundles, data } => {
            let Bundles { which, folder, samara, pack } = bundles;
            cli::measure::run(which.model, &folder, &samara, &pack, data.as_deref())
        }
        Command::Card { bundles } => {
            let Bundles { which, folder, samara, pack } = bundles;
            cli::card::run(which.model, &folder, &samara, &pack)
        }
    }
}
