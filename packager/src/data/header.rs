//! The header of an `.npy`: a Python dictionary literal with the keys `descr`, `fortran_order` and `shape`
//! (NumPy format specification, versions 1 to 3). Only what NumPy writes for plain arrays is read, without
//! recursion, so that no header can exhaust the stack.

use std::io::{ErrorKind, Read};

use super::MAX_RANK;
use crate::error::{Error, Result};

/// How every array file starts.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header text that is read; NumPy itself refuses longer ones than 10,000 by default.
const MAX_TEXT: usize = 10_000;

/// What a header says.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Header {
    /// The element type as NumPy writes it, such as `<f4`.
    pub(super) kind: String,
    /// Whether the first index runs fastest.
    pub(super) fortran: bool,
    /// Outermost first.
    pub(super) shape: Vec<usize>,
}

/// Reads the header at the front of an array file; returns it with its length in bytes.
pub(super) fn read(from: &mut (impl Read + ?Sized)) -> Result<(Header, u64)> {
    let mut take = |into: &mut [u8]| {
        from.read_exact(into).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => Error::invalid("its .npy header is cut off"),
            _ => Error::invalid(e.to_string()),
        })
    };
    let mut start = [0; 8];
    take(&mut start)?;
    if !start.starts_with(MAGIC) {
        return Err(Error::invalid("is no .npy array"));
    }
    let (mut short, mut long) = ([0; 2], [0; 4]);
    let (length, before) = match start[6] {
        1 => (take(&mut short).map(|()| u16::from_le_bytes(short) as usize)?, 10),
        2 | 3 => (take(&mut long).map(|()| u32::from_le_bytes(long) as usize)?, 12),
        v => return Err(Error::invalid(format!("its .npy header is of version {v}; 1 to 3 are read"))),
    };
    if length > MAX_TEXT {
        return Err(Error::invalid(format!(
            "its .npy header has {length} bytes; at most {MAX_TEXT} are read"
        )));
    }
    let mut text = vec![0; length];
    take(&mut text)?;
    let text = std::str::from_utf8(&text).map_err(|_| Error::invalid("its .npy header is no text"))?;
    Ok((parse(text)?, (before + length) as u64))
}

fn parse(text: &str) -> Result<Header> {
    let (mut kind, mut fortran, mut shape) = (None, None, None);
    let mut rest = Cursor(text.trim());
    rest.expect('{')?;
    while !rest.take('}') {
        let key = rest.string()?;
        rest.expect(':')?;
        match key {
            "descr" if rest.peek('[') => return Err(Error::invalid("structured arrays are not supported")),
            "descr" => kind = Some(rest.string()?.to_owned()),
            "fortran_order" => fortran = Some(rest.boolean()?),
            "shape" => shape = Some(rest.tuple()?),
            _ => return Err(malformed()),
        }
        if !rest.take(',') && !rest.peek('}') {
            return Err(malformed());
        }
    }
    match (kind, fortran, shape) {
        (Some(kind), Some(fortran), Some(shape)) if rest.0.is_empty() => Ok(Header { kind, fortran, shape }),
        _ => Err(malformed()),
    }
}

fn malformed() -> Error {
    Error::invalid("its .npy header is not the one that NumPy writes")
}

/// What is left of the text; every step skips spaces first.
struct Cursor<'t>(&'t str);

impl<'t> Cursor<'t> {
    fn peek(&mut self, c: char) -> bool {
        self.0 = self.0.trim_start();
        self.0.starts_with(c)
    }

    fn take(&mut self, c: char) -> bool {
        let there = self.peek(c);
        if there {
            self.0 = &self.0[c.len_utf8()..];
        }
        there
    }

    fn expect(&mut self, c: char) -> Result<()> {
        if self.take(c) { Ok(()) } else { Err(malformed()) }
    }

    fn string(&mut self) -> Result<&'t str> {
        let quote = if self.take('\'') { '\'' } else { self.expect('"').map(|()| '"')? };
        let (inside, rest) = self.0.split_once(quote).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(inside)
    }

    fn boolean(&mut self) -> Result<bool> {
        self.0 = self.0.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.0.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err(malformed())
    }

    /// `()`, `(3,)`, `(3, 4)`; Python 2 wrote `3L`.
    fn tuple(&mut self) -> Result<Vec<usize>> {
        self.expect('(')?;
        let mut dims = Vec::new();
        while !self.take(')') {
            self.0 = self.0.trim_start();
            let digits = self.0.find(|c: char| !c.is_ascii_digit()).ok_or_else(malformed)?;
            let (number, rest) = self.0.split_at(digits);
            let dim = number.parse::<usize>().map_err(|_| malformed())?;
            self.0 = rest.strip_prefix('L').unwrap_or(rest);
            dims.push(dim);
            if dims.len() > MAX_RANK {
                return Err(Error::invalid(format!("it has more than {MAX_RANK} dimensions")));
            }
            if !self.take(',') && !self.peek(')') {
                return Err(malformed());
            }
        }
        Ok(dims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_numpy_writes() {
        let header =
            |kind: &str, fortran, shape: &[usize]| Header { kind: kind.into(), fortran, shape: shape.into() };
        for (text, expected) in [
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n",
                header("<f4", false, &[3, 4]),
            ),
            ("{'descr': '|i1', 'fortran_order': True, 'shape': (5,), }\n", header("|i1", true, &[5])),
            ("{'shape': (), 'fortran_order': False, 'descr': '|b1'}", header("|b1", false, &[])),
            ("{\"descr\":\"<i8\",\"fortran_order\":False,\"shape\":(2L,)}", header("<i8", false, &[2])),
        ] {
            assert_eq!(parse(text).unwrap(), expected);
        }
        for text in
            ["", "{", "{}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2), }"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
