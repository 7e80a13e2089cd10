//! Sending windows, and keeping those that could not be sent.

use super::{
    metrics::{Metrics, Source, Window},
    otlp,
    ring::Ring,
};
use crate::{
    config::{Config, Telemetry},
    http,
    store::{Disk, disk},
    types::Release,
};
use prost::Message;
use std::{
    io,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// An answer longer than this is not read.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// What became of the waiting windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Windows accepted.
    pub sent: usize,
    /// Windows that the receiver will never accept.
    pub rejected: usize,
    /// Windows still waiting.
    pub waiting: usize,
    /// Why they wait, or were rejected.
    pub error: Option<String>,
}

/// Counts, stores and sends for one component of one device.
pub struct Reporter<D> {
    /// The counts of the present stream.
    pub metrics: Metrics,
    instance: String,
    target: Option<(Telemetry, ureq::Agent, Ring<D>)>,
    last: Instant,
    not_before: Option<Instant>,
}

impl<D: Disk + Clone> Reporter<D> {
    /// Starts a new boot of `component`. Without a telemetry endpoint it only counts.
    ///
    /// # Errors
    /// A line that names what cannot be used.
    pub fn open(config: &Config, disk: D, component: &str, release: Option<Release>) -> Result<Self, String> {
        let boot =
            next_boot(&disk, component).map_err(|error| format!("{}: {error}", config.data_dir.display()))?;
        let target = match &config.telemetry {
            Some(telemetry) => {
                let agent = http::agent(&config.repository.network)?;
                let ring = Ring::open(disk, &format!("telemetry/{component}.ring"), telemetry.quota)
                    .map_err(|error| format!("{}: {error}", config.data_dir.display()))?;
                Some((telemetry.clone(), agent, ring))
            }
            None => None,
        };
        let source = Source {
            device_id: config.device_id.clone(),
            class: config.class.clone(),
            component: component.to_owned(),
            boot,
        };
        Ok(Self {
            metrics: Metrics::new(source, release, now()),
            instance: format!("{}/{component}", config.device_id),
            target,
            last: Instant::now(),
            not_before: None,
        })
    }

    /// Closes the present window if its time is over, stores it, and sends what waits.
    ///
    /// # Errors
    /// When the disk fails; a receiver that is away is no error.
    pub fn tick(&mut self) -> io::Result<Option<Delivery>> {
        let due =
            self.target.as_ref().is_some_and(|(telemetry, ..)| self.last.elapsed() >= telemetry.interval);
        if due { self.flush().map(Some) } else { Ok(None) }
    }

    /// Closes the present window, stores it, and sends what waits.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn flush(&mut self) -> io::Result<Delivery> {
        self.close_window()?;
        self.send()
    }

    /// Begins the stream of another bundle, storing the last window of the one before.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn switch(&mut self, release: Option<Release>) -> io::Result<()> {
        self.close_window()?;
        self.metrics.switch(release, now());
        Ok(())
    }

    fn close_window(&mut self) -> io::Result<()> {
        self.last = Instant::now();
        match &mut self.target {
            Some((.., ring)) => ring.push(self.metrics.window(now(), ring.carry())),
            None => Ok(()),
        }
    }

    fn send(&mut self) -> io::Result<Delivery> {
        let Some((telemetry, agent, ring)) = &mut self.target else { return Ok(Delivery::default()) };
        let mut delivery = Delivery::default();
        let mut unacknowledged = 0;
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            delivery.waiting = ring.windows().count();
            return Ok(delivery);
        }
        self.not_before = None;
        loop {
            let Some(window) = ring.windows().nth(unacknowledged) else { break };
            match post(agent, &telemetry.endpoint, &self.instance, window) {
                Answer::Accepted(note) => {
                    unacknowledged += 1;
                    delivery.sent += 1;
                    delivery.error = note.or(delivery.error);
                }
                Answer::Rejected(cause) => {
                    ring.pop(unacknowledged)?;
                    unacknowledged = 0;
                    ring.reject()?;
                    delivery.rejected += 1;
                    delivery.error = Some(cause);
                }
                Answer::Later(cause, wait) => {
                    self.not_before = wait.map(|wait| Instant::now() + wait);
                    delivery.error = Some(cause);
                    break;
                }
            }
        }
        ring.pop(unacknowledged)?;
        delivery.waiting = ring.windows().count();
        Ok(delivery)
    }
}

enum Answer {
    Accepted(Option<String>),
    Rejected(String),
    Later(String, Option<Duration>),
}

fn post(agent: &ureq::Agent, endpoint: &str, instance: &str, window: &Window) -> Answer {
    let url = format!("{endpoint}/v1/metrics");
    let key = format!("{instance}/{}/{}", window.boot, window.sequence);
    let request =
        agent.post(&url).header("content-type", "application/x-protobuf").header("idempotency-key", key);
    let response = match request.send(&window.payload[..]) {
        Ok(response) => response,
        Err(error) => return Answer::Later(format!("{url}: {error}"), None),
    };
    let status = response.status().as_u16();
    let retry_after =
        response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    match status {
        200..=299 => {
            let body = response.into_body().into_with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
            let partial = body.ok().and_then(|body| otlp::Response::decode(&body[..]).ok()?.partial_success);
            let partial = partial.filter(|partial| partial.rejected_data_points > 0);
            Answer::Accepted(partial.map(|partial| {
                format!(
                    "{url}: {} data points dropped: {}",
                    partial.rejected_data_points, partial.error_message
                )
            }))
        }
        // The codes that the OTLP specification calls retryable.
        429 | 502 | 503 | 504 => {
            let wait = retry_after.map(|seconds: u64| Duration::from_secs(seconds.min(3600)));
            Answer::Later(format!("{url}: HTTP status {status}"), wait)
        }
        _ => Answer::Rejected(format!("{url}: HTTP status {status}")),
    }
}

/// Counts starts of a component, durably: a sequence number means nothing without it.
fn next_boot<D: Disk>(disk: &D, component: &str) -> io::Result<u64> {
    disk.create_dir("telemetry")?;
    let path = format!("telemetry/{component}.boot");
    let last = match disk.read(&path, 32) {
        Ok(bytes) => std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => 0u64,
        Err(error) => return Err(error),
    };
    let boot = last.saturating_add(1);
    disk::replace(disk, &path, format!("{boot}\n").as_bytes())?;
    Ok(boot)
}

/// Nanoseconds since 1970 by the system clock.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Network, store::SimDisk, telemetry::Counts};
    use std::rc::Rc;
    use tiny_http::{Header, Response, Server};

    fn reporter(
        answers: Vec<(u16, Option<&'static str>)>,
    ) -> (Reporter<Rc<SimDisk>>, std::thread::JoinHandle<usize>) {
        let server = Server::http("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", server.server_addr());
        let thread = std::thread::spawn(move || {
            let mut seen = 0;
            for (status, retry_after) in answers {
                let Ok(Some(request)) = server.recv_timeout(Duration::from_secs(20)) else { break };
                seen += 1;
                let mut response = Response::from_data([]).with_status_code(status);
                if let Some(seconds) = retry_after {
                    response.add_header(Header::from_bytes("Retry-After", seconds).unwrap());
                }
                request.respond(response).unwrap();
            }
            seen
        });
        let network = Network {
            ca_file: None,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
        };
        let telemetry = Telemetry { endpoint, interval: Duration::from_secs(3600), quota: 100_000 };
        let ring = Ring::open(Rc::new(SimDisk::new()), "telemetry/x.ring", telemetry.quota).unwrap();
        let source = Source { device_id: "d".into(), class: "c".into(), component: "x".into(), boot: 1 };
        let reporter = Reporter {
            metrics: Metrics::new(source, None, 1),
            instance: "d/x".into(),
            target: Some((telemetry, http::agent(&network).unwrap(), ring)),
            last: Instant::now(),
            not_before: None,
        };
        (reporter, thread)
    }

    #[test]
    fn a_busy_receiver_is_left_alone_for_as_long_as_it_asks() {
        let (mut reporter, thread) = reporter(vec![(503, Some("3600"))]);
        let delivery = reporter.flush().unwrap();
        assert_eq!((delivery.sent, delivery.waiting), (0, 1));
        assert!(delivery.error.unwrap().contains("503"));
        assert_eq!(thread.join().unwrap(), 1);
        // The server is gone now; nobody notices, because nobody asks before the hour is over.
        let delivery = reporter.flush().unwrap();
        assert_eq!((delivery.waiting, delivery.error), (2, None));
    }

    #[test]
    fn a_window_that_is_refused_for_good_does_not_block_the_next_and_its_errors_are_carried() {
        let (mut reporter, thread) = reporter(vec![(503, None), (200, None), (400, None), (200, None)]);
        reporter.metrics.error("load");
        assert_eq!(reporter.flush().unwrap().waiting, 1);
        reporter.switch(None).unwrap();
        reporter.metrics.error("request");
        let carry = |reporter: &Reporter<Rc<SimDisk>>| reporter.target.as_ref().unwrap().2.carry().clone();
        let delivery = reporter.flush().unwrap();
        assert_eq!((delivery.sent, delivery.rejected, delivery.waiting), (2, 1, 0));
        assert_eq!(thread.join().unwrap(), 4);
        // The refused window was the last of its stream with one `load` error; the stream after it arrived.
        assert_eq!(carry(&reporter), Counts::from([("load".to_owned(), 1)]));
    }

    #[test]
    fn boots_count_up_and_survive() {
        let disk = Rc::new(SimDisk::new());
        assert_eq!([1, 2, 3].map(|_| next_boot(&disk, "x").unwrap()), [1, 2, 3]);
        assert_eq!(next_boot(&disk, "y").unwrap(), 1);
        disk.put("telemetry/x.boot", b"nonsense").unwrap();
        assert_eq!(next_boot(&disk, "x").unwrap(), 1);
    }
}
