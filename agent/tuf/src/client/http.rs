//! Repositories over HTTP, by ureq.

use super::Fetch;
use crate::error::{Error, Result};
use std::io::Read;
use std::time::Duration;

/// A metadata URL and the connections to it.
pub struct Http {
    agent: ureq::Agent,
    metadata_url: String,
}

impl Http {
    /// With timeouts against slow retrieval: 10 s to connect, 30 s for an answer, 60 s for a metadata file. Target
    /// files have none, because their size has none; a caller that must not wait stops reading.
    pub fn new(metadata_url: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .build();
        Http::with_agent(config.into(), metadata_url)
    }

    /// Over an agent that is configured already: proxy, certificates, timeouts.
    pub fn with_agent(agent: ureq::Agent, metadata_url: &str) -> Self {
        Http { agent, metadata_url: metadata_url.trim_end_matches('/').into() }
    }

    /// Opens a target file; `path` is [`super::Target::path`].
    pub fn open_target(&self, targets_url: &str, path: &str) -> Result<Box<dyn Read>> {
        let url = format!("{}/{path}", targets_url.trim_end_matches('/'));
        match self.get(&url, None)? {
            Some(body) => Ok(Box::new(body.into_reader())),
            None => Err(Error::Missing { path: url }),
        }
    }

    fn get(&self, url: &str, body_timeout: Option<Duration>) -> Result<Option<ureq::Body>> {
        let failed = |reason: String| Error::Fetch { url: url.into(), reason };
        let response = self
            .agent
            .get(url)
            .config()
            .timeout_recv_body(body_timeout)
            .http_status_as_error(false)
            .build()
            .call()
            .map_err(|e| failed(e.to_string()))?;
        match response.status().as_u16() {
            200 => Ok(Some(response.into_body())),
            // Object stores that may not list a directory answer 403 for a file that is not there.
            403 | 404 | 410 => Ok(None),
            status => Err(failed(format!("HTTP status {status}"))),
        }
    }
}

impl Fetch for Http {
    fn fetch(&mut self, path: &str, max_bytes: u64) -> Result<Option<Vec<u8>>> {
        let url = format!("{}/{path}", self.metadata_url);
        let Some(body) = self.get(&url, Some(Duration::from_secs(60)))? else { return Ok(None) };
        let mut bytes = Vec::new();
        body.into_reader()
            .take(max_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| Error::Fetch { url: url.clone(), reason: e.to_string() })?;
        if bytes.len() as u64 > max_bytes {
            return Err(Error::TooLong { what: url, max: max_bytes });
        }
        Ok(Some(bytes))
    }
}
