//! Runs a bundle on Linux with nothing but the runtime: what a program for a small Arm board needs.
//!
//! The bundle is trusted here, as the firmware image around it would be; `samara verify` or the agent checks
//! signatures.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::{env, fs};

use samara_runtime::bundle::Tag;
use samara_runtime::session::ResolvedStep;
use samara_runtime::{AlignedBytes, Bundle, Choice, Error, Run, Session, ops};

const USAGE: &str = "usage: samara-linux-arm BUNDLE [--reference] [--input FILE --output FILE [--layers FILE] | --runs N]
Without --input: the self-test, checksums of every step, the outputs of every golden vector.
With it: runs every sample of a file that holds each sample's inputs as little-endian bytes, one after another.
--reference picks plain loops only; --layers receives every step's outputs of the first sample.
--runs only runs, N times on inputs of zeros, for what counts instructions around it.";

fn main() -> ExitCode {
    match run() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(Failure { message, code }) => {
            eprintln!("samara-linux-arm: {message}");
            ExitCode::from(code)
        }
    }
}

struct Failure {
    message: String,
    code: u8,
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Failure { message: e.to_string(), code: if e == Error::SelfTest { 1 } else { 2 } }
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure { message: message.into(), code: 2 }
}

#[derive(Default)]
struct Arguments {
    bundle: String,
    reference: bool,
    input: Option<String>,
    output: Option<String>,
    layers: Option<String>,
    runs: Option<usize>,
}

fn arguments() -> Result<Arguments, Failure> {
    let mut found = Arguments::default();
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| invalid(format!("{word} needs a file\n{USAGE}")));
        match word.as_str() {
            "--reference" => found.reference = true,
            "--input" => found.input = Some(value()?),
            "--output" => found.output = Some(value()?),
            "--layers" => found.layers = Some(value()?),
            "--runs" => {
                let runs =
                    value()?.parse().map_err(|_| invalid(format!("--runs needs a number\n{USAGE}")))?;
                found.runs = Some(runs);
            }
            _ if found.bundle.is_empty() && !word.starts_with('-') => found.bundle = word,
            _ => return Err(invalid(format!("'{word}' is not understood\n{USAGE}"))),
        }
    }
    if found.bundle.is_empty() || found.input.is_some() != found.output.is_some() {
        return Err(invalid(USAGE));
    }
    Ok(found)
}

fn run() -> Result<String, Failure> {
    let arguments = arguments()?;
    let about = |e: &dyn std::fmt::Display| invalid(format!("{}: {e}", arguments.bundle));
    let bytes = fs::read(&arguments.bundle).map_err(|e| about(&e))?;
    let bytes = AlignedBytes::new(&bytes);
    let bundle = Bundle::parse(&bytes).map_err(|e| about(&e))?;
    let session = Session::load_with(
        &bundle,
        ops::ALL,
        if arguments.reference { Choice::Reference } else { Choice::Auto },
    )
    .map_err(|e| about(&e))?;
    let mut arena = AlignedBytes::zeros(session.arena_bytes());
    if let Some(runs) = arguments.runs {
        let mut room = vec![ResolvedStep::EMPTY; session.steps()];
        let resolved = session.resolve(&mut room)?;
        let mut run = resolved.bind(&mut arena)?;
        (0..runs).try_for_each(|_| run.run())?;
        return Ok(String::new());
    }
    let mut run = session.bind(&mut arena)?;
    let mut text = format!(
        "{} {}: {} steps, {} MACs, arena {} bytes\n",
        bundle.manifest.string(Tag::Name).unwrap_or("model"),
        bundle.prefix.version,
        session.steps(),
        session.macs(),
        session.arena_bytes()
    );
    if let Some(golden) = &bundle.golden {
        run.self_test(golden)?;
        let _ = writeln!(text, "self-test passed: {} vectors", golden.vectors());
    }
    match (&arguments.input, &arguments.output) {
        (Some(input), Some(output)) => {
            text += &samples(&session, &mut run, input, output, arguments.layers.as_deref())?;
        }
        _ => text += &vectors(&bundle, &session, &mut run)?,
    }
    Ok(text)
}

/// The outputs of every golden vector, and each step's checksum of the first.
fn vectors(bundle: &Bundle<'_>, session: &Session<'_>, run: &mut Run<'_, '_>) -> Result<String, Failure> {
    let mut text = String::new();
    let Some(golden) = &bundle.golden else { return Ok(text) };
    for v in 0..golden.vectors() {
        run.set_inputs(&mut golden.vector(v)?)?;
        for step in 0..session.steps() {
            run.step(step)?;
            if v == 0 {
                let code = session.plan().step(step)?.op;
                let name = ops::ALL.iter().find(|d| d.code == code).map_or("", |d| d.name);
                for (o, bytes) in outputs(session, run, step)?.into_iter().enumerate() {
                    let crc = crc32fast::hash(bytes);
                    let _ = writeln!(text, "step {step} {name} output {o} crc32 {crc:08x}");
                }
            }
        }
        for o in 0..usize::from(bundle.plan.header.outputs) {
            let _ = write!(text, "vector {v} output {o} ");
            for byte in run.output(o)?.bytes() {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
    }
    Ok(text)
}

fn samples(
    session: &Session<'_>,
    run: &mut Run<'_, '_>,
    input: &str,
    output: &str,
    layers: Option<&str>,
) -> Result<String, Failure> {
    let data = fs::read(input).map_err(|e| invalid(format!("{input}: {e}")))?;
    let header = session.plan().header;
    let (mut results, mut steps, mut rest, mut count) = (Vec::new(), Vec::new(), &data[..], 0);
    while !rest.is_empty() {
        for i in 0..usize::from(header.inputs) {
            let mut target = run.input(i)?;
            let (sample, tail) = rest
                .split_at_checked(target.desc().bytes())
                .ok_or_else(|| invalid(format!("{input}: ends within sample {count}")))?;
            target.copy_from_bytes(sample)?;
            rest = tail;
        }
        for step in 0..session.steps() {
            run.step(step)?;
            if count == 0 && layers.is_some() {
                outputs(session, run, step)?.into_iter().for_each(|bytes| steps.extend(bytes));
            }
        }
        for o in 0..usize::from(header.outputs) {
            results.extend(run.output(o)?.bytes());
        }
        count += 1;
    }
    write(output, &results)?;
    if let Some(path) = layers {
        write(path, &steps)?;
    }
    Ok(format!("{count} samples\n"))
}

/// Bytes of everything that a step has just written.
fn outputs<'a>(session: &Session<'_>, run: &'a Run<'_, '_>, step: usize) -> Result<Vec<&'a [u8]>, Failure> {
    let record = session.plan().step(step)?;
    let first = record.operands as usize + usize::from(record.inputs);
    (first..first + usize::from(record.outputs))
        .map(|operand| {
            let id = session.plan().operand(operand)?.ok_or(Error::Operand)?;
            Ok(run.tensor(id)?.bytes())
        })
        .collect()
}

/// Whole or absent: written beside its place, then moved there.
fn write(path: &str, bytes: &[u8]) -> Result<(), Failure> {
    let about = |e: std::io::Error| invalid(format!("{path}: {e}"));
    let beside = format!("{path}.{}.tmp", std::process::id());
    let mut file = fs::File::create(&beside).map_err(about)?;
    let written =
        file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, path));
    written.map_err(|e| {
        let _ = fs::remove_file(&beside);
        about(e)
    })
}
