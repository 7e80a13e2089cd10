//! `--evaluate-with CMD`: the user's own program scores the outputs.
//!
//! It is called through the shell with two more arguments, the paths of two `.npz` files: the float model's
//! outputs and the bundle's, arrays named as the model's outputs, dequantized, sample axis first. It prints one
//! JSON object, `{"float": x, "bundle": y, "higher_is_better": true}`.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use samara_runtime::Dtype;
use samara_runtime::ops::eval::Value;

use super::{Outcome, both};
use crate::data::{self, Array};
use crate::error::{About, Error, Result};
use crate::files;
use crate::ir::Graph;

/// How long the command may take.
pub const TIME_LIMIT: Duration = Duration::from_secs(600);
/// Most bytes of outputs that are gathered for it, per model.
pub const MAX_OUTPUTS: usize = 1 << 30;
/// Most bytes that it may print.
const MAX_ANSWER: u64 = 64 * 1024;

/// Runs both models on every sample, hands their outputs to `command` and reads its scores.
pub fn evaluate_with(
    source: &Graph,
    bundle: &[u8],
    samples: impl Iterator<Item = Result<Vec<Value>>>,
    command: &str,
) -> Result<(Outcome, usize)> {
    let mut gathered = (vec![Vec::new(); source.outputs.len()], vec![Vec::new(); source.outputs.len()]);
    let mut held = 0;
    let count = both(source, bundle, samples, |pair| {
        held += pair.source.iter().map(|o| o.len() * 4).sum::<usize>();
        if held > MAX_OUTPUTS {
            let cause = format!("the outputs of {} samples are above {MAX_OUTPUTS} bytes", pair.sample + 1);
            return Err(Error::invalid(cause).remedy("evaluate on fewer samples"));
        }
        for (to, from) in [(&mut gathered.0, pair.source), (&mut gathered.1, pair.bundle)] {
            to.iter_mut().zip(from).for_each(|(to, from)| to.extend(bytemuck::cast_slice::<f32, u8>(from)));
        }
        Ok(())
    })?;
    let directory = tempfile::tempdir().about("a directory for the outputs")?;
    let write = |name: &str, outputs: Vec<Vec<u8>>| -> Result<std::path::PathBuf> {
        let array = |(&t, bytes): (&usize, Vec<u8>)| {
            let tensor = &source.tensors[t];
            let rest = if tensor.shape.first() == Some(&1) { &tensor.shape[1..] } else { &tensor.shape[..] };
            Array { name: tensor.name.clone(), dtype: Dtype::F32, shape: [&[count], rest].concat(), bytes }
        };
        let path = directory.path().join(name);
        data::write(&path, &source.outputs.iter().zip(outputs).map(array).collect::<Vec<_>>())?;
        Ok(path)
    };
    let (float, quantized) = (write("float.npz", gathered.0)?, write("bundle.npz", gathered.1)?);
    Ok((score(command, &float, &quantized, directory.path(), TIME_LIMIT)?, count))
}

/// Runs the command on two files; its output goes through files in `scratch`.
fn score(command: &str, float: &Path, bundle: &Path, scratch: &Path, limit: Duration) -> Result<Outcome> {
    let about = format!("the command '{command}'");
    let (out, err) = (scratch.join("stdout"), scratch.join("stderr"));
    let create = |path: &Path| File::create(path).about(path.display());
    let child = shell(command)
        .args([float, bundle])
        .stdin(Stdio::null())
        .stdout(create(&out)?)
        .stderr(create(&err)?)
        .spawn();
    let status = wait(child.about(&about)?, limit).about(&about)?;
    if !status.success() {
        let said = std::fs::read(&err).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("it printed nothing");
        return Err(Error::invalid(format!("failed ({status}): {}", last.trim())).about(about));
    }
    answer(command, &out).about(about)
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{command} \"$@\"")).arg("samara");
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(command);
    shell
}

/// Waits until the child ends; ends it at the limit.
fn wait(mut child: std::process::Child, limit: Duration) -> Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().about("waiting")? {
            return Ok(status);
        }
        if start.elapsed() >= limit {
            child.kill().and_then(|()| child.wait()).about("ending it")?;
            return Err(Error::invalid(format!("took longer than {} s", limit.as_secs_f32())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn answer(command: &str, path: &Path) -> Result<Outcome> {
    let size = std::fs::metadata(path).about(path.display())?.len();
    if size > MAX_ANSWER {
        return Err(Error::invalid(format!("printed {size} bytes; the most is {MAX_ANSWER}")));
    }
    let expected = r#"it must print one object, {"float": x, "bundle": y, "higher_is_better": true}"#;
    let bad = |cause: String| Error::invalid(cause).remedy(expected);
    let json: serde_json::Value = serde_json::from_slice(&files::read(path)?)
        .map_err(|e| bad(format!("printed no JSON object ({e})")))?;
    let number = |key: &str| {
        json[key].as_f64().ok_or_else(|| bad(format!("gave '{}' for '{key}', which is no number", json[key])))
    };
    let higher_is_better = json["higher_is_better"].as_bool();
    Ok(Outcome {
        name: command.into(),
        unit: "",
        higher_is_better: higher_is_better.ok_or_else(|| bad("did not say 'higher_is_better'".into()))?,
        source: Some(number("float")?),
        bundle: number("bundle")?,
        constant: None,
        interval: None,
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn run(command: &str) -> Result<Outcome> {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        std::fs::write(path("a b.npz"), "1").unwrap();
        std::fs::write(path("c.npz"), "2").unwrap();
        score(command, &path("a b.npz"), &path("c.npz"), scratch.path(), Duration::from_millis(300))
    }

    fn refused(command: &str) -> String {
        run(command).unwrap_err().to_string()
    }

    #[test]
    fn the_command_gets_both_paths_and_its_scores_are_read() {
        let command = r#"f() { printf '{"float": %s, "bundle": %s, "higher_is_better": false}' "$(cat "$1")" "$(cat "$2")"; }; f"#;
        let outcome = run(command).unwrap();
        assert_eq!((outcome.source, outcome.bundle, outcome.drop()), (Some(1.0), 2.0, Some(1.0)));
    }

    #[test]
    fn commands_that_give_no_score_are_named() {
        assert!(refused("echo no json #").contains("printed no JSON object"));
        assert!(refused("echo '{}' #").contains("higher_is_better"));
        let text = r#"echo '{"float": "x", "bundle": 1, "higher_is_better": true}' #"#;
        assert!(refused(text).contains("no number"));
        assert!(refused("echo the cause >&2; exit 3 #").contains("the cause"));
        assert!(refused("/nonexistent/program").contains("failed"));
        assert!(refused("head -c 70000 /dev/zero #").contains("the most is 65536"));
        let error = refused("exec sleep 5 #");
        assert!(error.contains("longer than 0.3 s"), "{error}");
    }
}
