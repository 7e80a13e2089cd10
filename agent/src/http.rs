//! HTTP with limits: time-outs, sizes, ranges, certificates, and how long to wait before asking again.

use crate::{
    config::Network,
    repository::{Failure, Sink},
};
use sha2::{Digest as _, Sha256};
use std::{fs, io::Read, time::Duration};
use ureq::{
    Agent,
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

const CA_MAX_BYTES: u64 = 4 << 20;
const USER_AGENT: &str = concat!("samara-agent/", env!("CARGO_PKG_VERSION"));

/// An HTTP client for this network. Statuses are not errors; redirects are followed.
///
/// # Errors
/// When the certificate file or the proxy address cannot be used, in words that name them.
pub fn agent(network: &Network) -> Result<Agent, String> {
    let mut config = Agent::config_builder()
        .user_agent(USER_AGENT)
        .http_status_as_error(false)
        .timeout_connect(Some(network.connect_timeout))
        .timeout_resolve(Some(network.connect_timeout))
        .timeout_send_request(Some(network.read_timeout))
        .timeout_recv_response(Some(network.read_timeout))
        .timeout_per_read(Some(network.read_timeout));
    if let Some(proxy) = &network.proxy {
        let proxy = ureq::Proxy::new(proxy).map_err(|error| format!("proxy {proxy}: {error}"))?;
        config = config.proxy(Some(proxy));
    }
    if let Some(path) = &network.ca_file {
        let certificates =
            authorities(path).map_err(|cause| format!("{}: {cause}; give a PEM file", path.display()))?;
        let roots = RootCerts::new_with_certs(&certificates);
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    Ok(config.build().into())
}

/// Downloads `url` from byte `from` on, of a file of `length` bytes.
///
/// A server that does not serve ranges makes the sink start again at offset 0.
///
/// # Errors
/// When the server cannot be reached, answers with an error, or sends another amount of bytes.
pub fn download(
    agent: &Agent,
    url: &str,
    from: u64,
    length: u64,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let lost = |cause: String| Failure::Unreachable(format!("{url}: {cause}"));
    let mut request = agent.get(url);
    if from > 0 {
        request = request.header("range", format!("bytes={from}-"));
    }
    let response = request.call().map_err(|error| lost(error.to_string()))?;
    let status = response.status().as_u16();
    let mut offset = match status {
        200 => 0,
        206 if from > 0 => {
            let range = response.headers().get("content-range").and_then(|value| value.to_str().ok());
            if range.and_then(range_start) != Some(from) {
                return Err(lost("the server answered with another range".to_owned()));
            }
            from
        }
        // Our partial file is longer than the server's file: it cannot be the same file.
        416 => return download(agent, url, 0, length, sink),
        status => return Err(lost(format!("HTTP status {status}"))),
    };
    let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let count = match body.read(&mut chunk) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            outcome => outcome.map_err(|error| lost(error.to_string()))?,
        };
        if count == 0 {
            break;
        }
        if offset + count as u64 > length {
            return Err(Failure::Refused(format!(
                "{url}: more than the {length} bytes that metadata promises"
            )));
        }
        sink(offset, &chunk[..count]).map_err(|error| lost(error.to_string()))?;
        offset += count as u64;
    }
    if offset < length {
        return Err(lost(format!("the connection ended after {offset} of {length} bytes")));
    }
    Ok(())
}

/// Waiting times that double from try to try, and differ from device to device.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Before the first repetition.
    pub base: Duration,
    /// Never longer than this.
    pub cap: Duration,
}

impl Backoff {
    /// The wait before repetition `attempt` (from 0): between half of `min(cap, base << attempt)` and all of it.
    pub fn delay(&self, device_id: &str, attempt: u32) -> Duration {
        let doubled = self.base.saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX));
        jitter(doubled.min(self.cap), 2, device_id, u64::from(attempt))
    }
}

/// `time` less a share of up to `1/divisor`, which depends on device and `nonce` alone: a fleet that fails
/// together does not come back together, and a device needs no random numbers for that.
pub fn jitter(time: Duration, divisor: u32, device_id: &str, nonce: u64) -> Duration {
    let hash: [u8; 32] =
        Sha256::new().chain_update(nonce.to_le_bytes()).chain_update(device_id).finalize().into();
    let fraction = f64::from(u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])) / f64::from(u32::MAX);
    time - (time / divisor.max(1)).mul_f64(fraction)
}

fn range_start(value: &str) -> Option<u64> {
    value.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

fn authorities(path: &std::path::Path) -> Result<Vec<Certificate<'static>>, String> {
    if fs::metadata(path).map_err(|error| error.to_string())?.len() > CA_MAX_BYTES {
        return Err(format!("it is longer than {CA_MAX_BYTES} bytes"));
    }
    let pem = fs::read(path).map_err(|error| error.to_string())?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| error.to_string())? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        Network {
            ca_file: None,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
        }
    }

    /// Serves `body` to `requests` requests; with `ranges`, honours `Range: bytes=N-`.
    fn server(
        body: &'static [u8],
        ranges: bool,
        requests: usize,
    ) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", server.server_addr());
        let serve = move || {
            let mut asked = Vec::new();
            for _ in 0..requests {
                let Ok(Some(request)) = server.recv_timeout(Duration::from_secs(20)) else { break };
                let range = request.headers().iter().find(|header| header.field.equiv("Range"));
                let range = range.map(|header| header.value.to_string());
                let from = range
                    .as_deref()
                    .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
                asked.push(range.clone().unwrap_or_default());
                let response = match from.filter(|_| ranges) {
                    Some(from) if from >= body.len() => {
                        tiny_http::Response::from_data([]).with_status_code(416)
                    }
                    Some(from) => {
                        let value = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
                        let header = tiny_http::Header::from_bytes("Content-Range", value).unwrap();
                        tiny_http::Response::from_data(&body[from..])
                            .with_status_code(206)
                            .with_header(header)
                    }
                    None => tiny_http::Response::from_data(body),
                };
                request.respond(response).unwrap();
            }
            asked
        };
        (url, std::thread::spawn(serve))
    }

    fn collect(url: &str, have: &[u8], from: u64, length: u64) -> (Result<(), Failure>, Vec<u8>) {
        let mut bytes = have.to_vec();
        let result = download(&agent(&network()).unwrap(), url, from, length, &mut |offset, chunk| {
            bytes.truncate(offset as usize);
            bytes.extend_from_slice(chunk);
            Ok(())
        });
        (result, bytes)
    }

    #[test]
    fn a_range_is_resumed_and_a_server_without_ranges_starts_again() {
        for ranges in [true, false] {
            let (url, server) = server(b"0123456789", ranges, 1);
            assert_eq!(collect(&url, b"0123", 4, 10), (Ok(()), b"0123456789".to_vec()));
            assert_eq!(server.join().unwrap(), ["bytes=4-"]);
        }
    }

    #[test]
    fn a_range_beyond_the_end_starts_again() {
        let (url, server) = server(b"0123456789", true, 2);
        assert_eq!(collect(&url, b"aaaaaaaaaaaa", 12, 10), (Ok(()), b"0123456789".to_vec()));
        assert_eq!(server.join().unwrap(), ["bytes=12-", ""]);
    }

    #[test]
    fn endless_and_short_bodies_are_refused() {
        let (url, handle) = server(b"0123456789", true, 1);
        let (result, bytes) = collect(&url, b"", 0, 9);
        assert!(matches!(result, Err(Failure::Refused(_))) && bytes.is_empty());
        handle.join().unwrap();
        let (url, handle) = server(b"0123456789", true, 1);
        assert!(matches!(collect(&url, b"", 0, 11).0, Err(Failure::Unreachable(_))));
        handle.join().unwrap();
    }

    #[test]
    fn nobody_listening_is_unreachable() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", free.local_addr().unwrap());
        drop(free);
        assert!(matches!(collect(&url, b"", 0, 1).0, Err(Failure::Unreachable(_))));
    }

    #[test]
    fn delays_grow_to_the_cap_and_differ_between_devices() {
        let backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) };
        for attempt in 0..70 {
            let full = Duration::from_secs(1u64.checked_shl(attempt).unwrap_or(u64::MAX).min(60));
            let delay = backoff.delay("d1", attempt);
            assert!(delay <= full && delay >= full / 2, "{attempt}: {delay:?}");
        }
        assert_ne!(backoff.delay("d1", 3), backoff.delay("d2", 3));
    }

    #[test]
    fn a_certificate_file_without_certificates_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        fs::write(&path, "no certificate").unwrap();
        let message = agent(&Network { ca_file: Some(path), ..network() }).unwrap_err();
        assert!(message.contains("ca.pem") && message.contains("no certificate"), "{message}");
    }
}
