//! Puts the bundle named by `SAMARA_BUNDLE` into the firmware, with its exact arena and an operator list of just
//! the kernels that its plan uses, and lays memory out for `SAMARA_MACHINE`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use samara_runtime::bundle::plan::BASE_ALIGN;
use samara_runtime::{Bundle, Session, ops};

fn main() {
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    if let Err(message) = build() {
        eprintln!("samara-cortex-m: {message}");
        process::exit(2);
    }
}

fn build() -> Result<(), String> {
    for variable in ["SAMARA_BUNDLE", "SAMARA_MACHINE"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    println!("cargo::rerun-if-changed=memory");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(|e| e.to_string())?);
    let machine = env::var("SAMARA_MACHINE").unwrap_or_else(|_| "mps2".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("memory").join(format!("{machine}.x"));
    let layout = fs::read_to_string(&script)
        .map_err(|_| format!("SAMARA_MACHINE={machine}: no such machine, see targets/cortex-m/memory"))?;
    fs::write(out.join("memory.x"), &layout).map_err(|e| e.to_string())?;
    println!("cargo::rustc-link-search={}", out.display());
    // Sections follow each other without page alignment, as flash images want them.
    for argument in ["--nmagic", "-Tlink.x"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    let code = match env::var_os("SAMARA_BUNDLE") {
        Some(path) => {
            let path = Path::new(&path).canonicalize().map_err(|e| format!("{}: {e}", path.display()))?;
            println!("cargo::rerun-if-changed={}", path.display());
            embed(&path, &machine, &layout).map_err(|e| format!("{}: {e}", path.display()))?
        }
        None => "pub(super) static BUNDLE: &Aligned<[u8]> = &Aligned([0u8; 64]);\n\
                 pub(super) const ARENA_BYTES: usize = 64;\n\
                 pub(super) const INPUT_BYTES: usize = 64;\n\
                 pub(super) const OPS: &[samara_runtime::ops::OpDef] = &[];\n"
            .to_owned(),
    };
    fs::write(out.join("bundle.rs"), code).map_err(|e| e.to_string())
}

/// Rust source for a bundle that loads.
fn embed(path: &Path, machine: &str, layout: &str) -> Result<String, String> {
    let bytes = fs::read(path).map_err(|e| e.to_string())?;
    let mut room = vec![0u8; bytes.len() + BASE_ALIGN - 1];
    let start = room.as_ptr().align_offset(BASE_ALIGN);
    let aligned = &mut room[start..start + bytes.len()];
    aligned.copy_from_slice(&bytes);
    let bundle = Bundle::parse(aligned).map_err(|e| e.to_string())?;
    let session = Session::load_with(&bundle, ops::ALL, true).map_err(|e| e.to_string())?;
    let (flash, ram) = (length(layout, "FLASH")?, length(layout, "RAM")?);
    if bytes.len() >= flash || session.arena_bytes() >= ram {
        return Err(format!(
            "{} bytes and an arena of {} do not fit {machine}: {flash} bytes of flash, {ram} of RAM",
            bytes.len(),
            session.arena_bytes()
        ));
    }
    let plan = session.plan();
    let mut input_bytes = 0;
    for i in 0..usize::from(plan.header.inputs) {
        let id = plan.input(i).map_err(|e| e.to_string())?;
        input_bytes = input_bytes.max(plan.tensor(id).map_err(|e| e.to_string())?.desc.bytes());
    }
    let mut used = BTreeSet::new();
    for i in 0..session.steps() {
        let code = session.plan().step(i).map_err(|e| e.to_string())?.op;
        let kernel = session.kernel(i).map_err(|e| e.to_string())?.name;
        let def = ops::ALL.iter().find(|d| d.code == code).ok_or("no such operator")?;
        // The firmware's list lacks what only hosts can run.
        let mut portable = def.entries.iter().filter(|e| e.isa == ops::Isa::Portable);
        let entry = portable.position(|e| e.name == kernel).ok_or("no such kernel")?;
        used.insert((def.name, entry));
    }
    let names: BTreeSet<_> = used.iter().map(|(name, _)| *name).collect();
    let mut list = String::new();
    for name in names {
        let ty = format!("samara_runtime::ops::{name}::{}", type_name(name));
        let entries: Vec<String> = used
            .iter()
            .filter(|(n, _)| *n == name)
            .map(|(_, i)| format!("<{ty} as samara_runtime::ops::Op>::KERNELS[{i}]"))
            .collect();
        list += &format!(
            "    samara_runtime::ops::OpDef::with::<{ty}>(const {{ &[{}] }}),\n",
            entries.join(", ")
        );
    }
    Ok(format!(
        "pub(super) static BUNDLE: &Aligned<[u8]> = &Aligned(*include_bytes!({path:?}));\n\
         pub(super) const ARENA_BYTES: usize = {};\n\
         pub(super) const INPUT_BYTES: usize = {input_bytes};\n\
         pub(super) const OPS: &[samara_runtime::ops::OpDef] = &[\n{list}];\n",
        session.arena_bytes()
    ))
}

/// A region's length in a memory layout, which gives it in KiB (`K`) or MiB (`M`).
fn length(layout: &str, region: &str) -> Result<usize, String> {
    let line =
        layout.lines().find(|l| l.trim_start().starts_with(region)).ok_or("a layout without a region")?;
    let text = line.rsplit(' ').next().unwrap_or_default();
    let (number, shift) = match text.strip_suffix('M') {
        Some(number) => (number, 20),
        None => (text.trim_end_matches('K'), 10),
    };
    number.parse::<usize>().map(|n| n << shift).map_err(|e| format!("{line}: {e}"))
}

/// `conv_2d` is `Conv2d`: every operator's type is its name in camel case, but for one acronym.
fn type_name(name: &str) -> String {
    if name == "prelu" {
        return "PRelu".to_owned();
    }
    name.split('_')
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_uppercase() + rest
        })
        .collect()
}
