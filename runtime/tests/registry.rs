//! Rules that every operator of the list keeps, and what hostile plans may throw at all of them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use samara_runtime::ops::eval::{Value, eval};
use samara_runtime::ops::{ALL, Choice, Constants, Entry, Inputs, Isa, OpDef, Rounding};
use samara_runtime::{Desc, Dtype, Error, Layout, Place, Shape};

/// Operators that are tested together with a relative, in its file.
const RELATIVES: &[(&str, &str)] = &[
    ("sub", "add"),
    ("mean", "reduce"),
    ("sum", "reduce"),
    ("reduce_max", "reduce"),
    ("div", "mul"),
    ("minimum", "mul"),
    ("maximum", "mul"),
    ("prelu", "mul"),
    ("lut", "clamp"),
    ("dequantize", "quantize"),
];

fn entries() -> impl Iterator<Item = (&'static OpDef, &'static Entry)> {
    ALL.iter().flat_map(|def| def.entries.iter().map(move |e| (def, e)))
}

#[test]
fn codes_ascend_and_names_differ() {
    assert!(ALL.is_sorted_by(|a, b| a.code < b.code));
    assert!(ALL.iter().all(|def| def.code > 0));
    let names: HashSet<_> = ALL.iter().map(|def| def.name).collect();
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn entries_say_where_they_run_and_what_they_compute() {
    let mut names = HashSet::new();
    for (def, entry) in entries() {
        assert!(names.insert(entry.name), "two entries are named {}", entry.name);
        let family = entry.isa.name();
        let rest = entry.name.strip_prefix(family).and_then(|rest| rest.strip_prefix('_'));
        let rest = rest.unwrap_or_else(|| panic!("{} does not start with {family}", entry.name));
        assert!(rest.starts_with(def.name), "{} does not name {}", entry.name, def.name);
        assert!(!entry.dtypes.is_empty() && !entry.roundings.is_empty(), "{} serves nothing", entry.name);
    }
}

#[test]
fn every_entry_has_a_reference_to_be_compared_with() {
    for (def, entry) in entries() {
        let weights: Vec<Option<(Dtype, Layout)>> = match entry.weights {
            [] => vec![None],
            weights => weights.iter().map(|&w| Some((w, entry.layout))).collect(),
        };
        for (&dtype, &weights) in entry.dtypes.iter().flat_map(|d| weights.iter().map(move |w| (d, w))) {
            for &rounding in entry.roundings {
                let serving = || def.entries.iter().filter(|e| e.serves(entry.id, dtype, weights, rounding));
                let isas: Vec<Isa> = serving().map(|e| e.isa).collect();
                let what = format!("{} {} {dtype:?} {weights:?} {rounding:?}: {isas:?}", def.name, entry.id);
                // Best first, and the reference, which runs anywhere, last.
                assert_eq!(isas.iter().filter(|&&isa| isa == Isa::Reference).count(), 1, "{what}");
                assert_eq!(isas.last(), Some(&Isa::Reference), "{what}");
                let reference = def.select(entry.id, dtype, weights, rounding, Choice::Reference).unwrap();
                assert_eq!(reference.isa, Isa::Reference, "{what}");
                // The planner asks the reference; all others must keep what it says.
                assert!(serving().all(|e| e.overlap || !reference.overlap), "{what}");
            }
        }
    }
}

#[test]
fn every_operator_has_a_file_and_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stems = |folder: &str| -> HashSet<String> {
        fs::read_dir(root.join(folder))
            .unwrap()
            .filter_map(|f| {
                f.unwrap().file_name().into_string().unwrap().strip_suffix(".rs").map(String::from)
            })
            .collect()
    };
    let (sources, tests) = (stems("src/ops"), stems("tests"));
    for def in ALL {
        assert!(sources.contains(def.name), "{} has no file of its name", def.name);
        let file = match RELATIVES.iter().find(|(op, _)| *op == def.name) {
            Some((_, relative)) => {
                assert!(!tests.contains(def.name), "{} has a file of its own by now", def.name);
                relative
            }
            None => def.name,
        };
        assert!(tests.contains(file), "{} has no test file", def.name);
        // The file must use the operator's type, which is its name in camel case.
        let text = fs::read_to_string(root.join("tests").join(format!("{file}.rs"))).unwrap();
        let wanted = def.name.replace('_', "");
        let used = text
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| word.to_lowercase() == wanted && word.starts_with(char::is_uppercase));
        assert!(used, "tests/{file}.rs does not test {}", def.name);
    }
    // A file that implements an operator without being on the list would be dead.
    for stem in &sources {
        let text = fs::read_to_string(root.join(format!("src/ops/{stem}.rs"))).unwrap();
        let is_operator = text.contains("const CODE: u16 =") && stem != "op";
        assert!(!is_operator || ALL.iter().any(|def| def.name == stem), "{stem} is not listed");
    }
}

/// A small generator with a fixed seed, so that a failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// Anything from noise to something that parses with a byte or four changed.
    fn attributes(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if self.below(4) == 0 {
            let len = self.below(65);
            return self.bytes(len);
        }
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..self.below(5) {
            let (len, value) = (bytes.len(), self.next() as u8);
            let value = if self.below(2) == 0 { value % 5 } else { value };
            if len > 0 {
                bytes[self.below(len)] = value;
            }
        }
        bytes
    }

    fn dims(&mut self, rank: usize) -> Vec<u32> {
        let most = self.of(&[2, 3, 4, 9, 5000]);
        (0..rank).map(|_| 1 + self.below(most) as u32).collect()
    }

    fn desc(&mut self, dtype: Dtype, dims: &[u32]) -> Option<Desc> {
        Some(Desc {
            zero_point: if self.below(2) == 0 { 0 } else { self.next() as i32 >> self.below(32) },
            scale: self.of(&[0.0, 0.5, 1.0, -1.0, f32::NAN, f32::MIN_POSITIVE, f32::INFINITY]),
            place: self.of(&[Place::Arena, Place::Weights]),
            ..Desc::new(dtype, Shape::new(dims).ok()?)
        })
    }

    /// Operands as plans might have them: alike, or a table of pairs in the last place.
    fn tame(&mut self) -> Vec<Option<Desc>> {
        let rank = self.of(&[4, 4, 4, 1, 2, 3]);
        let dtype =
            self.of(&[Dtype::I8, Dtype::I8, Dtype::I16, Dtype::I16, Dtype::F32, Dtype::I32, Dtype::Bool]);
        let mut dims: Vec<u32> = (0..rank).map(|_| 1 + self.below(3) as u32).collect();
        let scale = |dtype| if matches!(dtype, Dtype::I8 | Dtype::U8 | Dtype::I16) { 0.5 } else { 0.0 };
        let plain = |dtype, dims: &[u32], place| {
            Some(Desc { scale: scale(dtype), place, ..Desc::new(dtype, Shape::new(dims).unwrap()) })
        };
        let mut descs = vec![plain(dtype, &dims, Place::Arena)];
        for _ in 0..self.below(3) {
            if self.below(3) == 0 {
                dims[0] = 1;
            }
            descs.push(plain(dtype, &dims, self.of(&[Place::Arena, Place::Weights])));
        }
        match self.below(6) {
            0 => descs.push(plain(Dtype::I32, &[dims[0], 2], Place::Weights)),
            1 => descs.push(plain(Dtype::I32, &[rank as u32], Place::Weights)),
            2 => descs.push(plain(Dtype::I8, &[256], Place::Weights)),
            3 => descs.push(plain(Dtype::I16, &[513], Place::Weights)),
            4 => descs.push(plain(Dtype::I32, &[2, 256], Place::Weights)),
            _ => {}
        }
        descs
    }

    /// Operands that often agree in type, rank or even shape, but hold any parameters.
    fn descs(&mut self, most: usize) -> Vec<Option<Desc>> {
        let rank = self.below(7);
        let (dtype, dims) = (self.of(&Dtype::ALL), self.dims(rank));
        let alike = self.below(4);
        (0..self.below(most + 1))
            .map(|_| {
                if self.below(12) == 0 {
                    return None;
                }
                let own = self.below(7);
                let dims = match alike {
                    0 => dims.clone(),
                    1 => self.dims(rank),
                    _ if self.below(2) == 0 => dims.clone(),
                    _ => self.dims(own),
                };
                let dtype = if alike == 3 { self.of(&Dtype::ALL) } else { dtype };
                self.desc(dtype, &dims)
            })
            .collect()
    }
}

/// Attributes that parse: what no inputs at all are refused for is then not an attribute.
fn seeds(def: &OpDef) -> Vec<Vec<u8>> {
    let patterns: [&[u8]; 4] = [&[0], &[1], &[1, 0], &[1, 0, 0, 0]];
    let parses = |bytes: &[u8]| def.infer(bytes, &Inputs(&[])).map(|_| ()) != Err(Error::Attribute);
    let mut found: Vec<Vec<u8>> = (0..=48)
        .flat_map(|len| patterns.map(|p| p.iter().copied().cycle().take(len).collect()))
        .filter(|bytes: &Vec<u8>| parses(bytes))
        .collect();
    // Bit patterns that are no repetition: found by trying.
    let mut random = Random(0x5EED);
    for _ in 0..20_000 {
        let len = random.below(49);
        let bytes: Vec<u8> = (0..len).map(|k| if k % 2 == 0 { random.below(5) as u8 } else { 0 }).collect();
        if found.len() < 200 && parses(&bytes) {
            found.push(bytes);
        }
    }
    found
}

/// Bounds what a single accepted step may cost this test.
const BYTES: usize = 1 << 16;

/// Bytes for each operand that is small enough.
fn values(descs: &[Option<Desc>], random: &mut Random) -> Vec<Option<Value>> {
    let mut fill = |d: &Option<Desc>| {
        let mut value = Value::zeros(d.filter(|d| d.bytes() <= BYTES)?);
        let (noise, mask) = (random.bytes(value.bytes().len()), random.of(&[0u8, 1, 3, 255]));
        value.bytes_mut().iter_mut().zip(noise).for_each(|(b, n)| *b = n & mask);
        Some(value)
    };
    descs.iter().map(&mut fill).collect()
}

#[test]
fn hostile_plans_are_refused_or_run() {
    const TRIES: usize = 4000;
    for def in ALL {
        let seeds = seeds(def);
        assert!(!seeds.is_empty(), "no attributes of {} were found", def.name);
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ def.code as u64);
        let mut runs = 0;
        for k in 0..TRIES {
            let attributes = random.attributes(&seeds);
            let descs = if k % 2 == 0 { random.descs(9) } else { random.tame() };
            let values = values(&descs, &mut random);
            let inputs = Inputs(&descs);
            // Outputs out of the blue, and those that inference gives.
            let made_up: Vec<Desc> = random.descs(4).into_iter().flatten().collect();
            questions(def, &attributes, &inputs, &made_up, &values, random.of(&Rounding::ALL));
            let Ok(inferred) = def.infer(&attributes, &inputs) else { continue };
            let outputs = &inferred.outputs();
            questions(def, &attributes, &inputs, outputs, &values, random.of(&Rounding::ALL));

            let scratch = def.scratch(&attributes, &inputs, outputs, 0);
            let macs = def.macs(&attributes, &inputs, outputs);
            let small = descs.iter().zip(&values).all(|(d, v)| d.is_some() == v.is_some())
                && outputs.iter().all(|d| d.bytes() <= BYTES)
                && scratch.is_ok_and(|n| n <= BYTES)
                && macs.is_ok_and(|n| n <= 1 << 18);
            if small {
                let values: Vec<Option<&Value>> = values.iter().map(Option::as_ref).collect();
                let first = values.iter().flatten().next().map(|v| (v.desc.scale, v.desc.zero_point));
                let parameters = random.of(&[first.unwrap_or((0.0, 0)), (0.0, 0), (0.5, -3)]);
                for rounding in Rounding::ALL {
                    let run = eval(def, &attributes, rounding, 0, &values, &[parameters]);
                    let broken = run.as_ref().err() == Some(&Error::Internal);
                    assert!(!broken, "{} {attributes:?} {descs:?}", def.name);
                    runs += usize::from(run.is_ok());
                }
            }
        }
        println!("{}: {} seeds, {runs} runs", def.name, seeds.len());
    }
}

/// Everything that a loader asks an operator.
fn questions(
    def: &OpDef,
    attributes: &[u8],
    inputs: &Inputs<'_>,
    outputs: &[Desc],
    values: &[Option<Value>],
    rounding: Rounding,
) {
    let mut constants = [None; 8];
    for (slot, value) in constants.iter_mut().zip(values) {
        *slot = value.as_ref().filter(|v| v.desc.place == Place::Weights).map(|v| v.bytes());
    }
    let _ = def.check(attributes, inputs, outputs, &Constants::new(constants, rounding));
    let _ = def.macs(attributes, inputs, outputs);
    for id in [0, 1, 2, 255] {
        let _ = def.scratch(attributes, inputs, outputs, id);
    }
    for i in 0..10 {
        for o in 0..5 {
            let _ = def.overlap(attributes, inputs, outputs, i, o);
        }
    }
}
