//! [`Repository`] over the TUF client: trusted metadata in the data directory, files over HTTP or from a directory.

use crate::{
    config::{Config, Location},
    http::{self, Backoff},
    repository::{Failure, Repository, Sink},
    store::{Disk, disk},
    update::Target,
};
use samara_tuf::{
    Error, Limits,
    client::{Client, DirectoryFetch, Fetch, Http, Store},
    time,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    time::Duration,
};

/// Metadata files are small; see [`Limits`] for what the client accepts.
const METADATA_MAX_BYTES: u64 = 8 << 20;
const METADATA_DIR: &str = "metadata";

/// Tries of one download within one check.
const TRIES: u32 = 4;

/// Trusted metadata on a [`Disk`], so that power cuts are testable here too.
pub struct DiskStore<D>(D);

impl<D: Disk> DiskStore<D> {
    /// Uses the directory `metadata` of `disk`.
    ///
    /// # Errors
    /// Whatever the disk reports.
    pub fn open(disk: D) -> io::Result<Self> {
        disk.create_dir(METADATA_DIR)?;
        Ok(Self(disk))
    }
}

/// Role names may hold any character, file names not: everything but letters, digits, `-` and `_` is written `%XX`.
fn role_path(role: &str) -> String {
    let mut path = format!("{METADATA_DIR}/");
    for byte in role.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            path.push(byte as char);
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path + ".json"
}

fn file_error(role: &str) -> impl FnOnce(io::Error) -> Error {
    let path = role_path(role).into();
    move |source| Error::File { path, source }
}

impl<D: Disk> Store for DiskStore<D> {
    fn load(&self, role: &str) -> samara_tuf::Result<Option<Vec<u8>>> {
        match self.0.read(&role_path(role), METADATA_MAX_BYTES) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file_error(role)(error)),
        }
    }

    fn save(&mut self, role: &str, bytes: &[u8]) -> samara_tuf::Result<()> {
        disk::replace(&self.0, &role_path(role), bytes).map_err(file_error(role))
    }

    fn remove(&mut self, role: &str) -> samara_tuf::Result<()> {
        self.0.remove(&role_path(role)).and_then(|()| self.0.sync_dir(METADATA_DIR)).map_err(file_error(role))
    }
}

enum Source {
    Http { agent: ureq::Agent, base: String },
    Directory(std::path::PathBuf),
}

/// A TUF repository, as this device trusts it.
pub struct TufRepository<D> {
    client: Client<DiskStore<D>>,
    metadata: Box<dyn Fetch>,
    targets: Source,
    /// Paths below the targets URL, by target name.
    paths: BTreeMap<String, String>,
    device_id: String,
    backoff: Backoff,
    sleep: fn(Duration),
}

impl<D: Disk> TufRepository<D> {
    /// Opens the trusted metadata on `disk`; the first time, or when the trusted root is damaged, it starts from
    /// the configured root.
    ///
    /// # Errors
    /// A line that names the file at fault.
    pub fn open(config: &Config, disk: D) -> Result<Self, String> {
        let root = &config.trust.root;
        let store =
            DiskStore::open(disk).map_err(|error| format!("{}: {error}", config.data_dir.display()))?;
        let fresh = store.load("root").map_err(|error| error.to_string())?.is_none_or(|bytes| {
            let probe = samara_tuf::client::MemoryStore([("root".to_owned(), bytes)].into());
            Client::open(probe, Limits::DEFAULT).is_err()
        });
        let client = if fresh {
            let bytes = read_root(root).map_err(|cause| format!("{}: {cause}", root.display()))?;
            Client::init(store, &bytes, Limits::DEFAULT)
        } else {
            Client::open(store, Limits::DEFAULT)
        };
        let client = client
            .map_err(|error| format!("{}: {error}; copy the repository's root.json there", root.display()))?;
        let network = &config.repository.network;
        let metadata: Box<dyn Fetch> = match &config.repository.metadata {
            Location::Url(url) => Box::new(Http::with_agent(http::agent(network)?, url)),
            Location::Directory(path) => Box::new(DirectoryFetch::new(path)),
        };
        let targets = match &config.repository.targets {
            Location::Url(url) => Source::Http { agent: http::agent(network)?, base: url.clone() },
            Location::Directory(path) => Source::Directory(path.clone()),
        };
        Ok(Self {
            client,
            metadata,
            targets,
            paths: BTreeMap::new(),
            device_id: config.device_id.clone(),
            backoff: Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(30) },
            sleep: std::thread::sleep,
        })
    }
}

impl<D: Disk> Repository for TufRepository<D> {
    fn targets(&mut self) -> Result<Vec<Target>, Failure> {
        let floor = self.client.time_floor().map_err(failure)?;
        // A device whose clock starts in 1970 at every boot takes its time from signed timestamps.
        self.client.refresh(&mut *self.metadata, time::now().max(floor)).map_err(failure)?;
        let listed = self.client.list(&mut *self.metadata).map_err(failure)?;
        self.paths.clear();
        let mut targets = Vec::new();
        for target in listed {
            // Without a SHA-256 there is no name to store it under.
            let Some(sha256) = target.file.hashes.sha256().and_then(|hash| hash.parse().ok()) else {
                continue;
            };
            self.paths.insert(target.name.clone(), target.path);
            targets.push(Target {
                name: target.name,
                length: target.file.length,
                sha256,
                custom: target.file.custom,
            });
        }
        Ok(targets)
    }

    fn fetch(&mut self, target: &Target, from: u64, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let path = self.paths.get(&target.name).map_or("", String::as_str);
        match &self.targets {
            Source::Directory(directory) => copy(&directory.join(decode(path)), from, target.length, sink),
            Source::Http { agent, base } => {
                let url = format!("{base}/{path}");
                let mut at = from;
                let mut attempt = 0;
                loop {
                    let result = http::download(agent, &url, at, target.length, &mut |offset, chunk| {
                        sink(offset, chunk)?;
                        at = offset + chunk.len() as u64;
                        Ok(())
                    });
                    match result {
                        Err(Failure::Unreachable(_)) if attempt + 1 < TRIES => {
                            (self.sleep)(self.backoff.delay(&self.device_id, attempt));
                            attempt += 1;
                        }
                        result => return result,
                    }
                }
            }
        }
    }
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Fetch { .. } | Error::Missing { .. } | Error::File { .. } => {
            Failure::Unreachable(error.to_string())
        }
        _ => Failure::Refused(error.to_string()),
    }
}

fn read_root(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(Limits::DEFAULT.root + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Target paths are percent-encoded for URLs; files have the plain name.
fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let hex = |at: usize| tail.get(at).and_then(|&digit| (digit as char).to_digit(16));
        match (byte, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn copy(path: &Path, from: u64, length: u64, sink: &mut Sink<'_>) -> Result<(), Failure> {
    let lost = |error: io::Error| Failure::Unreachable(format!("{}: {error}", path.display()));
    let mut file = File::open(path).map_err(lost)?;
    file.seek(SeekFrom::Start(from)).map_err(lost)?;
    let mut chunk = vec![0; 64 << 10];
    let mut at = from;
    loop {
        let count = file.read(&mut chunk).map_err(lost)?;
        if count == 0 {
            return Ok(());
        }
        if at + count as u64 > length {
            let cause = format!("{}: more than the {length} bytes that metadata promises", path.display());
            return Err(Failure::Refused(cause));
        }
        sink(at, &chunk[..count]).map_err(lost)?;
        at += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{SimDisk, Survival};
    use samara_tuf::{
        keyfile,
        repository::{DAY, KeyRing, RoleSetup, Setup},
    };
    use std::{fs, rc::Rc};

    struct Fixture {
        dir: tempfile::TempDir,
        keys: KeyRing,
        config: Config,
    }

    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let mut keys = KeyRing::new();
        let key = keyfile::generate(&dir.path().join("k")).unwrap();
        let role = || RoleSetup { keys: vec![key.verifying_key()], threshold: 1, lifetime: DAY };
        let setup = Setup { root: role(), timestamp: role(), snapshot: role(), targets: role() };
        keys.add(key.clone()).unwrap();
        let repo = dir.path().join("repo");
        let mut repository = samara_tuf::repository::Repository::create(&repo, &setup).unwrap();
        repository.publish(&keys, time::now()).unwrap();
        fs::copy(repo.join("metadata/1.root.json"), dir.path().join("root.json")).unwrap();
        let text = "device_id = \"d\"\nclass = \"c\"\nmodel = \"m\"\ndata_dir = \"data\"\n[repository]\n\
            metadata_url = \"repo/metadata\"\ntargets_url = \"repo/targets\"\n[trust]\ndir = \".\"\n\
            bundle_keys = [\"k.pub\"]\n";
        fs::write(dir.path().join("agent.toml"), text).unwrap();
        let config = Config::load(&dir.path().join("agent.toml")).unwrap();
        Fixture { dir, keys, config }
    }

    impl Fixture {
        fn release(&self, name: &str) {
            let directory = self.dir.path().join("repo");
            let mut repository = samara_tuf::repository::Repository::open(&directory).unwrap();
            repository.add_target("targets", name, &mut name.as_bytes(), None).unwrap();
            repository.publish(&self.keys, time::now()).unwrap();
        }

        fn look(&self, disk: &Rc<SimDisk>) -> Result<Vec<String>, String> {
            let mut repository = TufRepository::open(&self.config, disk.clone())?;
            let targets = repository.targets().map_err(|failure| failure.to_string())?;
            Ok(targets.into_iter().map(|target| target.name).collect())
        }
    }

    #[test]
    fn a_power_cut_at_any_write_of_metadata_never_locks_the_device_out() {
        let fixture = fixture();
        let before = Rc::new(SimDisk::new());
        fixture.look(&before).unwrap();
        let prepared = before.operations();
        fixture.release("a");
        for cut in 0.. {
            for survival in Survival::ALL {
                let disk = Rc::new(SimDisk::new());
                disk.cut_at(cut);
                let seen = fixture.look(&disk);
                if !disk.is_off() {
                    assert_eq!(seen.unwrap(), ["a"]);
                    assert!(cut > 10 && prepared > 10);
                    return;
                }
                disk.reboot(survival);
                assert_eq!(fixture.look(&disk).unwrap(), ["a"], "cut {cut}, {survival:?}");
            }
        }
    }

    #[test]
    fn older_metadata_than_was_trusted_is_refused_even_after_a_reboot() {
        let fixture = fixture();
        let old = fs::read(fixture.dir.path().join("repo/metadata/timestamp.json")).unwrap();
        fixture.release("a");
        let disk = Rc::new(SimDisk::new());
        fixture.look(&disk).unwrap();
        disk.reboot(Survival::Nothing);
        fs::write(fixture.dir.path().join("repo/metadata/timestamp.json"), old).unwrap();
        let error = fixture.look(&disk).unwrap_err();
        assert!(error.contains("rollback"), "{error}");
    }

    #[test]
    fn role_names_cannot_leave_the_directory() {
        assert_eq!(role_path("targets"), "metadata/targets.json");
        assert_eq!(role_path("../a.b/c"), "metadata/%2E%2E%2Fa%2Eb%2Fc.json");
        assert_eq!(decode("a%2Fb%23c%"), "a/b#c%");
    }
}
