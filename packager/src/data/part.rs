//! One file's arrays matched to a model's inputs, and read sample by sample.

use std::io::{ErrorKind, Read};

use samara_runtime::Dtype;
use samara_runtime::ops::eval::Value;

use super::element::{Element, element};
use super::header::{self, Header};
use super::npy::to_c_order;
use super::samples::{InputSpec, quantize};
use super::source::{DataFile, Opened};
use super::{Array, MAX_TURNED};
use crate::error::{About, Error, Result};

/// A file and where the model's inputs are in it.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) file: DataFile,
    /// In the order of the model's inputs.
    columns: Vec<Column>,
    /// How many samples it holds, at least one.
    pub(super) count: usize,
    /// Whether its arrays have a sample axis.
    pub(super) has_axis: bool,
}

/// One input's array.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    index: usize,
    header: Header,
    element: Element,
    /// Bytes of one sample in the file.
    bytes: usize,
}

impl Part {
    /// Matches arrays to inputs by name; an `.npy` is the only input. Reads headers only.
    pub(super) fn new(file: DataFile, specs: &[InputSpec]) -> Result<Self> {
        let members = file.members()?;
        let (mut columns, mut count, mut has_axis) = (Vec::new(), None, true);
        for spec in specs {
            let unnamed = specs.len() == 1 && members.len() == 1 && members[0].name.is_empty();
            let found = members.iter().find(|m| unnamed || m.name == spec.name);
            let member = found.ok_or_else(|| {
                let names: Vec<&str> = members.iter().map(|m| &m.name[..]).collect();
                let names = if names.is_empty() { "none".into() } else { names.join(", ") };
                Error::invalid(format!("no array is named '{}', as the model's input is", spec.name))
                    .remedy(format!("it holds {names}"))
                    .about(file.path.display())
            })?;
            let header = file.header(member, |kind| Ok(element(kind)?.size))?;
            let about = file.path.display();
            let (n, axis) = axis(&header.shape, spec, &member.name).about(&about)?;
            if *count.get_or_insert(n) != n {
                return Err(Error::invalid("its arrays have different numbers of samples").about(&about));
            }
            has_axis &= axis;
            let element = element(&header.kind)?;
            accepts(element.dtype, spec, &member.name).about(&about)?;
            // The file holds that many bytes, so they fit.
            let bytes = header.shape.iter().skip(usize::from(axis)).product::<usize>() * element.size;
            let column = Column { name: member.name.clone(), index: member.index, header, element, bytes };
            if column.turned() && column.bytes.saturating_mul(n) as u64 > MAX_TURNED {
                let cause =
                    format!("array '{}' is in Fortran order and larger than {MAX_TURNED} bytes", member.name);
                return Err(Error::invalid(cause)
                    .remedy("save numpy.ascontiguousarray(array): its samples must follow one another")
                    .about(&about));
            }
            columns.push(column);
        }
        match count {
            Some(count) if count > 0 => Ok(Part { file, columns, count, has_axis }),
            _ => Err(Error::invalid("it holds no sample").about(file.path.display())),
        }
    }

    /// Gives these samples (ascending) to `take` until it answers no; whether it never did. After the last
    /// sample of the file the arrays must end.
    pub(super) fn read(
        &self,
        specs: &[InputSpec],
        wanted: impl Iterator<Item = usize>,
        take: impl FnMut(Vec<Value>) -> bool,
    ) -> Result<bool> {
        self.read_columns(specs, wanted, take).about(self.file.path.display())
    }

    fn read_columns(
        &self,
        specs: &[InputSpec],
        wanted: impl Iterator<Item = usize>,
        mut take: impl FnMut(Vec<Value>) -> bool,
    ) -> Result<bool> {
        let open = |c: &Column| self.file.open(c.index);
        let mut opened: Vec<Opened> = self.columns.iter().map(open).collect::<Result<_>>()?;
        let mut feeds: Vec<Feed<'_>> = Vec::with_capacity(opened.len());
        for (opened, column) in opened.iter_mut().zip(&self.columns) {
            feeds.push(Feed::new(opened, column).about(format_args!("array '{}'", column.name))?);
        }
        for n in wanted {
            let mut values = Vec::with_capacity(feeds.len());
            for (feed, spec) in feeds.iter_mut().zip(specs) {
                values.push(value(feed.sample(n, self.count)?, spec, n)?);
                if n + 1 == self.count {
                    feed.end()?;
                }
            }
            if !take(values) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Column {
    /// Whether C order differs from the order of the file.
    fn turned(&self) -> bool {
        self.header.fortran && self.header.shape.iter().filter(|&&d| d != 1).count() > 1
    }
}

/// How many samples an array has for an input, and whether it has an axis for them: in front of the batch of 1,
/// in its place, or none at all.
fn axis(shape: &[usize], spec: &InputSpec, name: &str) -> Result<(usize, bool)> {
    let dims: Vec<usize> = spec.desc.shape.dims().iter().map(|&d| d as usize).collect();
    match shape {
        [n, rest @ ..] if *rest == dims => Ok((*n, true)),
        [n, rest @ ..] if dims.first() == Some(&1) && *rest == dims[1..] => Ok((*n, true)),
        shape if *shape == dims => Ok((1, false)),
        shape => Err(Error::invalid(format!(
            "array '{name}' has shape {shape:?}; the input '{}' needs [samples] + {dims:?}",
            spec.name
        ))),
    }
}

/// Integers are taken as they are; floats become levels of an integer input that has parameters.
fn accepts(dtype: Dtype, spec: &InputSpec, name: &str) -> Result<()> {
    if dtype == spec.desc.dtype || (dtype == Dtype::F32 && spec.desc.scale != 0.0) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "array '{name}' is {}, the input '{}' is {}",
        dtype.name(),
        spec.name,
        spec.desc.dtype.name()
    )))
}

/// The elements of one array, sample after sample.
struct Feed<'a> {
    column: &'a Column,
    from: Box<dyn Read + 'a>,
    /// Samples that lie behind.
    at: usize,
    buffer: Vec<u8>,
    /// What the bytes of `from` become.
    narrow: fn(&[u8]) -> Result<Vec<u8>>,
    /// Bytes of a sample in `from`.
    each: usize,
}

impl<'a> Feed<'a> {
    fn new(opened: &'a mut Opened, column: &'a Column) -> Result<Self> {
        let mut from = opened.reader()?;
        if header::read(&mut *from)?.0 != column.header {
            return Err(Error::invalid("it changed while it was read"));
        }
        let Element { dtype, narrow, .. } = column.element;
        if !column.turned() {
            return Ok(Feed { column, from, at: 0, buffer: Vec::new(), narrow, each: column.bytes });
        }
        let mut stored = Vec::new();
        from.take(MAX_TURNED + 1).read_to_end(&mut stored).map_err(|e| Error::invalid(e.to_string()))?;
        let (shape, elements) = (&column.header.shape, column.header.shape.iter().product::<usize>());
        if stored.len() != elements * column.element.size {
            return Err(Error::invalid("holds more or fewer bytes than its shape needs"));
        }
        let turned = to_c_order(&narrow(&stored)?, shape, dtype.size());
        let each = column.bytes / column.element.size * dtype.size();
        let from = Box::new(std::io::Cursor::new(turned));
        Ok(Feed { column, from, at: 0, buffer: Vec::new(), narrow: |b| Ok(b.to_vec()), each })
    }

    /// Sample `n` of `count`, not before an earlier one.
    fn sample(&mut self, n: usize, count: usize) -> Result<Array> {
        let Column { name, element, .. } = self.column;
        let failed = |e: std::io::Error, at: usize| match e.kind() {
            ErrorKind::UnexpectedEof => {
                Error::invalid(format!("array '{name}' ends within sample {at} of {count}"))
            }
            _ => Error::invalid(format!("array '{name}' cannot be read in sample {at} ({e})")),
        };
        // Also passes over what lies between: packed bytes can only be read in order.
        self.buffer.resize(self.each, 0);
        while self.at <= n {
            self.from.read_exact(&mut self.buffer).map_err(|e| failed(e, self.at))?;
            self.at += 1;
        }
        let bytes = (self.narrow)(&self.buffer).about(format_args!("array '{name}', sample {n}"))?;
        Ok(Array { name: name.clone(), dtype: element.dtype, shape: Vec::new(), bytes })
    }

    /// Checks that nothing follows; an archive's sum is checked by its reader.
    fn end(&mut self) -> Result<()> {
        let name = &self.column.name;
        match self.from.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::invalid(format!("array '{name}' holds more bytes than its shape needs"))),
            Err(e) => Err(Error::invalid(format!("array '{name}' cannot be read to its end ({e})"))),
        }
    }
}

/// Elements of sample `n` as the input takes them; NaN and infinities are refused.
fn value(array: Array, spec: &InputSpec, n: usize) -> Result<Value> {
    let mut value = Value::zeros(spec.desc);
    if array.dtype != Dtype::F32 {
        value.bytes_mut().copy_from_slice(&array.bytes);
        return Ok(value);
    }
    let reals: Vec<f32> = bytemuck::pod_collect_to_vec(&array.bytes);
    if let Some((i, x)) = reals.iter().enumerate().find(|(_, x)| !x.is_finite()) {
        let name = array.name;
        return Err(Error::invalid(format!("array '{name}' holds {x} in sample {n} at index {i}")));
    }
    if spec.desc.dtype == Dtype::F32 {
        value.bytes_mut().copy_from_slice(&array.bytes);
        return Ok(value);
    }
    let mut levels = Vec::with_capacity(value.bytes().len());
    quantize(&reals, &spec.desc, &mut levels)?;
    value.bytes_mut().copy_from_slice(&levels);
    Ok(value)
}
