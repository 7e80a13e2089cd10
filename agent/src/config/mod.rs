//! The configuration file, `agent.toml`: what the device is, whom it trusts, where it looks, what it may use.
//!
//! Relative paths are relative to the file's own directory. Sizes are integers (bytes) or text with a unit
//! (`"24KiB"`). Unknown keys are refused, so a typing error cannot silently mean the default.

mod file;
mod size;

pub use size::Size;

use crate::types::Digest;
use std::{
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

const CONFIG_MAX_BYTES: u64 = 1 << 20;

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Identifier of the device, unique in its fleet; 1 to 128 visible ASCII characters.
    pub device_id: String,
    /// Device class, as targets name it.
    pub class: String,
    /// Name of the model to run.
    pub model: String,
    /// Contract that the application insists on.
    pub contract: Option<Digest>,
    /// Directory for everything the agent keeps.
    pub data_dir: PathBuf,
    /// Where updates come from.
    pub repository: Repository,
    /// Whom to trust.
    pub trust: Trust,
    /// Time between looks for an update; each is jittered by a quarter.
    pub poll_interval: Duration,
    /// What the device may use.
    pub limits: Limits,
    /// When a new bundle is good.
    pub probation: Probation,
    /// Where measurements go; nothing is sent without it.
    pub telemetry: Option<Telemetry>,
    /// Where inference is served; loopback only.
    pub listen: SocketAddr,
}

/// Where updates come from.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Base of `timestamp.json`; `http:`, `https:`, or a directory.
    pub metadata: Location,
    /// Base of the target files.
    pub targets: Location,
    /// HTTP options, also used for telemetry.
    pub network: Network,
}

/// A base address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A URL without trailing slash.
    Url(String),
    /// A local directory, for air-gapped import.
    Directory(PathBuf),
}

/// HTTP options.
#[derive(Clone, Debug)]
pub struct Network {
    /// PEM file with the only certificate authorities to trust; the web's when absent.
    pub ca_file: Option<PathBuf>,
    /// Proxy URL; the environment's (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`) when absent.
    pub proxy: Option<String>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest silence of a server.
    pub read_timeout: Duration,
}

/// Whom to trust.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The root metadata that came with the device.
    pub root: PathBuf,
    /// ed25519 public keys that sign bundles.
    pub bundle_keys: Vec<[u8; 32]>,
    /// Distinct keys that must have signed, at least one.
    pub threshold: usize,
}

/// What the device may use, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest bundle.
    pub bundle: u64,
    /// Largest arena.
    pub arena: u64,
    /// Bundles and partial downloads together.
    pub disk: u64,
}

/// When a new bundle is good.
#[derive(Clone, Copy, Debug)]
pub struct Probation {
    /// Shortest time it is watched.
    pub time: Duration,
    /// Inferences it must have served, where a server is running.
    pub inferences: u64,
    /// Failed inferences tolerated, in parts of 10,000. NaN in an output is never tolerated.
    pub max_errors_permyriad: u32,
}

/// Where measurements go.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// Base URL of an OTLP/HTTP receiver, without `/v1/metrics`.
    pub endpoint: String,
    /// Length of a window.
    pub interval: Duration,
    /// Bytes of windows kept while the receiver is away.
    pub quota: u64,
}

/// A mistake in a configuration, in one line: file, line where known, cause and remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

impl Config {
    /// Reads and checks a configuration file and the key files that it names.
    ///
    /// # Errors
    /// The first mistake found.
    pub fn load(path: &Path) -> Result<Self, Invalid> {
        let place = path.display();
        let text = read(path, CONFIG_MAX_BYTES).map_err(|cause| {
            Invalid(format!(
                "{place}: {cause}; write one with `samara device enroll` or give another --config"
            ))
        })?;
        let raw: file::File = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(&text, span.start));
            let cause = error.message().replace('\n', " ");
            Invalid(format!("{place}:{line}: {cause}; correct or remove this entry"))
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        raw.check(base).map_err(|wrong| {
            let line = line_of(&text, wrong.at);
            Invalid(format!("{place}:{line}: {}; {}", wrong.cause, wrong.remedy))
        })
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
}

fn read(path: &Path, limit: u64) -> Result<String, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > limit {
        return Err(format!("it is longer than {limit} bytes"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
device_id = "d1"
class = "host"
model = "kws"
data_dir = "data"
[repository]
metadata_url = "http://127.0.0.1:1/metadata/"
targets_url = "usb/targets"
[trust]
dir = "trust"
bundle_keys = ["trust/bundle.pub"]
[limits]
arena = "24KiB"
"#;

    fn load(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("trust")).unwrap();
        fs::write(dir.path().join("trust/root.json"), "{}").unwrap();
        fs::write(dir.path().join("trust/bundle.pub"), format!("{}\n", "0a".repeat(32))).unwrap();
        let path = dir.path().join("agent.toml");
        fs::write(&path, text).unwrap();
        let home = format!("{}/", dir.path().display());
        Config::load(&path).map_err(|error| error.to_string().replace(&home, ""))
    }

    #[test]
    fn a_small_file_is_enough() {
        let config = load(GOOD).unwrap();
        assert_eq!(config.trust.bundle_keys, [[10; 32]]);
        assert_eq!(config.trust.threshold, 1);
        assert_eq!(config.limits.arena, 24 << 10);
        assert_eq!(config.repository.metadata, Location::Url("http://127.0.0.1:1/metadata".into()));
        assert!(
            matches!(config.repository.targets, Location::Directory(path) if path.ends_with("usb/targets"))
        );
        assert!(config.listen.ip().is_loopback() && config.telemetry.is_none());
    }

    #[test]
    fn every_mistake_names_its_line_and_a_remedy() {
        let change = |from: &str, to: &str| load(&GOOD.replacen(from, to, 1)).unwrap_err();
        let cases = [
            ("model = \"kws\"", "modle = \"kws\"", "agent.toml:4: unknown field `modle`"),
            ("model = \"kws\"", "", "missing field `model`"),
            ("\"d1\"", "\"\"", "agent.toml:2: device_id"),
            ("\"d1\"", "\"a b\\n\"", "agent.toml:2: device_id"),
            ("\"24KiB\"", "\"24 parsecs\"", "agent.toml:13: `24 parsecs` is not a size"),
            ("\"24KiB\"", "0", "agent.toml:13: arena"),
            ("http://127.0.0.1:1/metadata/", "ftp://x", "agent.toml:7: `ftp://x`"),
            ("bundle.pub\"]", "gone.pub\"]", "agent.toml:11: trust/gone.pub"),
            ("[\"trust/bundle.pub\"]", "[]", "agent.toml:11: there is no bundle key"),
            ("[\"trust/bundle.pub\"]", "[\"trust/root.json\"]", "agent.toml:11: trust/root.json"),
            ("trust/bundle.pub", &format!("01{}", "00".repeat(31)), "agent.toml:11: 0100"),
            ("[limits]", "threshold = 2\n[limits]", "agent.toml:12: threshold 2"),
            ("[limits]", "threshold = 0\n[limits]", "agent.toml:12: threshold 0"),
            ("dir = \"trust\"", "dir = \"nowhere\"", "agent.toml:10: nowhere/root.json"),
            (
                "[limits]",
                "[serve]\nlisten = \"0.0.0.0:80\"\n[limits]",
                "agent.toml:13: 0.0.0.0:80 is not a loopback",
            ),
            ("[limits]", "[telemetry]\nendpoint = \"nowhere\"\n[limits]", "agent.toml:13: `nowhere`"),
        ];
        for (from, to, expected) in cases {
            let message = change(from, to);
            assert!(message.contains(expected), "{message}");
            assert!(message.contains("; ") && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn the_example_is_valid_and_states_the_defaults() {
        let example = include_str!("../../agent.example.toml");
        let full = load(example).unwrap();
        let minimal = load(&GOOD.replace("[limits]\narena = \"24KiB\"\n", "")).unwrap();
        let facts = |config: &Config| {
            let network = &config.repository.network;
            format!(
                "{:?}",
                (
                    (config.poll_interval, config.limits, config.probation, config.listen),
                    (network.connect_timeout, network.read_timeout, config.trust.threshold),
                )
            )
        };
        assert_eq!(facts(&full), facts(&minimal));
        // Commented entries are valid too.
        let optional = example.replace("# contract", "contract").replace("# proxy", "proxy");
        assert!(load(&optional).unwrap().contract.is_some());
    }

    #[test]
    fn an_absent_file_is_said_to_be_absent() {
        let message = Config::load(Path::new("no-such.toml")).unwrap_err().to_string();
        assert!(message.starts_with("no-such.toml: ") && message.contains("enroll"), "{message}");
    }
}
