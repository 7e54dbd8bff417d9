//! The writer in every order of calls: a file that is finished is whole, and every other order is
//! an error that says what went wrong.

use std::io::{self, Write};

use granule_format::{BlockType, Draft, Endian, Header, Metadata, Shape, WriteError, Writer};

/// Names and lengths of the tensors: with and without padding, and without any data.
const TENSORS: &[(&str, u64)] = &[("padded", 10), ("empty", 0), ("exact", 32)];

fn draft() -> Draft {
    let mut draft = Draft::new(Metadata::new(), Endian::Little).unwrap();
    for (name, values) in TENSORS {
        draft.add(name, Shape::new(&[*values]).unwrap(), BlockType::I8.into()).unwrap();
    }
    draft
}

/// Data of a tensor, different at every place.
fn data(name: &str, bytes: u64) -> Vec<u8> {
    (0..bytes).map(|i| name.as_bytes()[0].wrapping_mul(7).wrapping_add(i as u8)).collect()
}

/// The file as it has to be.
fn whole() -> Vec<u8> {
    let mut file = draft().header();
    for (name, bytes) in TENSORS {
        file.extend(data(name, *bytes));
        file.resize(file.len().next_multiple_of(32), 0);
    }
    file
}

/// How a caller deals with one tensor.
#[derive(Clone, Copy, Debug)]
struct Visit {
    /// Index of the tensor, or one more for a name that is not in the file.
    tensor: usize,
    /// Lengths of the writes, in percent of the tensor's data; what is beyond it are other bytes.
    writes: &'static [u64],
    finishes: bool,
}

const WRITES: &[&[u64]] = &[&[], &[100], &[50], &[50, 50], &[110], &[110, 100], &[100, 10]];

fn visits() -> Vec<Visit> {
    let mut all = Vec::new();
    for tensor in 0..=TENSORS.len() {
        for writes in WRITES {
            for finishes in [true, false] {
                all.push(Visit { tensor, writes, finishes });
            }
        }
    }
    all
}

/// Carry out a visit as a caller who ignores errors; the first one.
fn carry_out<W: Write>(writer: &mut Writer<W>, visit: Visit) -> Result<(), WriteError> {
    let (name, bytes) = TENSORS.get(visit.tensor).copied().unwrap_or(("absent", 10));
    let mut tensor = writer.tensor(name)?;
    let data = data(name, 2 * bytes.max(10));
    let (mut at, mut result) = (0, Ok(()));
    for percent in visit.writes {
        let length = (bytes * percent).div_ceil(100).max(u64::from(*percent > 100)) as usize;
        match tensor.write_all(&data[at..at + length]) {
            Ok(()) => at += length,
            Err(error) => result = result.and(Err(WriteError::from(error))),
        }
    }
    if visit.finishes { result.and(tensor.finish()) } else { result }
}

/// What the writer must say, from the documentation alone.
#[derive(Clone, Copy, Debug, Default)]
struct Model {
    next: usize,
    is_inside: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Order,
    AllWritten,
    Missing,
    Unfinished,
    Length,
    Failed,
    Io,
}

fn kind(error: &WriteError) -> Kind {
    match error {
        WriteError::Order { .. } => Kind::Order,
        WriteError::AllWritten { .. } => Kind::AllWritten,
        WriteError::Missing { .. } => Kind::Missing,
        WriteError::Unfinished { .. } => Kind::Unfinished,
        WriteError::Length { .. } => Kind::Length,
        WriteError::Failed => Kind::Failed,
        WriteError::Io(_) => Kind::Io,
        other => panic!("{other}"),
    }
}

impl Model {
    fn carry_out(&mut self, visit: Visit) -> Result<(), Kind> {
        if self.is_inside {
            return Err(Kind::Unfinished);
        }
        if self.next == TENSORS.len() {
            return Err(Kind::AllWritten);
        }
        if visit.tensor != self.next {
            return Err(Kind::Order);
        }
        self.is_inside = true;
        let bytes = TENSORS[self.next].1;
        let (mut written, mut result) = (0, Ok(()));
        for percent in visit.writes {
            let length = (bytes * percent).div_ceil(100).max(u64::from(*percent > 100));
            if written + length > bytes {
                result = Err(Kind::Length);
            } else {
                written += length;
            }
        }
        // a write that was refused wrote nothing: the tensor can still become whole
        if visit.finishes && written == bytes {
            (self.next, self.is_inside) = (self.next + 1, false);
        } else if visit.finishes {
            result = Err(Kind::Length);
        }
        result
    }

    fn finish(self) -> Result<(), Kind> {
        match (self.is_inside, self.next == TENSORS.len()) {
            (true, _) => Err(Kind::Unfinished),
            (_, false) => Err(Kind::Missing),
            _ => Ok(()),
        }
    }
}

#[test]
fn every_order_of_calls_gives_the_whole_file_or_the_documented_error() {
    let mut finished = 0;
    let mut sequences: Vec<Vec<Visit>> = vec![Vec::new()];
    // the visits that are right so far, and any three in their place
    let right = |tensor| Visit { tensor, writes: &[50, 50], finishes: true };
    for begun in 0..=TENSORS.len() {
        let begin: Vec<Visit> = (0..begun).map(right).collect();
        for one in visits() {
            let mut sequence = begin.clone();
            sequence.push(one);
            sequences.push(sequence.clone());
            for other in visits() {
                let mut sequence = sequence.clone();
                sequence.push(other);
                sequence.extend((begun..TENSORS.len()).map(right));
                sequences.push(sequence);
            }
        }
    }
    for sequence in &sequences {
        let mut writer = Writer::start(Vec::new(), draft()).unwrap();
        let mut model = Model::default();
        for (i, visit) in sequence.iter().enumerate() {
            let found = carry_out(&mut writer, *visit).map_err(|error| kind(&error));
            assert_eq!(found, model.carry_out(*visit), "visit {i} of {sequence:?}");
        }
        match writer.finish() {
            Ok(file) => {
                assert_eq!(model.finish(), Ok(()), "{sequence:?}");
                assert!(file == whole(), "{sequence:?}");
                finished += 1;
            }
            Err(error) => assert_eq!(model.finish(), Err(kind(&error)), "{sequence:?}"),
        }
    }
    assert!(finished > 100, "{finished} of {}", sequences.len());
    Header::parse(&whole()).unwrap();
}

/// A file that accepts a few bytes at a time, and fails once when it has that many.
struct Faulty {
    file: Vec<u8>,
    fails_at: usize,
    error: Option<io::ErrorKind>,
}

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.fails_at.saturating_sub(self.file.len());
        if room == 0
            && let Some(kind) = self.error.take()
        {
            return Err(kind.into());
        }
        let count = if self.error.is_some() { bytes.len().min(room).min(7) } else { bytes.len() };
        self.file.extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_failed_is_never_finished_and_an_interrupted_one_goes_on() {
    let right = |tensor| Visit { tensor, writes: &[50, 50], finishes: true };
    let header = draft().header().len();
    for fails_at in header..whole().len() {
        for (error, fails) in
            [(io::ErrorKind::StorageFull, true), (io::ErrorKind::Interrupted, false)]
        {
            let out = Faulty { file: Vec::new(), fails_at, error: Some(error) };
            let mut writer = Writer::start(out, draft()).unwrap();
            let mut results = Vec::new();
            // all again: the next one, and the one that failed
            for tensor in [0, 1, 2, 0, 1, 2] {
                results.push(carry_out(&mut writer, right(tensor)).map_err(|error| kind(&error)));
            }
            let finished = writer.finish();
            if fails {
                let first = results.iter().position(Result::is_err).unwrap();
                assert_eq!(results[first], Err(Kind::Io), "{fails_at}");
                assert!(results[first + 1..].iter().all(|result| *result == Err(Kind::Failed)));
                assert_eq!(kind(&finished.err().unwrap()), Kind::Failed);
            } else {
                assert_eq!(results[..3], [Ok(()); 3], "{fails_at}");
                assert!(finished.unwrap().file == whole());
            }
        }
    }
    let out = Faulty { file: Vec::new(), fails_at: 9, error: Some(io::ErrorKind::StorageFull) };
    assert_eq!(kind(&Writer::start(out, draft()).err().unwrap()), Kind::Io);
}

#[test]
fn tensors_can_be_copied_from_a_reader() {
    let mut writer = Writer::start(Vec::new(), draft()).unwrap();
    for (name, bytes) in TENSORS {
        let data = data(name, *bytes);
        let mut tensor = writer.tensor(name).unwrap();
        assert_eq!(tensor.missing_bytes(), *bytes);
        assert_eq!(io::copy(&mut data.as_slice(), &mut tensor).unwrap(), *bytes);
        // one byte more is refused, and the caller can get at the reason
        let error = io::copy(&mut [1].as_slice(), &mut tensor).unwrap_err();
        let error = WriteError::from(error);
        let expected = format!("tensor {name:?} has {bytes} bytes, {} were given", bytes + 1);
        assert_eq!(error.to_string(), expected);
        tensor.finish().unwrap();
    }
    assert!(writer.finish().unwrap() == whole());
}
