//! The file as it is written, and the checks that turn it into a [`Config`].

use super::{Config, Limits, Location, Network, Probation, Repository, Size, Telemetry, Trust};
use crate::types::Digest;
use ed25519_dalek::VerifyingKey;
use serde::Deserialize;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    device_id: Spanned<String>,
    class: Spanned<String>,
    model: Spanned<String>,
    contract: Option<Spanned<String>>,
    data_dir: PathBuf,
    repository: RepositoryTable,
    trust: TrustTable,
    #[serde(default)]
    poll: PollTable,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    probation: ProbationTable,
    telemetry: Option<TelemetryTable>,
    #[serde(default)]
    serve: ServeTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RepositoryTable {
    metadata_url: Spanned<String>,
    targets_url: Spanned<String>,
    ca_file: Option<Spanned<PathBuf>>,
    proxy: Option<Spanned<String>>,
    connect_timeout_seconds: Option<u32>,
    read_timeout_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustTable {
    dir: Spanned<PathBuf>,
    bundle_keys: Spanned<Vec<Spanned<String>>>,
    threshold: Option<Spanned<usize>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PollTable {
    interval_seconds: Option<Spanned<u32>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsTable {
    bundle: Option<Spanned<Size>>,
    arena: Option<Spanned<Size>>,
    disk: Option<Spanned<Size>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProbationTable {
    seconds: Option<u32>,
    inferences: Option<u64>,
    max_errors_permyriad: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TelemetryTable {
    endpoint: Spanned<String>,
    interval_seconds: Option<Spanned<u32>>,
    quota: Option<Spanned<Size>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServeTable {
    listen: Option<Spanned<SocketAddr>>,
}

/// A mistake and the byte offset where it is.
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) cause: String,
    pub(super) remedy: &'static str,
}

fn wrong<T, V>(value: &Spanned<V>, cause: impl Into<String>, remedy: &'static str) -> Result<T, Wrong> {
    Err(Wrong { at: value.span().start, cause: cause.into(), remedy })
}

impl File {
    pub(super) fn check(self, base: &Path) -> Result<Config, Wrong> {
        let seconds = |value: Option<u32>, default| Duration::from_secs(u64::from(value.unwrap_or(default)));
        let contract = match &self.contract {
            Some(text) => match text.get_ref().parse::<Digest>() {
                Ok(digest) => Some(digest),
                Err(cause) => return wrong(text, cause, "`samara inspect` prints the contract hash"),
            },
            None => None,
        };
        let network = Network {
            ca_file: match &self.repository.ca_file {
                Some(file) if !base.join(file.get_ref()).is_file() => {
                    return wrong(
                        file,
                        format!("{} is not a file", file.get_ref().display()),
                        "name a PEM file of certificate authorities",
                    );
                }
                file => file.as_ref().map(|file| base.join(file.get_ref())),
            },
            proxy: match &self.repository.proxy {
                Some(proxy) => Some(url(proxy)?),
                None => None,
            },
            connect_timeout: seconds(self.repository.connect_timeout_seconds, 10),
            read_timeout: seconds(self.repository.read_timeout_seconds, 30),
        };
        let repository = Repository {
            metadata: location(&self.repository.metadata_url, base)?,
            targets: location(&self.repository.targets_url, base)?,
            network,
        };
        let bundle = size("bundle", self.limits.bundle, 64 << 20)?;
        Ok(Config {
            device_id: name("device_id", self.device_id)?,
            class: name("class", self.class)?,
            model: name("model", self.model)?,
            contract,
            data_dir: base.join(self.data_dir),
            repository,
            trust: self.trust.check(base)?,
            poll_interval: interval(self.poll.interval_seconds, 3600)?,
            limits: Limits {
                bundle,
                arena: size("arena", self.limits.arena, 64 << 20)?,
                // Two slots, a partial download and the object made of it.
                disk: size("disk", self.limits.disk, bundle.saturating_mul(4))?,
            },
            probation: Probation {
                time: seconds(self.probation.seconds, 60),
                inferences: self.probation.inferences.unwrap_or(0),
                max_errors_permyriad: self.probation.max_errors_permyriad.unwrap_or(100),
            },
            telemetry: match self.telemetry {
                Some(table) => Some(Telemetry {
                    endpoint: url(&table.endpoint)?,
                    interval: interval(table.interval_seconds, 60)?,
                    quota: size("quota", table.quota, 256 << 10)?,
                }),
                None => None,
            },
            listen: match self.serve.listen {
                Some(listen) if !listen.get_ref().ip().is_loopback() => {
                    return wrong(
                        &listen,
                        format!("{} is not a loopback address", listen.get_ref()),
                        "listen on 127.0.0.1 or [::1] and put a reverse proxy in front",
                    );
                }
                Some(listen) => listen.into_inner(),
                None => SocketAddr::from(([127, 0, 0, 1], 8500)),
            },
        })
    }
}

impl TrustTable {
    fn check(self, base: &Path) -> Result<Trust, Wrong> {
        let dir = self.dir.get_ref();
        let root = base.join(dir).join("root.json");
        if !root.is_file() {
            let cause = format!("{} does not exist", dir.join("root.json").display());
            return wrong(&self.dir, cause, "copy the repository's root.json there");
        }
        let mut bundle_keys = Vec::new();
        for entry in self.bundle_keys.get_ref() {
            let key = key(entry, base)?;
            // The same key twice must not count twice towards the threshold.
            if !bundle_keys.contains(&key) {
                bundle_keys.push(key);
            }
        }
        if bundle_keys.is_empty() {
            let remedy = "list at least one public key (`samara key public`)";
            return wrong(&self.bundle_keys, "there is no bundle key", remedy);
        }
        let threshold = match self.threshold {
            Some(value) if *value.get_ref() == 0 || *value.get_ref() > bundle_keys.len() => {
                let cause = format!("threshold {} with {} distinct keys", value.get_ref(), bundle_keys.len());
                return wrong(&value, cause, "choose between 1 and the number of keys");
            }
            Some(value) => value.into_inner(),
            None => 1,
        };
        Ok(Trust { root, bundle_keys, threshold })
    }
}

/// A key given in place (64 hexadecimal digits) or by the name of a file that holds it.
fn key(entry: &Spanned<String>, base: &Path) -> Result<[u8; 32], Wrong> {
    let text = entry.get_ref();
    let remedy = "give a public key file (`samara key new K` writes K.pub) or its 64 hexadecimal digits";
    if let Ok(Digest(key)) = text.parse() {
        return match VerifyingKey::from_bytes(&key) {
            Ok(point) if !point.is_weak() => Ok(key),
            _ => wrong(entry, format!("{text} is not an ed25519 public key"), remedy),
        };
    }
    // Refuses points of small order too, under which anything verifies.
    samara_tuf::keyfile::read_public(&base.join(text))
        .map(|key| key.to_bytes())
        .or_else(|cause| wrong(entry, cause.to_string(), remedy))
}

fn name(what: &str, value: Spanned<String>) -> Result<String, Wrong> {
    let text = value.get_ref();
    if text.is_empty() || text.len() > 128 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let cause = format!("{what} `{}` is not a name", text.escape_debug());
        return wrong(&value, cause, "use 1 to 128 visible ASCII characters");
    }
    Ok(value.into_inner())
}

fn url(value: &Spanned<String>) -> Result<String, Wrong> {
    let text = value.get_ref();
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => {
            wrong(value, format!("`{text}` is not an http or https address"), "write http://HOST[:PORT]/PATH")
        }
    }
}

fn location(value: &Spanned<String>, base: &Path) -> Result<Location, Wrong> {
    let text = value.get_ref();
    let path = text.strip_prefix("file://").unwrap_or(text);
    if text.starts_with("http:") || text.starts_with("https:") || path.contains("://") {
        return url(value).map(Location::Url);
    }
    Ok(Location::Directory(base.join(path)))
}

fn size(what: &str, value: Option<Spanned<Size>>, default: u64) -> Result<u64, Wrong> {
    match value {
        Some(value) if value.get_ref().0 == 0 => wrong(
            &value,
            format!("{what} is 0 bytes"),
            "give a size such as \"16MiB\" or leave the entry out",
        ),
        value => Ok(value.map_or(default, |value| value.into_inner().0)),
    }
}

fn interval(value: Option<Spanned<u32>>, default: u64) -> Result<Duration, Wrong> {
    match value {
        Some(value) if *value.get_ref() == 0 => wrong(&value, "the interval is 0 seconds", "give at least 1"),
        value => Ok(Duration::from_secs(value.map_or(default, |value| u64::from(value.into_inner())))),
    }
}
