//! Inference over HTTP on loopback, in the JSON form of the Open Inference Protocol v2, always with the bundle that
//! is active now.

pub mod engine;
pub mod protocol;

pub use engine::{Answer, Engine, Port};

use crate::{
    bundle::BundleModel,
    config::Config,
    health::Health,
    store::{Disk, HostDisk, Pointer, read_pointer},
    telemetry::Reporter,
    types::Digest,
};
use protocol::Request;
use serde_json::{Value, json};
use std::{
    io::{self, Read},
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tiny_http::{Header, Method, Response, Server};

/// Requests handled at a time; the model itself runs one at a time.
const WORKERS: usize = 4;
/// How often the pointer is looked at.
const HOUSEKEEPING: Duration = Duration::from_millis(100);
/// The health file is written at most this often while inferences go well.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);
/// Room for a request's JSON besides the tensors' text.
const BODY_BASE_BYTES: u64 = 64 << 10;
/// The longest usual text of one element, such as `-1.1754943508222875e-38, `.
const BODY_BYTES_PER_ELEMENT: u64 = 32;

type Reply = (u16, Value);

struct State {
    engine: Option<(Digest, Engine)>,
    /// The last pointer that was acted on, so that a bundle that does not load is not tried again and again.
    seen: Option<Digest>,
    health: Option<Health>,
    written: Option<(Health, Instant)>,
    reporter: Reporter<HostDisk>,
    notes: Vec<String>,
}

/// A server of one model.
pub struct Service {
    config: Config,
    disk: HostDisk,
    model: BundleModel,
    server: Server,
    state: Mutex<State>,
}

impl Service {
    /// Listens, and loads the active bundle if there is one.
    ///
    /// # Errors
    /// A line that names what cannot be used.
    pub fn open(config: Config) -> Result<Self, String> {
        let place = config.data_dir.display().to_string();
        let disk = HostDisk::open(&config.data_dir).map_err(|error| format!("{place}: {error}"))?;
        let model = BundleModel::of(&config);
        let server = Server::http(config.listen)
            .map_err(|error| format!("{}: {error}; choose another `listen` address", config.listen))?;
        let reporter = Reporter::open(&config, disk.clone(), "serve", None)?;
        let state =
            State { engine: None, seen: None, health: None, written: None, reporter, notes: Vec::new() };
        let service = Self { config, disk, model, server, state: Mutex::new(state) };
        service.follow().map_err(|error| format!("{place}: {error}"))?;
        Ok(service)
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.server_addr().to_ip()
    }

    /// Answers requests until `stopped`. `progress` is told of swaps and of what goes wrong.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn run(&self, stopped: &(dyn Fn() -> bool + Sync), progress: &mut dyn FnMut(&str)) -> io::Result<()> {
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    while !stopped() {
                        if let Ok(Some(request)) = self.server.recv_timeout(HOUSEKEEPING) {
                            self.answer(request);
                        }
                    }
                });
            }
            let mut outcome = Ok(());
            while !stopped() && outcome.is_ok() {
                outcome = self.follow().and_then(|()| self.lock().reporter.tick().map(drop));
                for note in self.lock().notes.drain(..) {
                    progress(&note);
                }
                thread::sleep(HOUSEKEEPING);
            }
            let mut state = self.lock();
            outcome.and_then(|()| {
                self.publish(&mut state, true)?;
                state.reporter.flush().map(drop)
            })
        })
    }

    /// Takes up the active bundle where it has changed, and publishes health.
    fn follow(&self) -> io::Result<()> {
        let pointer = read_pointer(&self.disk)?;
        let now = pointer.as_ref().map(|pointer| pointer.release.sha256);
        let changed = self.lock().seen != now;
        if changed {
            // Loading may take long; requests go on with the bundle before.
            let loaded = pointer.as_ref().map(|pointer| self.load(pointer));
            self.take_up(pointer, loaded)?;
        }
        self.publish(&mut self.lock(), false)
    }

    fn load(&self, pointer: &Pointer) -> Result<Engine, String> {
        let bytes =
            self.disk.read(&pointer.path, pointer.release.bytes).map_err(|error| error.to_string())?;
        Engine::start(&self.model, &bytes)
    }

    fn take_up(&self, pointer: Option<Pointer>, loaded: Option<Result<Engine, String>>) -> io::Result<()> {
        let mut state = self.lock();
        state.seen = pointer.as_ref().map(|pointer| pointer.release.sha256);
        state.health = state.seen.map(Health::new);
        match (pointer, loaded) {
            (Some(pointer), Some(Ok(engine))) => {
                let release = pointer.release;
                state.notes.push(format!("serving {release}"));
                state.engine = Some((release.sha256, engine));
                state.reporter.switch(Some(release))
            }
            (Some(pointer), Some(Err(cause))) => {
                state.notes.push(format!("{} does not load: {cause}", pointer.release));
                state.reporter.metrics.error("load");
                if let Some(health) = &mut state.health {
                    health.errors += 1;
                }
                Ok(())
            }
            _ => {
                state.notes.push("nothing is active".to_owned());
                state.engine = None;
                state.reporter.switch(None)
            }
        }
    }

    /// Bad news at once, good news once a second.
    fn publish(&self, state: &mut State, last: bool) -> io::Result<()> {
        let Some(health) = state.health else { return Ok(()) };
        let due = match state.written {
            None => true,
            Some((written, _)) if written == health => false,
            Some((written, at)) => {
                let worse = written.sha256 != health.sha256
                    || (written.errors, written.nan) != (health.errors, health.nan);
                last || worse || at.elapsed() >= HEALTH_INTERVAL
            }
        };
        if due {
            health.write(&self.disk)?;
            state.written = Some((health, Instant::now()));
        }
        Ok(())
    }

    fn answer(&self, mut request: tiny_http::Request) {
        let path = request.url().split('?').next().unwrap_or_default().to_owned();
        let (status, body) = match (request.method(), path.as_str()) {
            (Method::Get, "/v2") => (200, self.server_metadata()),
            (Method::Get, "/v2/health/live") => (200, json!({ "live": true })),
            (Method::Get, "/v2/health/ready") => self.ready(),
            (method, path) => match path.strip_prefix("/v2/models/").map(|rest| (method, rest)) {
                Some((method, rest)) => {
                    let (method, rest) = (method.clone(), rest.to_owned());
                    self.model(&method, &rest, request.as_reader())
                }
                None => (404, json!({ "error": format!("there is nothing at {path}") })),
            },
        };
        let response = Response::from_data(body.to_string()).with_status_code(status);
        let kind = Header::from_bytes("content-type", "application/json");
        let response = kind.into_iter().fold(response, Response::with_header);
        // A client that went away has no use for its answer.
        drop(request.respond(response));
    }

    fn server_metadata(&self) -> Value {
        json!({ "name": "samara-agent", "version": env!("CARGO_PKG_VERSION"), "extensions": [] })
    }

    fn ready(&self) -> Reply {
        let ready = self.lock().engine.is_some();
        (if ready { 200 } else { 503 }, json!({ "ready": ready }))
    }

    /// `NAME`, `NAME/ready`, `NAME/infer`, each also as `NAME/versions/VERSION…`.
    fn model(&self, method: &Method, rest: &str, body: &mut dyn Read) -> Reply {
        let mut parts = rest.split('/');
        let name = parts.next().unwrap_or_default();
        let mut verb = parts.next();
        let mut version = None;
        if verb == Some("versions") {
            version = parts.next();
            verb = parts.next();
        }
        let engine = match self.lock().engine.clone() {
            Some((_, engine)) => engine,
            None => return (503, json!({ "error": "no model is active" })),
        };
        let known = engine.identity.version.to_string();
        if name != engine.identity.name
            || version.is_some_and(|version| version != known)
            || parts.next().is_some()
        {
            return (404, json!({ "error": format!("there is no model {rest}") }));
        }
        match (method, verb) {
            (Method::Get, None) => (200, metadata(&engine)),
            (Method::Get, Some("ready")) => (200, json!({ "name": name, "ready": true })),
            (Method::Post, Some("infer")) => self.infer(&engine, body),
            (_, None | Some("ready" | "infer")) => (405, json!({ "error": "use another method" })),
            _ => (404, json!({ "error": format!("there is nothing at {rest}") })),
        }
    }

    fn infer(&self, engine: &Engine, body: &mut dyn Read) -> Reply {
        let bad = |cause: String| {
            self.lock().reporter.metrics.error("request");
            (400, json!({ "error": cause }))
        };
        let elements: usize = engine.inputs.iter().map(|port| port.desc.shape.elements()).sum();
        let limit = BODY_BASE_BYTES + BODY_BYTES_PER_ELEMENT * elements as u64;
        let mut bytes = Vec::new();
        match body.take(limit + 1).read_to_end(&mut bytes) {
            Err(error) => return bad(format!("the request: {error}")),
            Ok(_) if bytes.len() as u64 > limit => {
                return bad(format!("the request is longer than {limit} bytes"));
            }
            Ok(_) => {}
        }
        let parsed = Request::parse(&bytes).and_then(|request| {
            Ok((request.elements(&engine.inputs)?, request.wanted(&engine.outputs)?, request.id))
        });
        let (inputs, wanted, id) = match parsed {
            Ok(parsed) => parsed,
            Err(cause) => return bad(cause),
        };
        let answer = match engine.infer(inputs) {
            Ok(answer) => answer,
            Err(error) => {
                self.count(engine, |health, state| {
                    health.errors += 1;
                    state.metrics.error(&format!("runtime-{}", error.code()));
                });
                return (500, json!({ "error": error.to_string() }));
            }
        };
        // Every output counts for health, asked for or not.
        let all: Vec<(Value, bool)> = engine
            .outputs
            .iter()
            .zip(&answer.outputs)
            .map(|(port, bytes)| protocol::output(port, bytes))
            .collect();
        let wrong = all.iter().position(|(_, not_finite)| *not_finite);
        self.count(engine, |health, state| {
            health.inferences += 1;
            state.metrics.inference(answer.seconds);
            if wrong.is_some() {
                health.nan += 1;
                state.metrics.nan();
            }
        });
        if let Some(index) = wrong {
            let name = &engine.outputs[index].name;
            return (500, json!({ "error": format!("output `{name}` is not finite") }));
        }
        let outputs: Vec<&Value> = wanted.iter().map(|&index| &all[index].0).collect();
        let mut reply = json!({
            "model_name": engine.identity.name,
            "model_version": engine.identity.version.to_string(),
            "outputs": outputs,
        });
        if let Some(id) = id {
            reply["id"] = json!(id);
        }
        (200, reply)
    }

    /// Counts for the bundle that answered, unless another was taken up meanwhile.
    fn count(&self, engine: &Engine, count: impl FnOnce(&mut Health, &mut Reporter<HostDisk>)) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let current = state
            .engine
            .as_ref()
            .filter(|(_, now)| now.identity == engine.identity)
            .map(|(sha256, _)| *sha256);
        if let (Some(health), Some(sha256)) = (&mut state.health, current)
            && health.sha256 == sha256
        {
            count(health, &mut state.reporter);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration it runs with.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

fn metadata(engine: &Engine) -> Value {
    let ports = |ports: &[Port]| -> Vec<Value> {
        let port = |port: &Port| {
            json!({
                "name": port.name,
                "datatype": protocol::datatype(port.desc.dtype),
                "shape": port.desc.shape.dims(),
            })
        };
        ports.iter().map(port).collect()
    };
    json!({
        "name": engine.identity.name,
        "versions": [engine.identity.version.to_string()],
        "platform": "samara",
        "inputs": ports(&engine.inputs),
        "outputs": ports(&engine.outputs),
        "parameters": { "digest": engine.identity.digest },
    })
}
