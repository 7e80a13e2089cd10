//! Commands of `samara-agent`, one file each. Human text goes to stderr, JSON to stdout.
//!
//! Exit 0: done, also when there was nothing to do. Exit 1: the answer is no (refused, rolled back, nothing to go
//! back to). Exit 2: it could not be asked (usage, configuration, repository out of reach, disk).

mod once;
mod rollback;
mod run;
mod serve;
mod status;

use clap::{Parser, Subcommand};
use samara_agent::{
    agent::{Agent, Parts},
    bundle::BundleModel,
    config::Config,
    health::HealthWatch,
    store::HostDisk,
    tuf::TufRepository,
    update::{Device, Policy},
};
use serde_json::Value;
use std::{
    fs::{File, TryLockError},
    io,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

/// Pulls Samara bundles in the field, keeps the device safe, reports what it sees.
#[derive(Parser)]
#[command(name = "samara-agent", version)]
struct Arguments {
    /// Configuration file.
    #[arg(long, global = true, default_value = "agent.toml", value_name = "FILE")]
    config: PathBuf,
    /// One JSON object on stdout.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look for updates again and again, and send telemetry.
    Run,
    /// Look for an update once and take it to completion, probation included.
    Once {
        /// Also consider candidates that failed on this device before.
        #[arg(long)]
        retry_failed: bool,
    },
    /// Show what is active, what is under way and what failed.
    Status,
    /// Go back to the previous bundle and do not take the present one again.
    Rollback,
    /// Answer inference requests on loopback (Open Inference Protocol v2) with the active bundle.
    Serve,
}

/// How a command ended: exit code, a line for people, an object for scripts.
struct Report {
    code: u8,
    line: String,
    json: Value,
}

/// A problem of the caller's or the system's: one line, exit code 2.
struct Trouble(String);

impl<E: ToString> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

type Result<T> = std::result::Result<T, Trouble>;

static STOPPED: AtomicBool = AtomicBool::new(false);

fn stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let report = Config::load(&arguments.config).map_err(Trouble::from).and_then(|config| {
        ctrlc::set_handler(|| STOPPED.store(true, Ordering::Relaxed))?;
        match arguments.command {
            Command::Run => run::run(&config),
            Command::Once { retry_failed } => once::run(&config, retry_failed),
            Command::Status => status::run(&config),
            Command::Rollback => rollback::run(&config),
            Command::Serve => serve::run(config, arguments.json),
        }
    });
    match report {
        Ok(report) => {
            eprintln!("{}", report.line);
            if arguments.json {
                println!("{:#}", report.json);
            }
            ExitCode::from(report.code)
        }
        Err(Trouble(cause)) => {
            eprintln!("samara-agent: {cause}");
            if arguments.json {
                println!("{:#}", serde_json::json!({ "error": cause }));
            }
            ExitCode::from(2)
        }
    }
}

fn progress(line: &str) {
    eprintln!("{line}");
}

/// Holds the lock of the data directory: two agents on one store would undo each other.
struct Lock {
    _file: File,
}

fn lock(config: &Config) -> Result<Lock> {
    // The directory may not exist yet.
    open_disk(config)?;
    let path = config.data_dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => {
            Err(Trouble(format!("{}: another samara-agent is at work; stop it first", path.display())))
        }
        Err(TryLockError::Error(error)) => Err(Trouble(format!("{}: {error}", path.display()))),
    }
}

fn open_disk(config: &Config) -> Result<HostDisk> {
    HostDisk::open(&config.data_dir)
        .map_err(|error| Trouble(format!("{}: {error}; choose another data_dir", config.data_dir.display())))
}

/// Starts an agent as the configuration says and lets `act` use it.
fn with_agent<T>(
    config: &Config,
    repository: &mut TufRepository<HostDisk>,
    act: impl FnOnce(&mut Agent<'_, HostDisk>) -> io::Result<T>,
) -> Result<T> {
    let disk = open_disk(config)?;
    let model = BundleModel::of(config);
    let device = Device {
        id: config.device_id.clone(),
        class: config.class.clone(),
        model: config.model.clone(),
        contract: config.contract,
        arena_bytes: config.limits.arena,
        flash_bytes: config.limits.bundle,
    };
    let mut watch = HealthWatch { disk: disk.clone(), probation: config.probation, stopped };
    let mut progress = progress;
    let parts = Parts { repository, model: &model, watch: &mut watch, progress: &mut progress };
    let named = |error: io::Error| Trouble(format!("{}: {error}", config.data_dir.display()));
    let mut agent =
        Agent::start(disk, config.limits.disk, device, Policy::default(), parts).map_err(named)?;
    act(&mut agent).map_err(named)
}
