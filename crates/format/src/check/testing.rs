//! Files that are broken on purpose, for the tests of rules.

use super::{Options, Report, check};
use crate::container::{Endian, MAGIC, Value};
use crate::{Array, BlockType};

/// Builds a file and writes whatever it is told, valid or not. By default the file is valid.
#[derive(Clone)]
pub(crate) struct Forge {
    pub(crate) magic: [u8; 4],
    pub(crate) version: u32,
    pub(crate) endian: Endian,
    /// The byte order of the version alone.
    pub(crate) version_endian: Endian,
    /// Stored instead of the number of entries.
    pub(crate) entry_count: Option<u64>,
    /// Stored instead of the number of tensors.
    pub(crate) tensor_count: Option<u64>,
    entries: Vec<Vec<u8>>,
    tensors: Vec<Row>,
    pub(crate) alignment: usize,
    /// The byte that pads.
    pub(crate) padding: u8,
    /// Bytes at the end: more, or fewer.
    pub(crate) tail: isize,
}

#[derive(Clone)]
struct Row {
    name: Vec<u8>,
    dimensions: Vec<u64>,
    ty: u32,
    offset: Option<u64>,
    data: Vec<u8>,
}

impl Forge {
    /// Version 3, little-endian, nothing in it.
    pub(crate) fn new() -> Self {
        Self {
            magic: MAGIC,
            version: 3,
            endian: Endian::Little,
            version_endian: Endian::Little,
            entry_count: None,
            tensor_count: None,
            entries: Vec::new(),
            tensors: Vec::new(),
            alignment: 32,
            padding: 0,
            tail: 0,
        }
    }

    /// A model with one tensor.
    pub(crate) fn model() -> Self {
        Self::new().key("general.architecture", "test").tensor("a", &[8], BlockType::F32)
    }

    /// A model with a vocabulary of four tokens.
    pub(crate) fn vocabulary() -> Self {
        Self::model().key("tokenizer.ggml.tokens", strings(&["a", "b", "c", "d"]))
    }

    /// Changes fields.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn key(self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let mut bytes = Vec::new();
        let ty = value.value_type() as u32;
        crate::container::put_value(&mut bytes, self.endian, &value);
        self.raw(key.as_bytes(), ty, &bytes)
    }

    /// An entry with these bytes as its value.
    pub(crate) fn raw(mut self, key: &[u8], ty: u32, value: &[u8]) -> Self {
        let mut entry = Vec::new();
        self.count(&mut entry, key.len() as u64);
        entry.extend_from_slice(key);
        self.number(&mut entry, ty);
        entry.extend_from_slice(value);
        self.entries.push(entry);
        self
    }

    /// An entry with nothing right about it.
    pub(crate) fn bytes_as_entry(mut self, bytes: &[u8]) -> Self {
        self.entries.push(bytes.to_vec());
        self
    }

    /// A tensor of zeros.
    pub(crate) fn tensor(self, name: &str, dimensions: &[u64], ty: BlockType) -> Self {
        let rows: u64 = dimensions.iter().skip(1).product();
        let row = ty.row_bytes(dimensions.first().copied().unwrap_or(1)).unwrap_or(0);
        self.row(name.as_bytes(), dimensions, ty.id(), &vec![0; (row * rows) as usize])
    }

    /// A tensor with this type and data, whether they belong together or not.
    pub(crate) fn row(mut self, name: &[u8], dimensions: &[u64], ty: u32, data: &[u8]) -> Self {
        let (name, dimensions, data) = (name.to_vec(), dimensions.to_vec(), data.to_vec());
        self.tensors.push(Row { name, dimensions, ty, offset: None, data });
        self
    }

    /// Store this offset for the last tensor; its data stays where it is.
    pub(crate) fn offset(mut self, offset: u64) -> Self {
        self.tensors.last_mut().expect("there is a tensor").offset = Some(offset);
        self
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = self.magic.to_vec();
        match self.version_endian {
            Endian::Little => out.extend_from_slice(&self.version.to_le_bytes()),
            Endian::Big => out.extend_from_slice(&self.version.to_be_bytes()),
        }
        self.count(&mut out, self.tensor_count.unwrap_or(self.tensors.len() as u64));
        self.count(&mut out, self.entry_count.unwrap_or(self.entries.len() as u64));
        self.entries.iter().for_each(|entry| out.extend_from_slice(entry));
        let mut data = Vec::new();
        for row in &self.tensors {
            self.count(&mut out, row.name.len() as u64);
            out.extend_from_slice(&row.name);
            self.number(&mut out, row.dimensions.len() as u32);
            row.dimensions.iter().for_each(|dimension| self.count(&mut out, *dimension));
            self.number(&mut out, row.ty);
            self.long(&mut out, row.offset.unwrap_or(data.len() as u64));
            data.extend_from_slice(&row.data);
            data.resize(data.len().next_multiple_of(self.alignment), self.padding);
        }
        if !self.tensors.is_empty() {
            out.resize(out.len().next_multiple_of(self.alignment), self.padding);
            out.extend_from_slice(&data);
        }
        out.resize(out.len().saturating_add_signed(self.tail), 1);
        out
    }

    /// The report on the file, as a file of its own.
    pub(crate) fn report(&self) -> Report {
        check(&self.bytes(), &Options::default())
    }

    /// Asserts that the check finds exactly these rules broken, each once.
    #[track_caller]
    pub(crate) fn gives(&self, expected: &[&str]) {
        gives(&self.report(), expected);
    }

    fn number(&self, out: &mut Vec<u8>, number: u32) {
        match self.endian {
            Endian::Little => out.extend_from_slice(&number.to_le_bytes()),
            Endian::Big => out.extend_from_slice(&number.to_be_bytes()),
        }
    }

    fn long(&self, out: &mut Vec<u8>, number: u64) {
        match self.endian {
            Endian::Little => out.extend_from_slice(&number.to_le_bytes()),
            Endian::Big => out.extend_from_slice(&number.to_be_bytes()),
        }
    }

    fn count(&self, out: &mut Vec<u8>, count: u64) {
        if self.version == 1 { self.number(out, count as u32) } else { self.long(out, count) }
    }
}

/// Asserts that these are the rules of the findings, in any order.
#[track_caller]
pub(crate) fn gives(report: &Report, expected: &[&str]) {
    let mut found: Vec<_> = report.findings.iter().map(|finding| finding.rule.id).collect();
    let mut expected = expected.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    let texts: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{texts:#?}");
}

/// An array of strings.
pub(crate) fn strings(texts: &[&str]) -> Value {
    Value::Array(Array::String(texts.iter().collect()))
}

/// Checks a split set of these files, all but the first as siblings of the first.
#[track_caller]
pub(crate) fn set_gives(files: &[(&str, Forge)], expected: &[&str]) {
    set_gives_with(files, Options::default(), expected);
}

/// The same with these options; name and siblings are set.
#[track_caller]
pub(crate) fn set_gives_with(files: &[(&str, Forge)], options: Options<'_>, expected: &[&str]) {
    let bytes: Vec<_> = files.iter().map(|(_, forge)| forge.bytes()).collect();
    let headers: Vec<_> = bytes.iter().map(|bytes| crate::Header::parse(bytes).ok()).collect();
    let siblings: Vec<_> = files
        .iter()
        .zip(&headers)
        .skip(1)
        .map(|((name, _), header)| super::Sibling { name, header: header.as_ref() })
        .collect();
    let (name, siblings) = (Some(files[0].0), Some(&siblings[..]));
    gives(&check(&bytes[0], &Options { name, siblings, ..options }), expected);
}

/// Shard `number` of `count`, in sets of `total` tensors, with this one tensor.
pub(crate) fn shard(number: u16, count: u16, total: i32, tensor: &str) -> Forge {
    let forge = match number {
        0 => Forge::new().key("general.architecture", "test"),
        _ => Forge::new(),
    };
    forge
        .key("split.no", number)
        .key("split.count", count)
        .key("split.tensors.count", total)
        .tensor(tensor, &[8], BlockType::F32)
}
