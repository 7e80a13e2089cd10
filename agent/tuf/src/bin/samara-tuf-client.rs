//! The client that theupdateframework/tuf-conformance drives: `init`, `refresh`, `download`; exit 0 or 1.

use clap::{Parser, Subcommand};
use samara_tuf::client::{Client, DirectoryStore, Http, cached_target, save_target};
use samara_tuf::{Limits, Result, error::Error, time};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(version, about = "Refresh TUF metadata and download verified targets")]
struct Arguments {
    /// Directory of trusted metadata.
    #[arg(long)]
    metadata_dir: PathBuf,
    /// URL of the repository's metadata.
    #[arg(long)]
    metadata_url: Option<String>,
    /// Target to download; may be repeated.
    #[arg(long)]
    target_name: Vec<String>,
    /// Directory for downloaded targets.
    #[arg(long)]
    target_dir: Option<PathBuf>,
    /// URL of the repository's targets.
    #[arg(long)]
    target_base_url: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trust a root that came out of band.
    Init {
        /// The root.json to trust.
        root: PathBuf,
    },
    /// Bring the metadata up to date.
    Refresh,
    /// Bring the metadata up to date, then download targets that are not there yet.
    Download,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // The protocol knows no exit code but 0 and 1; help is not a failure.
            let failed = error.use_stderr();
            return if error.print().is_ok() && !failed { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("samara-tuf-client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Init { root } => init(&arguments.metadata_dir, root),
        Command::Refresh => {
            let mut http = Http::new(required(&arguments.metadata_url, "--metadata-url")?);
            Client::open_directory(&arguments.metadata_dir)?.refresh(&mut http, time::now()).map(drop)
        }
        Command::Download => download(arguments),
    }
}

fn init(metadata_dir: &Path, root: &Path) -> Result<()> {
    let file = |source| Error::File { path: root.to_owned(), source };
    // A root larger than the limit is refused by its size; it need not be read to know that.
    if root.metadata().map_err(file)?.len() > Limits::DEFAULT.root {
        return Err(Error::TooLong { what: root.display().to_string(), max: Limits::DEFAULT.root });
    }
    let bytes = std::fs::read(root).map_err(file)?;
    Client::init(DirectoryStore::open(metadata_dir)?, &bytes, Limits::DEFAULT).map(drop)
}

fn download(arguments: &Arguments) -> Result<()> {
    let mut http = Http::new(required(&arguments.metadata_url, "--metadata-url")?);
    let directory = required(&arguments.target_dir, "--target-dir")?;
    let base = required(&arguments.target_base_url, "--target-base-url")?;
    if arguments.target_name.is_empty() {
        return Err(Error::Repository("download needs --target-name".into()));
    }
    let mut client = Client::open_directory(&arguments.metadata_dir)?;
    client.refresh(&mut http, time::now())?;
    for name in &arguments.target_name {
        let target = client.target(&mut http, name)?;
        if cached_target(&target, directory)?.is_none() {
            let mut source = http.open_target(base, &target.path)?;
            save_target(&target, &mut source, directory, client.limits().target_file)?;
        }
    }
    Ok(())
}

fn required<'a, T>(value: &'a Option<T>, option: &str) -> Result<&'a T> {
    value.as_ref().ok_or_else(|| Error::Repository(format!("this command needs {option}")))
}
