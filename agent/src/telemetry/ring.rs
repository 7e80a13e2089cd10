//! Windows that wait to be sent, in one file of CRC-framed records under a byte quota.
//!
//! Frame: `length u32 LE, CRC-32 of body u32 LE, body` with the body in postcard. A torn tail, or a frame that rots,
//! ends the readable part; what stands before it is kept.
//!
//! Counts are cumulative within a stream, so when space runs out the oldest window that a later one of its stream
//! contains is dropped first: windows merge, nothing counted is lost. Only when every stream is down to its last
//! window does the oldest go, and then its error counts move into a carry that is never dropped.

use super::metrics::{Counts, Window};
use crate::store::{Disk, disk};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, io};

const HEADER: usize = 8;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Record {
    Window { boot: u64, sequence: u64, stream: u64, errors: Counts, payload: Vec<u8> },
    Carry(Counts),
}

/// A store-and-forward queue on a disk.
pub struct Ring<D> {
    disk: D,
    path: String,
    quota: u64,
    carry: Counts,
    windows: VecDeque<Window>,
    /// Bytes in the file.
    used: u64,
}

impl<D: Disk> Ring<D> {
    /// Opens the file at `path`, keeping every intact frame.
    ///
    /// # Errors
    /// Whatever the disk reports.
    pub fn open(disk: D, path: &str, quota: u64) -> io::Result<Self> {
        disk.create_dir(disk::parent(path))?;
        let bytes = match disk.read(path, quota.saturating_mul(2).max(1 << 20)) {
            Ok(bytes) => bytes,
            // A file beyond any size we write is damage; the next write replaces it.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let (mut carry, mut windows) = (Counts::new(), VecDeque::new());
        let mut rest = &bytes[..];
        while let Some((record, tail)) = decode(rest) {
            rest = tail;
            match record {
                Record::Window { boot, sequence, stream, errors, payload } => {
                    windows.push_back(Window { boot, sequence, stream, errors, payload });
                }
                Record::Carry(counts) => carry = counts,
            }
        }
        let mut ring = Self { disk, path: path.to_owned(), quota, carry, windows, used: bytes.len() as u64 };
        // Appending after a torn frame would hide what follows it.
        if !rest.is_empty() {
            ring.rewrite()?;
        }
        Ok(ring)
    }

    /// Waiting windows, oldest first.
    pub fn windows(&self) -> impl Iterator<Item = &Window> {
        self.windows.iter()
    }

    /// Errors by code of windows that had to go.
    pub fn carry(&self) -> &Counts {
        &self.carry
    }

    /// Adds a window durably, dropping older ones where the quota asks for it.
    ///
    /// # Errors
    /// Whatever the disk reports.
    pub fn push(&mut self, window: Window) -> io::Result<()> {
        let frame = encode_window(&window)?;
        self.windows.push_back(window);
        if self.used + frame.len() as u64 <= self.quota {
            let fresh = self.used == 0;
            self.disk.append(&self.path, &frame)?;
            self.used += frame.len() as u64;
            return if fresh { self.disk.sync_dir(disk::parent(&self.path)) } else { Ok(()) };
        }
        while self.encode()?.len() as u64 > self.quota && !self.windows.is_empty() {
            self.drop_one();
        }
        self.rewrite()
    }

    /// Removes the oldest window, which was delivered.
    ///
    /// # Errors
    /// Whatever the disk reports; the window may then be sent again, which the receiver recognises.
    pub fn pop(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.windows.drain(..count.min(self.windows.len()));
        self.rewrite()
    }

    /// Removes a window that the receiver will never accept; its errors are carried.
    ///
    /// # Errors
    /// Whatever the disk reports.
    pub fn reject(&mut self) -> io::Result<()> {
        if let Some(window) = self.windows.pop_front() {
            self.keep_errors(&window);
        }
        self.rewrite()
    }

    fn drop_one(&mut self) {
        let contained = (0..self.windows.len()).find(|&at| {
            self.windows.iter().skip(at + 1).any(|later| later.stream == self.windows[at].stream)
        });
        if let Some(window) = self.windows.remove(contained.unwrap_or(0))
            && contained.is_none()
        {
            self.keep_errors(&window);
        }
    }

    /// Errors that a later window of the stream reports too are not counted twice.
    fn keep_errors(&mut self, window: &Window) {
        if self.windows.iter().any(|later| later.stream == window.stream) {
            return;
        }
        for (code, count) in &window.errors {
            *self.carry.entry(code.clone()).or_default() += count;
        }
    }

    fn encode(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if !self.carry.is_empty() {
            bytes.extend(frame(&Record::Carry(self.carry.clone()))?);
        }
        for window in &self.windows {
            bytes.extend(encode_window(window)?);
        }
        Ok(bytes)
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let bytes = self.encode()?;
        disk::replace(&self.disk, &self.path, &bytes)?;
        self.used = bytes.len() as u64;
        Ok(())
    }
}

fn encode_window(window: &Window) -> io::Result<Vec<u8>> {
    let Window { boot, sequence, stream, errors, payload } = window.clone();
    frame(&Record::Window { boot, sequence, stream, errors, payload })
}

fn frame(record: &Record) -> io::Result<Vec<u8>> {
    let body = postcard::to_allocvec(record).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend(crc32fast::hash(&body).to_le_bytes());
    frame.extend(body);
    Ok(frame)
}

fn decode(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, _) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let body = bytes.get(HEADER..HEADER.checked_add(length)?)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    Some((postcard::from_bytes(body).ok()?, &bytes[HEADER + length..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{SimDisk, Survival};
    use std::rc::Rc;

    const PATH: &str = "telemetry/test.ring";

    fn window(stream: u64, sequence: u64, errors: u64) -> Window {
        Window {
            boot: 1,
            sequence,
            stream,
            errors: Counts::from([("load".to_owned(), errors)]),
            payload: vec![sequence as u8; 50],
        }
    }

    fn ring(disk: &Rc<SimDisk>, quota: u64) -> Ring<Rc<SimDisk>> {
        Ring::open(disk.clone(), PATH, quota).unwrap()
    }

    fn sequences(ring: &Ring<Rc<SimDisk>>) -> Vec<u64> {
        ring.windows().map(|window| window.sequence).collect()
    }

    #[test]
    fn windows_survive_a_restart_and_leave_when_delivered() {
        let disk = Rc::new(SimDisk::new());
        let mut first = ring(&disk, 10_000);
        for sequence in 1..=3 {
            first.push(window(7, sequence, 0)).unwrap();
        }
        let mut second = ring(&disk, 10_000);
        assert!(second.windows().eq(first.windows()));
        second.pop(2).unwrap();
        assert_eq!(sequences(&ring(&disk, 10_000)), [3]);
    }

    #[test]
    fn a_full_ring_merges_within_a_stream_and_carries_errors_of_what_it_drops() {
        let disk = Rc::new(SimDisk::new());
        let quota = 4 * encode_window(&window(1, 1, 1)).unwrap().len() as u64;
        let mut small = ring(&disk, quota);
        // One stream: the oldest goes, the newest contains it, no error moves.
        for sequence in 1..=9 {
            small.push(window(1, sequence, sequence)).unwrap();
        }
        assert_eq!((sequences(&small), small.carry().clone()), (vec![6, 7, 8, 9], Counts::new()));
        // Other streams: the last window of each is kept as long as possible.
        for stream in 2..=4 {
            small.push(window(stream, 10 + stream, 1)).unwrap();
        }
        assert_eq!(sequences(&small), [9, 12, 13, 14]);
        small.push(window(5, 15, 1)).unwrap();
        let again = ring(&disk, quota);
        assert!(again.used <= quota);
        let total: u64 = again.windows().flat_map(|window| window.errors.values()).sum::<u64>()
            + again.carry().values().sum::<u64>();
        assert_eq!(total, 9 + 3 + 1, "no error is lost");
    }

    #[test]
    fn a_torn_or_rotten_frame_costs_only_what_follows_it() {
        let disk = Rc::new(SimDisk::new());
        let mut full = ring(&disk, 10_000);
        for sequence in 1..=3 {
            full.push(window(1, sequence, 0)).unwrap();
        }
        let frame = encode_window(&window(1, 1, 0)).unwrap().len();
        assert!(disk.flip_bit(PATH, 8 * (frame + 20)));
        let mut after = ring(&disk, 10_000);
        assert_eq!(sequences(&after), [1]);
        after.push(window(1, 4, 0)).unwrap();
        assert_eq!(sequences(&ring(&disk, 10_000)), [1, 4]);
    }

    #[test]
    fn a_power_cut_at_any_write_keeps_what_was_acknowledged() {
        for cut in 0.. {
            for survival in Survival::ALL {
                let disk = Rc::new(SimDisk::new());
                disk.cut_at(cut);
                let mut pushed = 0;
                let act = |pushed: &mut u64| -> io::Result<()> {
                    let mut ring = Ring::open(disk.clone(), PATH, 300)?;
                    for sequence in 1..=8 {
                        ring.push(window(1, sequence, sequence))?;
                        *pushed = sequence;
                    }
                    Ok(())
                };
                let done = act(&mut pushed).is_ok();
                disk.reboot(survival);
                let ring = ring(&disk, 300);
                let last = ring.windows().last().map_or(0, |window| window.sequence);
                assert!(last >= pushed, "cut {cut}, {survival:?}: {last} < {pushed}");
                if done {
                    assert!(cut > 20);
                    return;
                }
            }
        }
    }
}
