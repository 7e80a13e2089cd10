//! The demo's web server on loopback: static files with ranges, and a receiver of OTLP metrics.

use std::io::Cursor;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tiny_http::{Header, Method, Request, Response, StatusCode};

use crate::error::{Error, Result};

/// Largest body that is taken.
const MAX_BODY: u64 = 1 << 20;

pub(super) struct Server {
    address: String,
    shared: Arc<Shared>,
    http: Arc<tiny_http::Server>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    root: PathBuf,
    stopped: AtomicBool,
    /// Bytes of a target after which the line goes dead; `usize::MAX` for a good line.
    cut_after: AtomicUsize,
    /// Whether a download was cut.
    cut: AtomicBool,
    metrics: Mutex<Vec<Vec<u8>>>,
}

impl Server {
    pub(super) fn start(root: &Path) -> Result<Self> {
        let failed =
            |e: &dyn std::fmt::Display| Error::invalid(format!("the local web server does not start: {e}"));
        let http = Arc::new(tiny_http::Server::http("127.0.0.1:0").map_err(|e| failed(&e))?);
        let address = format!("http://{}", http.server_addr());
        let shared = Arc::new(Shared {
            root: root.join("repo"),
            stopped: AtomicBool::new(false),
            cut_after: AtomicUsize::new(usize::MAX),
            cut: AtomicBool::new(false),
            metrics: Mutex::new(Vec::new()),
        });
        let (worker, state) = (http.clone(), shared.clone());
        let thread = std::thread::Builder::new()
            .name("demo-server".into())
            .spawn(move || {
                while let Ok(request) = worker.recv() {
                    let state = state.clone();
                    // A thread each: one request stalls on purpose.
                    std::thread::spawn(move || state.answer(request));
                }
            })
            .map_err(|e| failed(&e))?;
        Ok(Server { address, shared, http, thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// From now on downloads of targets go dead after so many bytes.
    pub(super) fn cut_after(&self, bytes: Option<usize>) {
        self.shared.cut.store(false, Ordering::SeqCst);
        self.shared.cut_after.store(bytes.unwrap_or(usize::MAX), Ordering::SeqCst);
    }

    /// Whether a download has gone dead since.
    pub(super) fn was_cut(&self) -> bool {
        self.shared.cut.load(Ordering::SeqCst)
    }

    /// Bodies that were posted to `/v1/metrics`.
    pub(super) fn metrics(&self) -> Vec<Vec<u8>> {
        self.shared.metrics.lock().map(|m| m.clone()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.http.unblock();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Shared {
    fn answer(&self, mut request: Request) {
        let url = request.url().to_owned();
        let response = match request.method() {
            Method::Post if url == "/v1/metrics" => {
                let mut body = Vec::new();
                let read = std::io::Read::read_to_end(
                    &mut std::io::Read::take(request.as_reader(), MAX_BODY),
                    &mut body,
                );
                if let (Ok(_), Ok(mut metrics)) = (read, self.metrics.lock()) {
                    metrics.push(body);
                }
                Response::from_data(Vec::new()).boxed()
            }
            Method::Get => match self.file(&url) {
                Some(bytes) => return self.send(request, &url, bytes),
                None => Response::empty(404).boxed(),
            },
            _ => Response::empty(405).boxed(),
        };
        // A client that went away is no error of the server's.
        request.respond(response).ok();
    }

    fn file(&self, url: &str) -> Option<Vec<u8>> {
        let relative = Path::new(url.trim_start_matches('/'));
        let plain = relative.components().all(|c| matches!(c, Component::Normal(_)));
        if plain { std::fs::read(self.root.join(relative)).ok() } else { None }
    }

    fn send(&self, request: Request, url: &str, bytes: Vec<u8>) {
        let range = request.headers().iter().find(|h| h.field.equiv("Range")).and_then(|h| {
            h.value
                .as_str()
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse::<usize>()
                .ok()
                .filter(|&n| n < bytes.len())
        });
        let (from, status) = range.map_or((0, 200), |from| (from, 206));
        let (total, body) = (bytes.len(), bytes[from..].to_vec());
        let cut = self.cut_after.load(Ordering::SeqCst);
        let stalls = url.starts_with("/targets/") && cut < body.len();
        let length = body.len();
        let reader: Box<dyn std::io::Read + Send + '_> = if stalls {
            Box::new(std::io::Read::chain(Cursor::new(body[..cut].to_vec()), Dead(self)))
        } else {
            Box::new(Cursor::new(body))
        };
        let mut headers = Vec::new();
        if range.is_some() {
            let value = format!("bytes {from}-{}/{total}", total - 1);
            headers.extend(Header::from_bytes("Content-Range", value));
        }
        headers.extend(Header::from_bytes("Accept-Ranges", "bytes"));
        request.respond(Response::new(StatusCode(status), headers, reader, Some(length), None)).ok();
    }
}

/// A line that says nothing more until the server stops.
struct Dead<'a>(&'a Shared);

impl std::io::Read for Dead<'_> {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.cut.store(true, Ordering::SeqCst);
        while !self.0.stopped.load(Ordering::SeqCst) && self.0.cut_after.load(Ordering::SeqCst) != usize::MAX
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(std::io::ErrorKind::ConnectionAborted.into())
    }
}
