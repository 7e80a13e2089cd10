//! Where the demo plays: a directory, the two programs, a web server, and what is known so far.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::output::Output;
use super::server::Server;
use crate::error::{About, Error, Result};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Longest wait for something that usually takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Stage<'a> {
    pub(super) output: &'a Output,
    pub(super) server: Server,
    /// What could not be shown on this machine, and why.
    pub(super) skipped: Vec<String>,
    /// Versions and digests for the end.
    pub(super) bundles: Vec<String>,
    dir: PathBuf,
    temporary: Option<tempfile::TempDir>,
    agent: PathBuf,
    samara: PathBuf,
    children: Vec<Child>,
}

/// How a command ended.
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) json: Value,
    /// What it told a person.
    pub(super) text: String,
}

impl<'a> Stage<'a> {
    pub(super) fn open(keep: Option<&Path>, output: &'a Output) -> Result<Self> {
        let samara = std::env::current_exe().about("this program")?;
        let agent = samara.with_file_name(format!("samara-agent{}", std::env::consts::EXE_SUFFIX));
        if !agent.is_file() {
            return Err(Error::invalid("samara-agent is not beside this program")
                .about(agent.display())
                .remedy("build it too: cargo build --release -p samara-agent"));
        }
        let (dir, temporary) = match keep {
            Some(dir) => {
                std::fs::create_dir(dir).about(dir.display())?;
                (dir.canonicalize().about(dir.display())?, None)
            }
            None => {
                let temporary =
                    tempfile::Builder::new().prefix("samara-demo-").tempdir().about("temporary directory")?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        // First Ctrl-C: commands end, and dropping the stage removes what was made. A second one ends at once.
        let handler = ctrlc::set_handler(|| {
            if INTERRUPTED.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        });
        handler.map_err(|e| Error::invalid(format!("no Ctrl-C handler: {e}")))?;
        let server = Server::start(&dir)?;
        Ok(Stage {
            output,
            server,
            skipped: Vec::new(),
            bundles: Vec::new(),
            dir,
            temporary,
            agent,
            samara,
            children: Vec::new(),
        })
    }

    /// A path in the demo's directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The directory, where the user asked to keep it.
    pub(super) fn kept(&self) -> Option<&Path> {
        if self.temporary.is_some() { None } else { Some(&self.dir) }
    }

    pub(super) fn interrupted(&self) -> Option<Error> {
        INTERRUPTED.load(Ordering::SeqCst).then(|| Error::invalid("interrupted"))
    }

    pub(super) fn say(&self, text: impl std::fmt::Display) {
        self.output.say(format_args!("   {text}"));
    }

    pub(super) fn skip(&mut self, what: String) {
        self.say(format_args!("skipped: {what}"));
        self.skipped.push(what);
    }

    /// `samara ARGS` in the demo's directory, which must succeed; returns its JSON.
    pub(super) fn samara(&self, args: &[&str]) -> Result<Value> {
        Ok(self.ends("samara", &self.samara, args, 0)?.json)
    }

    /// `samara ARGS`, which must answer no; returns its message.
    pub(super) fn samara_refuses(&self, args: &[&str]) -> Result<String> {
        Ok(self.ends("samara", &self.samara, args, 1)?.text)
    }

    /// `samara-agent ARGS`, whatever it answers.
    pub(super) fn agent(&self, args: &[&str]) -> Result<Ended> {
        self.command("samara-agent", &self.agent, args)
    }

    fn ends(&self, name: &str, program: &Path, args: &[&str], code: i32) -> Result<Ended> {
        let ended = self.command(name, program, args)?;
        if ended.code == code {
            return Ok(ended);
        }
        Err(Error::invalid(format!("ended with {} where {code} was due: {}", ended.code, ended.text))
            .about(format_args!("{name} {}", args.join(" "))))
    }

    fn command(&self, name: &str, program: &Path, args: &[&str]) -> Result<Ended> {
        if let Some(error) = self.interrupted() {
            return Err(error);
        }
        self.say(format_args!("$ {name} {}", args.join(" ")));
        let output = Command::new(program)
            .args(args)
            .arg("--json")
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .output();
        let output = output.about(name)?;
        let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok(Ended { code: output.status.code().unwrap_or(-1), json, text })
    }

    /// Starts `samara-agent ARGS --json` and leaves it running; returns a handle and where its output goes.
    pub(super) fn start_agent(&mut self, args: &[&str], log: &str) -> Result<usize> {
        self.say(format_args!("$ samara-agent {} &", args.join(" ")));
        let log = std::fs::File::create(self.path(log)).about(log)?;
        let child = Command::new(&self.agent)
            .args(args)
            .arg("--json")
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .about("samara-agent")?;
        self.children.push(child);
        Ok(self.children.len() - 1)
    }

    /// Ends a started program without giving it a chance to tidy up: what a power cut does to it.
    pub(super) fn kill(&mut self, child: usize) -> Result<()> {
        self.children[child].kill().about("samara-agent")?;
        self.children[child].wait().about("samara-agent")?;
        Ok(())
    }

    /// Waits until something has happened; bounded.
    pub(super) fn wait_for<T>(&self, what: &str, mut happened: impl FnMut() -> Option<T>) -> Result<T> {
        let start = Instant::now();
        loop {
            if let Some(value) = happened() {
                return Ok(value);
            }
            if let Some(error) = self.interrupted() {
                return Err(error);
            }
            if start.elapsed() > PATIENCE {
                return Err(Error::invalid(format!("{what} did not happen within {} s", PATIENCE.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Already ended is fine.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// An error of the story: something that should hold does not.
pub(super) fn check(holds: bool, otherwise: impl Into<String>) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::invalid(otherwise)) }
}
