//! Data files on disk: `.npy`, `.npz`, or a directory of them, read from the front and never whole.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::header::{self, Header};
use super::{MAX_ARRAYS, MAX_FILES};
use crate::error::{About, Error, Result};

/// Bytes that are read from disk at once.
const BUFFER: usize = 64 * 1024;

/// A data file, known by its first bytes.
#[derive(Clone, Debug)]
pub(super) struct DataFile {
    pub(super) path: PathBuf,
    archive: bool,
}

/// An array of a file: its name without `.npy`, empty in an `.npy`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Its position in the archive.
    pub(super) index: usize,
    /// Bytes once unpacked, header included, as the file has it.
    size: u64,
}

/// The files behind a path: itself, or those of a directory by name.
pub(super) fn files(path: &Path) -> Result<Vec<DataFile>> {
    let about = path.display();
    if !std::fs::metadata(path).about(&about)?.is_dir() {
        return Ok(vec![DataFile::new(path.into())?]);
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path).about(&about)? {
        let entry = entry.about(&about)?;
        // What file managers leave behind.
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if !entry.path().extension().is_some_and(|e| e == "npy" || e == "npz") {
            return Err(Error::invalid("is neither .npy nor .npz")
                .remedy("a directory of data holds nothing else")
                .about(entry.path().display()));
        }
        if paths.len() == MAX_FILES {
            return Err(Error::invalid(format!("it holds more than {MAX_FILES} files")).about(&about));
        }
        paths.push(entry.path());
    }
    if paths.is_empty() {
        return Err(Error::invalid("the directory holds no .npy or .npz").about(&about));
    }
    // Bytes, not the locale: the same order everywhere.
    paths.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    paths.into_iter().map(DataFile::new).collect()
}

/// SHA-256 in hexadecimal digits: of a file, its content's; of a directory, that of the lines
/// `<digest>  <name>` in the order of [`files`], as `sha256sum` prints them.
pub(super) fn digest(path: &Path) -> Result<String> {
    let files = files(path)?;
    if let [file] = &files[..]
        && file.path == path
    {
        return file.digest();
    }
    let mut all = Sha256::new();
    for file in &files {
        let name = file.path.file_name().unwrap_or_default();
        all.update(file.digest()?);
        all.update(b"  ");
        all.update(name.as_encoded_bytes());
        all.update(b"\n");
    }
    Ok(hex(&all.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl DataFile {
    fn new(path: PathBuf) -> Result<Self> {
        let mut start = Vec::new();
        let file = File::open(&path).about(path.display())?;
        file.take(header::MAGIC.len() as u64).read_to_end(&mut start).about(path.display())?;
        let archive = start.starts_with(b"PK");
        if !archive && start != header::MAGIC {
            let error = Error::invalid("is neither .npy nor .npz");
            return Err(error.remedy("save it with numpy.save or numpy.savez").about(path.display()));
        }
        Ok(DataFile { path, archive })
    }

    fn digest(&self) -> Result<String> {
        let about = self.path.display();
        let mut file = File::open(&self.path).about(&about)?;
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; BUFFER]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hex(&hash.finalize())),
                Ok(n) => hash.update(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e).about(&about),
            }
        }
    }

    /// What arrays it holds; a name that is there twice is refused.
    pub(super) fn members(&self) -> Result<Vec<Member>> {
        let file = File::open(&self.path).about(self.path.display())?;
        let size = file.metadata().about(self.path.display())?.len();
        if !self.archive {
            return Ok(vec![Member { name: String::new(), index: 0, size }]);
        }
        let mut archive = archive(file).about(self.path.display())?;
        if archive.len() > MAX_ARRAYS {
            let cause = format!("{} arrays are more than {MAX_ARRAYS}", archive.len());
            return Err(Error::invalid(cause).about(self.path.display()));
        }
        let mut members: Vec<Member> = Vec::with_capacity(archive.len());
        for index in 0..archive.len() {
            let file = archive.by_index_raw(index).map_err(broken).about(self.path.display())?;
            let name = file.name().strip_suffix(".npy").unwrap_or(file.name()).to_owned();
            if members.iter().any(|m| m.name == name) {
                let error = Error::invalid(format!("array '{name}' is there twice"));
                return Err(error.about(self.path.display()));
            }
            members.push(Member { name, index, size: file.size() });
        }
        Ok(members)
    }

    /// Opens one array; errors are not yet about the file.
    pub(super) fn open(&self, index: usize) -> Result<Opened> {
        let file = File::open(&self.path).map_err(|e| Error::invalid(e.to_string()))?;
        Ok(match self.archive {
            false => Opened::Npy(BufReader::with_capacity(BUFFER, file)),
            true => Opened::Npz(Box::new(archive(file)?), index),
        })
    }

    /// An array's header, its data's size checked against the shape; `element` says how many bytes one element of
    /// a kind has.
    pub(super) fn header(&self, member: &Member, element: impl Fn(&str) -> Result<usize>) -> Result<Header> {
        let header = self.sized(member, element);
        let header =
            if self.archive { header.about(format_args!("array '{}'", member.name)) } else { header };
        header.about(self.path.display())
    }

    fn sized(&self, member: &Member, element: impl Fn(&str) -> Result<usize>) -> Result<Header> {
        let mut opened = self.open(member.index)?;
        let (header, head) = header::read(&mut *opened.reader()?)?;
        let each = element(&header.kind)? as u64;
        let needs = header.shape.iter().try_fold(each, |n, &d| n.checked_mul(d as u64));
        match needs {
            Some(needs) if head.checked_add(needs) == Some(member.size) => Ok(header),
            Some(needs) => Err(Error::invalid(format!(
                "holds {} bytes of data where its shape needs {needs}",
                member.size.saturating_sub(head)
            ))),
            None => Err(Error::invalid(format!("its shape {:?} is too large", header.shape))),
        }
    }
}

/// An array file that is open, from its header on.
pub(super) enum Opened {
    Npy(BufReader<File>),
    Npz(Box<ZipArchive<BufReader<File>>>, usize),
}

impl Opened {
    /// Reads it from the front, unpacking; the end of an archive's member checks its sum.
    pub(super) fn reader(&mut self) -> Result<Box<dyn Read + '_>> {
        Ok(match self {
            Opened::Npy(file) => {
                file.rewind().map_err(|e| Error::invalid(e.to_string()))?;
                Box::new(file)
            }
            Opened::Npz(archive, index) => Box::new(archive.by_index(*index).map_err(broken)?),
        })
    }
}

fn archive(file: File) -> Result<ZipArchive<BufReader<File>>> {
    ZipArchive::new(BufReader::with_capacity(BUFFER, file)).map_err(broken)
}

fn broken(e: zip::result::ZipError) -> Error {
    Error::invalid(format!("its archive cannot be read ({e})"))
}
