//! `samara-agent serve`

use super::{Report, Result, progress, stopped};
use samara_agent::{config::Config, serve::Service};
use serde_json::json;

pub(super) fn run(config: Config, json: bool) -> Result<Report> {
    let service = Service::open(config)?;
    let address = service.address().map_or_else(String::new, |address| address.to_string());
    progress(&format!("listening on http://{address}"));
    let started = json!({ "listen": address });
    if json {
        // At once, so that a script that asked for port 0 learns the port; the same object ends the command.
        println!("{started}");
    }
    service.run(&stopped, &mut progress)?;
    Ok(Report { code: 0, line: "stopped".to_owned(), json: json!({ "listen": address, "stopped": true }) })
}
