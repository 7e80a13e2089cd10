//! A disk that loses power: the harness behind the promise that a device comes back from any write.

use super::disk::{Disk, parent};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io,
};

/// What the hardware happened to have written when the power went, beyond what was synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing that was not synced: neither bytes nor names.
    Nothing,
    /// Everything issued so far, as if the cache had just been flushed.
    Everything,
    /// Names, but not the bytes behind them: the file that is there and empty.
    NamesOnly,
    /// Names, and the first half of unsynced bytes: a torn write.
    Torn,
    /// Bytes, but not names.
    BytesOnly,
}

impl Survival {
    /// All of them, for loops.
    pub const ALL: [Self; 5] =
        [Self::Nothing, Self::Everything, Self::NamesOnly, Self::Torn, Self::BytesOnly];
}

#[derive(Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    dirs: BTreeSet<String>,
    operations: u64,
    cut_at: Option<u64>,
    off: bool,
}

/// An in-memory [`Disk`] which counts its writes and can cut the power at any of them.
///
/// `put` and `append` count as three operations (create, write, sync), the others as one.
#[derive(Default)]
pub struct SimDisk {
    state: RefCell<State>,
}

impl SimDisk {
    /// An empty disk with power.
    pub fn new() -> Self {
        Self::default()
    }

    /// Write operations so far.
    pub fn operations(&self) -> u64 {
        self.state.borrow().operations
    }

    /// Cuts the power at the operation with this index (counted from the creation of the disk); it and all
    /// later ones fail.
    pub fn cut_at(&self, operation: u64) {
        self.state.borrow_mut().cut_at = Some(operation);
    }

    /// Whether the power has gone.
    pub fn is_off(&self) -> bool {
        self.state.borrow().off
    }

    /// Power returns; what was not synced is kept or lost according to `survival`.
    pub fn reboot(&self, survival: Survival) {
        let state = &mut *self.state.borrow_mut();
        for inode in &mut state.inodes {
            inode.bytes = match survival {
                Survival::Nothing | Survival::NamesOnly => inode.durable.clone(),
                Survival::Everything | Survival::BytesOnly => inode.bytes.clone(),
                Survival::Torn => {
                    // A prefix of what was written after the last sync, over what was there before.
                    let kept = inode.durable.len().min(inode.bytes.len()).max(inode.bytes.len().div_ceil(2));
                    inode.bytes[..kept].to_vec()
                }
            };
            inode.durable = inode.bytes.clone();
        }
        state.names = match survival {
            Survival::Nothing | Survival::BytesOnly => state.durable_names.clone(),
            Survival::Everything | Survival::NamesOnly | Survival::Torn => state.names.clone(),
        };
        state.durable_names = state.names.clone();
        state.off = false;
        state.cut_at = None;
    }

    /// Damages one bit of a file, as worn flash would. False when the file is absent or shorter.
    pub fn flip_bit(&self, path: &str, bit: usize) -> bool {
        let state = &mut *self.state.borrow_mut();
        let Some(&inode) = state.names.get(path) else { return false };
        let Inode { bytes, durable } = &mut state.inodes[inode];
        for bytes in [bytes, durable] {
            match bytes.get_mut(bit / 8) {
                Some(byte) => *byte ^= 1 << (bit % 8),
                None => return false,
            }
        }
        true
    }

    fn operation<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let state = &mut *self.state.borrow_mut();
        if state.cut_at.is_some_and(|cut| state.operations >= cut) {
            state.off = true;
        }
        if state.off {
            return Err(io::Error::other("power lost"));
        }
        state.operations += 1;
        act(state)
    }

    fn write(&self, path: &str, bytes: &[u8], truncate: bool) -> io::Result<()> {
        let inode = self.operation(|state| {
            if !state.dirs.contains(parent(path)) && !parent(path).is_empty() {
                return Err(io::ErrorKind::NotFound.into());
            }
            let inode = match state.names.get(path) {
                Some(&inode) => inode,
                None => {
                    state.inodes.push(Inode::default());
                    state.names.insert(path.to_owned(), state.inodes.len() - 1);
                    state.inodes.len() - 1
                }
            };
            if truncate {
                state.inodes[inode].bytes.clear();
            }
            Ok(inode)
        })?;
        self.operation(|state| {
            state.inodes[inode].bytes.extend_from_slice(bytes);
            Ok(())
        })?;
        self.operation(|state| {
            state.inodes[inode].durable = state.inodes[inode].bytes.clone();
            Ok(())
        })
    }
}

impl Disk for SimDisk {
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let state = self.state.borrow();
        let bytes = &state.inodes[*state.names.get(path).ok_or(io::ErrorKind::NotFound)?].bytes;
        if bytes.len() as u64 > limit {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(bytes.clone())
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        let state = self.state.borrow();
        Ok(state.inodes[*state.names.get(path).ok_or(io::ErrorKind::NotFound)?].bytes.len() as u64)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let state = self.state.borrow();
        let inside = state.names.keys().filter(|path| parent(path) == dir);
        Ok(inside.map(|path| path.rsplit('/').next().unwrap_or(path).to_owned()).collect())
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        self.operation(|state| {
            state.dirs.insert(dir.to_owned());
            Ok(())
        })
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.write(path, bytes, true)
    }

    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.write(path, bytes, false)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.operation(|state| {
            let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
            state.names.insert(to.to_owned(), inode);
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.operation(|state| {
            state.names.remove(path);
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.operation(|state| {
            state.durable_names.retain(|path, _| parent(path) != dir);
            let names = state.names.iter().filter(|(path, _)| parent(path) == dir);
            state.durable_names.extend(names.map(|(path, &inode)| (path.clone(), inode)));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsynced_name_is_lost_and_a_synced_one_is_kept() {
        let disk = SimDisk::new();
        disk.put("kept", b"1").unwrap();
        disk.sync_dir("").unwrap();
        disk.put("lost", b"2").unwrap();
        disk.reboot(Survival::Nothing);
        assert_eq!(disk.list("").unwrap(), ["kept"]);
    }

    #[test]
    fn renaming_before_the_bytes_are_synced_leaves_an_empty_file() {
        let disk = SimDisk::new();
        disk.put("state", b"old").unwrap();
        disk.sync_dir("").unwrap();
        // Cut between write and sync of the new file; a program that renamed first would read nothing.
        disk.cut_at(disk.operations() + 2);
        assert!(disk.put("state.tmp", b"new!").is_err());
        assert!(disk.is_off() && disk.rename("state.tmp", "state").is_err());
        disk.reboot(Survival::NamesOnly);
        assert_eq!(disk.read("state.tmp", 9).unwrap(), b"");
        assert_eq!(disk.read("state", 9).unwrap(), b"old");
    }

    #[test]
    fn truncation_is_seen_when_power_fails_before_the_bytes_are_written() {
        let disk = SimDisk::new();
        disk.put("x", b"12345678").unwrap();
        disk.sync_dir("").unwrap();
        disk.cut_at(disk.operations() + 1);
        assert!(disk.put("x", b"abc").is_err());
        disk.reboot(Survival::Everything);
        assert_eq!(disk.read("x", 9).unwrap(), b"");
    }
}
