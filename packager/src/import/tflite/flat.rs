//! Reads FlatBuffers without trusting them: every access checks its range, and the bytes read in all are bounded.
//!
//! A table is a position with a vtable that says where its fields are. Nothing here follows an offset on its
//! own, so a cycle in a file cannot make a reader loop: depth is the caller's, fixed by its schema.

use std::cell::Cell;

use crate::error::{Error, Result};

/// How many bytes a file may make its reader visit per byte of its own, since vectors may be shared.
pub const VISITS_PER_BYTE: u64 = 16;
/// Visits that any file may make, however small.
pub const FREE_VISITS: u64 = 1 << 20;

/// A file with its reading budget.
#[derive(Debug)]
pub struct Flat<'a> {
    bytes: &'a [u8],
    budget: Cell<u64>,
}

impl<'a> Flat<'a> {
    /// Checks the file identifier (bytes 4 to 7) and the size.
    pub fn new(bytes: &'a [u8], identifier: &[u8; 4]) -> Result<Self> {
        if bytes.get(4..8) != Some(identifier) {
            let wanted = String::from_utf8_lossy(identifier);
            return Err(Error::invalid(format!("it has no '{wanted}' file identifier")));
        }
        let length = bytes.len() as u64;
        let budget = length.saturating_mul(VISITS_PER_BYTE).saturating_add(FREE_VISITS);
        Ok(Flat { bytes, budget: Cell::new(budget) })
    }

    /// The whole file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The table that the file starts with.
    pub fn root(&self) -> Result<Table<'_, 'a>> {
        let at = self.u32(0)? as usize;
        Table::at(self, at)
    }

    /// `length` bytes from `start`, paid from the budget.
    pub fn range(&self, start: usize, length: usize) -> Result<&'a [u8]> {
        let end = start.checked_add(length).ok_or_else(outside)?;
        let slice = self.bytes.get(start..end).ok_or_else(outside)?;
        let left = self.budget.get().checked_sub(length as u64);
        self.budget.set(left.ok_or_else(|| Error::invalid("its parts overlap far too often"))?);
        Ok(slice)
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        self.range(at, N)?.try_into().map_err(|_| outside())
    }

    fn u16(&self, at: usize) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array(at)?))
    }

    fn u32(&self, at: usize) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(at)?))
    }

    /// Where the offset stored at `at` leads.
    fn follow(&self, at: usize) -> Result<usize> {
        at.checked_add(self.u32(at)? as usize).ok_or_else(outside)
    }
}

fn outside() -> Error {
    Error::invalid("it is truncated or damaged: an offset leads outside the file")
}

/// A fixed-size little-endian value.
pub trait Scalar: Sized {
    /// Bytes of one value.
    const SIZE: usize;
    /// From exactly [`Scalar::SIZE`] bytes.
    fn from_le(bytes: &[u8]) -> Option<Self>;
}

macro_rules! scalars {
    ($($t:ty),*) => {$(
        impl Scalar for $t {
            const SIZE: usize = size_of::<$t>();
            fn from_le(bytes: &[u8]) -> Option<Self> {
                Some(<$t>::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}
scalars!(i8, u8, i32, u32, i64, u64, f32);

/// A table of a file that `'f` borrows and `'a` owns.
#[derive(Clone, Copy, Debug)]
pub struct Table<'f, 'a> {
    flat: &'f Flat<'a>,
    at: usize,
    vtable: usize,
    fields: usize,
    size: usize,
}

impl<'f, 'a> Table<'f, 'a> {
    fn at(flat: &'f Flat<'a>, at: usize) -> Result<Self> {
        let back = i64::from(flat.u32(at)? as i32);
        let vtable =
            (at as i64).checked_sub(back).and_then(|v| usize::try_from(v).ok()).ok_or_else(outside)?;
        let (vtable_size, size) = (flat.u16(vtable)? as usize, flat.u16(vtable + 2)? as usize);
        let inside = at.checked_add(size).is_some_and(|end| end <= flat.bytes.len());
        if vtable_size < 4 || !vtable_size.is_multiple_of(2) || size < 4 || !inside {
            return Err(Error::invalid("it is damaged: a table's layout is invalid"));
        }
        flat.range(vtable, vtable_size)?;
        Ok(Table { flat, at, vtable, fields: (vtable_size - 4) / 2, size })
    }

    /// Where field `slot` of `size` bytes is, unless it has its default.
    fn field(&self, slot: usize, size: usize) -> Result<Option<usize>> {
        if slot >= self.fields {
            return Ok(None);
        }
        let offset = self.flat.u16(self.vtable + 4 + 2 * slot)? as usize;
        if offset == 0 {
            return Ok(None);
        }
        if offset < 4 || offset + size > self.size {
            return Err(Error::invalid("it is damaged: a field lies outside its table"));
        }
        Ok(Some(self.at + offset))
    }

    /// Whether any field from slot `known` on is set.
    pub fn has_beyond(&self, known: usize) -> Result<bool> {
        for slot in known..self.fields {
            if self.field(slot, 1)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A scalar field or its default.
    pub fn scalar<T: Scalar>(&self, slot: usize, default: T) -> Result<T> {
        match self.field(slot, T::SIZE)? {
            Some(at) => T::from_le(self.flat.range(at, T::SIZE)?).ok_or_else(outside),
            None => Ok(default),
        }
    }

    /// A boolean field; absent is false.
    pub fn flag(&self, slot: usize) -> Result<bool> {
        Ok(self.scalar::<u8>(slot, 0)? != 0)
    }

    /// A table field.
    pub fn table(&self, slot: usize) -> Result<Option<Table<'f, 'a>>> {
        let Some(at) = self.field(slot, 4)? else { return Ok(None) };
        Table::at(self.flat, self.flat.follow(at)?).map(Some)
    }

    /// Start and count of a vector of elements of `size` bytes, whole inside the file.
    fn vector(&self, slot: usize, size: usize) -> Result<Option<(usize, usize)>> {
        let Some(at) = self.field(slot, 4)? else { return Ok(None) };
        let at = self.flat.follow(at)?;
        let count = self.flat.u32(at)? as usize;
        let start = at.checked_add(4).ok_or_else(outside)?;
        let length = count.checked_mul(size).ok_or_else(outside)?;
        self.flat.range(start, length)?;
        Ok(Some((start, count)))
    }

    /// A byte vector; `None` where absent.
    pub fn bytes(&self, slot: usize) -> Result<Option<&'a [u8]>> {
        let Some((start, count)) = self.vector(slot, 1)? else { return Ok(None) };
        self.flat.range(start, count).map(Some)
    }

    /// A string field, with what is not UTF-8 replaced; empty where absent.
    pub fn string(&self, slot: usize) -> Result<String> {
        Ok(String::from_utf8_lossy(self.bytes(slot)?.unwrap_or(&[])).into_owned())
    }

    /// A vector of scalars, at most `limit`; empty where absent.
    pub fn scalars<T: Scalar>(&self, slot: usize, limit: usize, what: &str) -> Result<Vec<T>> {
        let Some((start, count)) = self.vector(slot, T::SIZE)? else { return Ok(Vec::new()) };
        bounded(count, limit, what)?;
        let bytes = self.flat.range(start, count * T::SIZE)?;
        bytes.chunks_exact(T::SIZE).map(|c| T::from_le(c).ok_or_else(outside)).collect()
    }

    /// A vector of tables, at most `limit`; empty where absent.
    pub fn tables(&self, slot: usize, limit: usize, what: &str) -> Result<Vec<Table<'f, 'a>>> {
        let Some((start, count)) = self.vector(slot, 4)? else { return Ok(Vec::new()) };
        bounded(count, limit, what)?;
        (0..count).map(|i| Table::at(self.flat, self.flat.follow(start + 4 * i)?)).collect()
    }
}

fn bounded(count: usize, limit: usize, what: &str) -> Result<()> {
    if count > limit {
        return Err(Error::invalid(format!("it has {count} {what}; at most {limit} are read")));
    }
    Ok(())
}
