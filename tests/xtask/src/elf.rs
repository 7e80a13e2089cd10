//! What a linked firmware holds.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use object::read::elf::ElfFile32;
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionKind, SymbolKind};

/// A function or object.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    /// Demangled, without the hash.
    pub(crate) name: String,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) is_code: bool,
}

/// A parsed executable.
pub(crate) struct Elf {
    bytes: Vec<u8>,
}

impl Elf {
    /// Reads a 32-bit little-endian ELF file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let elf = Elf { bytes };
        elf.file().with_context(|| path.display().to_string())?;
        Ok(elf)
    }

    fn file(&self) -> Result<ElfFile32<'_, object::LittleEndian>> {
        Ok(ElfFile32::parse(&self.bytes[..])?)
    }

    /// Bytes that end up in flash: code, constants, and the initial values of variables.
    pub(crate) fn flash_bytes(&self) -> Result<u64> {
        let file = self.file()?;
        let sections = file.sections().filter(|s| {
            matches!(
                s.kind(),
                SectionKind::Text
                    | SectionKind::Data
                    | SectionKind::ReadOnlyData
                    | SectionKind::ReadOnlyString
            )
        });
        Ok(sections.map(|s| s.size()).sum())
    }

    /// Every sized symbol.
    pub(crate) fn symbols(&self) -> Result<Vec<Symbol>> {
        let file = self.file()?;
        let symbols = file.symbols().filter(|s| !s.is_undefined() && s.size() > 0);
        Ok(symbols
            .map(|s| Symbol {
                name: format!("{:#}", rustc_demangle::demangle(s.name().unwrap_or_default())),
                // Bit 0 only says that it is Thumb code.
                address: s.address() & !1,
                size: s.size(),
                is_code: s.kind() == SymbolKind::Text,
            })
            .collect())
    }

    /// The function whose name ends so.
    pub(crate) fn function(&self, name: &str) -> Result<Symbol> {
        let mut symbols = self.symbols()?.into_iter().filter(|s| s.is_code && s.name.ends_with(name));
        symbols.next().with_context(|| format!("the firmware has no function {name}"))
    }

    /// Functions outside `core` that refer to `core`'s panics; needs relocations, which a link keeps on request.
    pub(crate) fn panicking_functions(&self) -> Result<Vec<String>> {
        let file = self.file()?;
        let functions: Vec<Symbol> = self.symbols()?.into_iter().filter(|s| s.is_code).collect();
        let mut found = Vec::new();
        for (address, relocation) in file.sections().flat_map(|s| s.relocations().collect::<Vec<_>>()) {
            let RelocationTarget::Symbol(target) = relocation.target() else { continue };
            let target = file.symbol_by_index(target)?;
            let target = format!("{:#}", rustc_demangle::demangle(target.name().unwrap_or_default()));
            if !target.contains("panic") {
                continue;
            }
            let caller = functions.iter().find(|f| (f.address..f.address + f.size).contains(&address));
            if let Some(caller) = caller.filter(|c| !c.name.starts_with("core::")) {
                found.push(format!("{} calls {target}", caller.name));
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }
}
