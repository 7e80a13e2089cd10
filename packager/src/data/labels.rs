//! Arrays beside a model's inputs: one integer for each sample.

use std::io::{ErrorKind, Read};

use super::element::{Integer, integer};
use super::header::{self, Header};
use super::source::DataFile;
use crate::error::{About, Error, Result};

/// Elements that are read at once.
const BLOCK: usize = 4096;

/// The integers of an array `[count]` or `[count, 1]`.
pub(super) fn read(file: &DataFile, name: &str, count: usize) -> Result<Vec<i64>> {
    let about = file.path.display();
    let members = file.members()?;
    let member = members.iter().find(|m| m.name == name).ok_or_else(|| {
        let names: Vec<&str> = members.iter().map(|m| &m.name[..]).filter(|n| !n.is_empty()).collect();
        let names = if names.is_empty() { "none".into() } else { names.join(", ") };
        Error::invalid(format!("no array is named '{name}'"))
            .remedy(format!("it holds {names}"))
            .about(&about)
    })?;
    let kind = |kind: &str| {
        integer(kind).ok_or_else(|| {
            Error::invalid(format!("its elements are '{kind}', not integers"))
                .remedy("save them as int8/16/32/64, uint8/16/32 or bool")
        })
    };
    let header = file.header(member, |k| Ok(kind(k)?.0))?;
    match header.shape[..] {
        [n] | [n, 1] if n == count => {}
        _ => {
            let shape = &header.shape;
            let cause = format!("array '{name}' has shape {shape:?}; {count} samples need [{count}]");
            return Err(Error::invalid(cause).about(about));
        }
    }
    let values = || {
        let mut opened = file.open(member.index)?;
        let mut from = opened.reader()?;
        integers(&mut *from, &header, kind(&header.kind)?, count)
    };
    values().about(format_args!("array '{name}'")).about(about)
}

fn integers(from: &mut dyn Read, header: &Header, (size, value): Integer, count: usize) -> Result<Vec<i64>> {
    if header::read(from)?.0 != *header {
        return Err(Error::invalid("it changed while it was read"));
    }
    // Grows with what is really there, not with what the header claims.
    let (mut all, mut block) = (Vec::new(), vec![0; BLOCK * size]);
    while all.len() < count {
        let part = &mut block[..(count - all.len()).min(BLOCK) * size];
        from.read_exact(part).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => Error::invalid(format!("ends before element {count}")),
            _ => Error::invalid(e.to_string()),
        })?;
        all.extend(part.chunks_exact(size).map(value));
    }
    match from.read(&mut [0]) {
        Ok(0) => Ok(all),
        Ok(_) => Err(Error::invalid("holds more bytes than its shape needs")),
        Err(e) => Err(Error::invalid(e.to_string())),
    }
}
