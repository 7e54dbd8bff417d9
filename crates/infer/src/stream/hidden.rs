//! The rows of all chunks between two layers, in memory or in files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use super::journal::Journal;

/// The rows of all chunks.
pub(super) struct Hidden {
    width: usize,
    /// Rows of each chunk; none of a chunk that was left.
    rows: Vec<usize>,
    place: Place,
}

enum Place {
    Memory(Vec<Vec<f32>>),
    Files {
        /// The first byte of each chunk.
        starts: Vec<u64>,
        /// What the layer before gave.
        read: File,
        /// What this layer gives, if that is kept apart.
        write: Option<File>,
    },
}

impl Hidden {
    /// For chunks of these numbers of rows: in the files of a journal, or in a temporary file if
    /// they have more than `memory` bytes.
    pub(super) fn new(
        width: usize,
        rows: Vec<usize>,
        memory: usize,
        journal: Option<&Journal>,
    ) -> io::Result<Self> {
        let bytes = |rows: &usize| (rows * width * 4) as u64;
        let total: u64 = rows.iter().map(bytes).sum();
        let files = match journal {
            Some(journal) => Some((journal.rows(0)?, Some(journal.rows(1)?))),
            None if total > memory as u64 => Some((tempfile::tempfile()?, None)),
            None => None,
        };
        let place = match files {
            None => Place::Memory(vec![Vec::new(); rows.len()]),
            Some((read, write)) => {
                let start = |start: &mut u64, rows: &usize| {
                    let own = *start;
                    *start += bytes(rows);
                    Some(own)
                };
                Place::Files { starts: rows.iter().scan(0, start).collect(), read, write }
            }
        };
        Ok(Self { width, rows, place })
    }

    /// Number of chunks, with those that were left.
    pub(super) fn chunks(&self) -> usize {
        self.rows.len()
    }

    /// Rows of a chunk; none if it was left.
    pub(super) fn rows(&self, chunk: usize) -> usize {
        self.rows[chunk]
    }

    /// Leaves a chunk.
    pub(super) fn leave(&mut self, chunk: usize) {
        self.rows[chunk] = 0;
        if let Place::Memory(chunks) = &mut self.place {
            chunks[chunk] = Vec::new();
        }
    }

    /// Sets the rows of a chunk before the first layer.
    pub(super) fn begin(&mut self, chunk: usize, x: Vec<f32>) -> io::Result<()> {
        match &mut self.place {
            Place::Memory(chunks) => chunks[chunk] = x,
            Place::Files { starts, read, .. } => write_at(read, starts[chunk], &x)?,
        }
        Ok(())
    }

    /// The rows of some chunks, one chunk after another.
    pub(super) fn read(&mut self, chunks: Range<usize>) -> io::Result<Vec<f32>> {
        match &mut self.place {
            Place::Memory(all) => Ok(all[chunks].concat()),
            Place::Files { starts, read, .. } => {
                let mut x = Vec::new();
                for chunk in chunks {
                    read_at(read, starts[chunk], self.rows[chunk] * self.width, &mut x)?;
                }
                Ok(x)
            }
        }
    }

    /// Replaces the rows of some chunks.
    pub(super) fn write(&mut self, chunks: Range<usize>, x: &[f32]) -> io::Result<()> {
        let mut rest = x;
        for chunk in chunks {
            let (own, others) = rest.split_at(self.rows[chunk] * self.width);
            rest = others;
            match &mut self.place {
                Place::Memory(all) => all[chunk].copy_from_slice(own),
                Place::Files { starts, read, write } => {
                    write_at(write.as_mut().unwrap_or(read), starts[chunk], own)?;
                }
            }
        }
        Ok(())
    }

    /// Ends a layer: what it gave is what the next one reads.
    pub(super) fn end_layer(&mut self) -> io::Result<()> {
        if let Place::Files { write: Some(write), .. } = &mut self.place {
            write.sync_data()?;
        }
        self.swap();
        Ok(())
    }

    /// Swaps the two files of a journal.
    pub(super) fn swap(&mut self) {
        if let Place::Files { read, write: Some(write), .. } = &mut self.place {
            std::mem::swap(read, write);
        }
    }
}

fn write_at(file: &mut File, start: u64, x: &[f32]) -> io::Result<()> {
    file.seek(SeekFrom::Start(start))?;
    for x in x.chunks(1 << 16) {
        let bytes: Vec<u8> = x.iter().flat_map(|x| x.to_le_bytes()).collect();
        file.write_all(&bytes)?;
    }
    Ok(())
}

fn read_at(file: &mut File, start: u64, count: usize, out: &mut Vec<f32>) -> io::Result<()> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; count * 4];
    file.read_exact(&mut bytes)?;
    out.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_files_hold_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().join("run"), String::new());
        for (memory, journal) in [(1 << 20, None), (0, None), (0, Some(&journal))] {
            let mut hidden = Hidden::new(2, vec![1, 2, 1], memory, journal).unwrap();
            for chunk in 0..3 {
                let x = (0..2 * hidden.rows(chunk)).map(|i| (10 * chunk + i) as f32).collect();
                hidden.begin(chunk, x).unwrap();
            }
            for factor in [2.0, 4.0] {
                let x = hidden.read(1..3).unwrap();
                assert_eq!(x, [10.0, 11.0, 12.0, 13.0, 20.0, 21.0].map(|x| x * factor / 2.0));
                hidden.write(1..3, &x.iter().map(|x| x * 2.0).collect::<Vec<_>>()).unwrap();
                hidden.end_layer().unwrap();
            }
            hidden.leave(1);
            assert_eq!((hidden.chunks(), hidden.rows(1)), (3, 0));
            assert_eq!(hidden.read(1..3).unwrap(), [80.0, 84.0]);
        }
    }
}
