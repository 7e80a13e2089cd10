//! Puts the bundle named by `SAMARA_BUNDLE` into the firmware, with its exact arena and an operator list of just
//! the kernels that its plan uses, and lays memory out for `SAMARA_MACHINE`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use samara_runtime::bundle::Family;
use samara_runtime::bundle::plan::BASE_ALIGN;
use samara_runtime::{Bundle, Choice, Session, ops};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(unaligned_words)");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    // All but Armv6-M read words at any address.
    if !env::var("TARGET").is_ok_and(|target| target.starts_with("thumbv6m")) {
        println!("cargo::rustc-cfg=unaligned_words");
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
    // The family that the library is on the device, not the one it is here.
    let family = if env::var_os("CARGO_FEATURE_DSP").is_some() { Family::Pairs } else { Family::Folded };
    let bundle = Bundle::parse_for(aligned, family).map_err(|e| e.to_string())?;
    let session = Session::load_with(&bundle, ops::ALL, Choice::Reference).map_err(|e| e.to_string())?;
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
    // What this host picks is not what the device will: its list is picked there, by what each step asks for.
    let mut lists: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for i in 0..session.steps() {
        let step = plan.step(i).map_err(|e| e.to_string())?;
        let def = ops::ALL.iter().find(|d| d.code == step.op).ok_or("no such operator")?;
        let operand = |k: u32| match plan.operand((step.operands + k) as usize) {
            Ok(Some(id)) => plan.tensor(id).ok().map(|t| t.desc),
            _ => None,
        };
        let x = operand(0).ok_or("a step without an input")?;
        let weights = match (step.inputs > 1).then(|| operand(1)).flatten() {
            Some(w) => format!("Some((Dtype::{:?}, Layout::{:?}))", w.dtype, w.layout),
            None => "None".to_owned(),
        };
        lists.entry(def.name).or_default().insert(format!(
            "pick(<{} as Op>::KERNELS, {}, Dtype::{:?}, {weights}, Rounding::{:?})",
            type_name(def.name),
            step.kernel,
            x.dtype,
            step.rounding
        ));
    }
    let mut list = String::new();
    for (name, entries) in &lists {
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        list += &format!("    OpDef::with::<{}>(const {{ &[{}] }}),\n", type_name(name), entries.join(", "));
    }
    let list = format!(
        "{{\n    #[allow(unused_imports)]\n    use samara_runtime::{{Dtype, Layout, ops::{{op::pick, Op, OpDef, Rounding}}}};\n    &[\n{list}]\n}}"
    );
    Ok(format!(
        "pub(super) static BUNDLE: &Aligned<[u8]> = &Aligned(*include_bytes!({path:?}));\n\
         pub(super) const ARENA_BYTES: usize = {};\n\
         pub(super) const INPUT_BYTES: usize = {input_bytes};\n\
         pub(super) const OPS: &[samara_runtime::ops::OpDef] = {list};\n",
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

/// `conv_2d` is `ops::conv_2d::Conv2d`: every operator's type is its name in camel case, but for one acronym.
fn type_name(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    };
    let camel = if name == "prelu" { "PRelu".to_owned() } else { name.split('_').map(word).collect() };
    format!("samara_runtime::ops::{name}::{camel}")
}
