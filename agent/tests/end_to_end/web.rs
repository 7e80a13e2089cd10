//! A static web server with the faults that servers have, and a receiver of telemetry.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tiny_http::{Header, Request, Response, Server};

/// What goes wrong with the next file whose path contains the text.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// One bit of the body is flipped.
    Flip(&'static str),
    /// The connection stalls after half of the body.
    Stall(&'static str),
}

#[derive(Default)]
struct Shared {
    log: Mutex<Vec<String>>,
    fault: Mutex<Option<Fault>>,
    posts: Mutex<Vec<(String, Vec<u8>)>>,
    stop: AtomicBool,
}

/// Serves a directory by GET, with ranges, and stores what is POSTed.
pub(crate) struct Web {
    pub(crate) url: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    pub(crate) fn start(root: &Path) -> Self {
        let server = Server::http("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.server_addr());
        let shared = Arc::new(Shared::default());
        let (root, inner) = (root.to_owned(), shared.clone());
        let thread = std::thread::spawn(move || {
            while !inner.stop.load(Ordering::Relaxed) {
                if let Ok(Some(request)) = server.recv_timeout(Duration::from_millis(50)) {
                    answer(&root, &inner, request);
                }
            }
        });
        Self { url, shared, thread: Some(thread) }
    }

    /// Requests since the last call: `path` or `path range`.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.log.lock().unwrap())
    }

    pub(crate) fn fault(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap() = Some(fault);
    }

    /// Idempotency keys and bodies of what was POSTed since the last call.
    pub(crate) fn posts(&self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut self.shared.posts.lock().unwrap())
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn header(request: &Request, name: &'static str) -> Option<String> {
    request.headers().iter().find(|header| header.field.equiv(name)).map(|header| header.value.to_string())
}

fn answer(root: &Path, shared: &Shared, mut request: Request) {
    let path = request.url().to_owned();
    if *request.method() == tiny_http::Method::Post {
        let key = header(&request, "Idempotency-Key").unwrap_or_default();
        let mut body = Vec::new();
        request.as_reader().read_to_end(&mut body).unwrap();
        assert_eq!(path, "/v1/metrics");
        shared.posts.lock().unwrap().push((key, body));
        return drop(request.respond(Response::from_data([])));
    }
    let range = header(&request, "Range");
    let entry = [path.clone(), range.clone().unwrap_or_default()].join(" ");
    shared.log.lock().unwrap().push(entry.trim().to_owned());
    let file: PathBuf = root.join(path.trim_start_matches('/'));
    let Ok(mut body) = fs::read(file) else {
        return drop(request.respond(Response::from_data([]).with_status_code(404)));
    };
    let fault = shared.fault.lock().unwrap().take_if(|fault| match fault {
        Fault::Flip(part) | Fault::Stall(part) => path.contains(*part),
    });
    match fault {
        Some(Fault::Flip(_)) => {
            let middle = body.len() / 2;
            body[middle] ^= 4;
        }
        Some(Fault::Stall(_)) => {
            let mut raw = request.into_writer();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            drop(raw.write_all(head.as_bytes()).and_then(|()| raw.write_all(&body[..body.len() / 2])));
            drop(raw.flush());
            return;
        }
        None => {}
    }
    let from = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let response = match from {
        Some(from) => {
            let value = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
            let header = Header::from_bytes("Content-Range", value).unwrap();
            Response::from_data(&body[from..]).with_status_code(206).with_header(header)
        }
        None => Response::from_data(body),
    };
    drop(request.respond(response));
}
