//! One measured run, then what was asked for.

use core::fmt;
use core::panic::PanicInfo;

use samara_cortex_m::flash::{self, Aligned};
use samara_runtime::bundle::Tag;
use samara_runtime::{Bundle, Error, Run, Session};
use semihosting::{eprintln, print, println, process};

use crate::{host, stack};

const MAX_ARGUMENTS: usize = 512;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA: Aligned<[u8; flash::ARENA_BYTES]> = Aligned([0; flash::ARENA_BYTES]);
    // Before anything else, so that the stack's high water is the runtime's alone.
    let measured = measure(&mut ARENA.0);
    let deepest = stack::high_water();
    match measured.map_err(Fault::Model).and_then(|()| report(&mut ARENA.0, deepest)) {
        Ok(()) => process::exit(0),
        Err(fault) => {
            eprintln!("samara-cortex-m: {fault}");
            process::exit(if fault == Fault::Model(Error::SelfTest) { 1 } else { 2 })
        }
    }
}

#[derive(PartialEq)]
enum Fault {
    Model(Error),
    Host(&'static str),
}

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        Fault::Model(e)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Model(e) => write!(f, "{e} (error {})", e.code()),
            Fault::Host(what) => f.write_str(what),
        }
    }
}

/// Load and one run on the first golden vector's inputs, or on zeros.
#[inline(never)]
fn measure(arena: &mut [u8]) -> Result<(), Error> {
    // By reference: `?` would leave a second copy of the bundle's tables on the stack.
    let parsed = Bundle::parse(flash::bundle());
    let bundle = parsed.as_ref().map_err(|&e| e)?;
    let session = Session::load(bundle, flash::OPS)?;
    let mut run = session.bind(arena)?;
    if let Some(golden) = bundle.golden.as_ref().filter(|g| g.vectors() > 0) {
        run.set_inputs(&mut golden.vector(0)?)?;
    }
    roi_begin();
    let done = run.run();
    roi_end();
    done
}

/// Where instruction counts start: the counting plugin knows this function's address.
#[inline(never)]
fn roi_begin() {
    core::hint::black_box(1u8);
}

/// Where they end.
#[inline(never)]
fn roi_end() {
    core::hint::black_box(2u8);
}

/// Where the counts of one step start.
#[inline(never)]
fn step_begin() {
    core::hint::black_box(3u8);
}

/// Where they end.
#[inline(never)]
fn step_end() {
    core::hint::black_box(4u8);
}

#[inline(never)]
fn report(arena: &mut [u8], deepest: usize) -> Result<(), Fault> {
    let bundle = Bundle::parse(flash::bundle())?;
    let session = Session::load(&bundle, flash::OPS)?;
    println!(
        "{} {}: {} steps, {} MACs, arena {} bytes, stack {} bytes",
        bundle.manifest.string(Tag::Name).unwrap_or("model"),
        bundle.prefix.version,
        session.steps(),
        session.macs(),
        session.arena_bytes(),
        deepest
    );
    let arguments = semihosting::experimental::env::args::<MAX_ARGUMENTS>()
        .map_err(|_| Fault::Host("the command line is too long"))?;
    // The first is the program.
    let mut arguments = (&arguments).into_iter().skip(1).map(|a| a.unwrap_or_default());
    let (inputs, outputs, layers) = (arguments.next(), arguments.next(), arguments.next());
    let mut run = session.bind(arena)?;
    if let Some(golden) = &bundle.golden {
        run.self_test(golden)?;
        println!("self-test passed: {} vectors", golden.vectors());
    }
    match (inputs, outputs) {
        (Some("--steps"), None) => steps(&bundle, &session, &mut run),
        (Some(inputs), Some(outputs)) => samples(&session, &mut run, inputs, outputs, layers),
        (None, _) => vectors(&bundle, &session, &mut run),
        (Some(_), None) => Err(Fault::Host("usage: INPUTS OUTPUTS [LAYERS], or --steps")),
    }
}

/// Runs the first golden vector step by step between the counting plugin's marks, and says what each step is.
fn steps(bundle: &Bundle<'_>, session: &Session<'_>, run: &mut Run<'_, '_>) -> Result<(), Fault> {
    if let Some(golden) = bundle.golden.as_ref().filter(|g| g.vectors() > 0) {
        run.set_inputs(&mut golden.vector(0)?)?;
    }
    for step in 0..session.steps() {
        step_begin();
        run.step(step)?;
        step_end();
        println!("step {step} {} {}", session.kernel(step)?.name, session.step_macs(step)?);
    }
    Ok(())
}

/// Prints the outputs of every golden vector, and each step's checksum of the first.
fn vectors(bundle: &Bundle<'_>, session: &Session<'_>, run: &mut Run<'_, '_>) -> Result<(), Fault> {
    let header = &bundle.plan.header;
    let Some(golden) = &bundle.golden else { return Ok(()) };
    for v in 0..golden.vectors() {
        run.set_inputs(&mut golden.vector(v)?)?;
        for step in 0..session.steps() {
            run.step(step)?;
            if v == 0 {
                each_output(session, run, step, |o, bytes| {
                    let code = session.plan().step(step)?.op;
                    let name = flash::OPS.iter().find(|d| d.code == code).map_or("", |d| d.name);
                    println!("step {step} {name} output {o} crc32 {:08x}", crc32fast::hash(bytes));
                    Ok(())
                })?;
            }
        }
        for o in 0..usize::from(header.outputs) {
            print!("vector {v} output {o} ");
            for byte in run.output(o)?.bytes() {
                print!("{byte:02x}");
            }
            println!();
        }
    }
    Ok(())
}

/// Runs every sample of a host file.
#[inline(never)]
fn samples(
    session: &Session<'_>,
    run: &mut Run<'_, '_>,
    inputs: &str,
    outputs: &str,
    layers: Option<&str>,
) -> Result<(), Fault> {
    let mut buffer = [0u8; flash::INPUT_BYTES];
    let mut source = host::open(inputs).map_err(|_| Fault::Host("the input file cannot be opened"))?;
    let mut sink = host::create(outputs).map_err(|_| Fault::Host("the output file cannot be created"))?;
    let mut layers = match layers {
        Some(path) => Some(host::create(path).map_err(|_| Fault::Host("the layer file cannot be created"))?),
        None => None,
    };
    let header = &session.plan().header;
    let mut count = 0u32;
    'samples: loop {
        for i in 0..usize::from(header.inputs) {
            let bytes = run.input(i)?.desc().bytes();
            let buffer = buffer.get_mut(..bytes).ok_or(Error::TooSmall)?;
            match host::fill(&mut source, buffer) {
                Ok(true) => run.input(i)?.copy_from_bytes(buffer)?,
                Ok(false) if i == 0 => break 'samples,
                _ => return Err(Fault::Host("the input file ends within a sample")),
            }
        }
        for step in 0..session.steps() {
            run.step(step)?;
            if let Some(file) = &mut layers {
                each_output(session, run, step, |_, bytes| {
                    host::put(file, bytes).map_err(|_| Fault::Host("the layer file cannot be written"))
                })?;
            }
        }
        layers = None;
        for o in 0..usize::from(header.outputs) {
            host::put(&mut sink, run.output(o)?.bytes())
                .map_err(|_| Fault::Host("the output file cannot be written"))?;
        }
        count += 1;
    }
    println!("{count} samples");
    Ok(())
}

fn each_output(
    session: &Session<'_>,
    run: &Run<'_, '_>,
    step: usize,
    mut each: impl FnMut(usize, &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let record = session.plan().step(step)?;
    for o in 0..usize::from(record.outputs) {
        let operand = record.operands as usize + usize::from(record.inputs) + o;
        let id = session.plan().operand(operand)?.ok_or(Error::Operand)?;
        each(o, run.tensor(id)?.bytes())?;
    }
    Ok(())
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    eprintln!("samara-cortex-m: {info}");
    process::exit(101)
}
