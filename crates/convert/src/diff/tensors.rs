use std::collections::HashMap;
use std::hash::Hasher as _;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use granule_format::{BlockType, Shape, TensorType};
use granule_reader::isa::Isa;
use granule_reader::{Source, decode_blocks};
use rayon::prelude::*;
use twox_hash::XxHash64;

use super::sums::{Errors, Sums};
use crate::Error;

/// Values that are compared at a time.
const VALUES: u64 = 1 << 18;

/// What is compared, and with how many threads.
#[derive(Clone, Copy)]
pub struct DiffOptions<'a> {
    /// Chooses the tensors by their names.
    pub filter: &'a (dyn Fn(&str) -> bool + Sync),
    /// The number of threads; `None` for one for each core.
    pub threads: Option<usize>,
    /// Set by the caller to stop.
    pub stop: Option<&'a AtomicBool>,
}

impl std::fmt::Debug for DiffOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { threads, stop, .. } = self;
        f.debug_struct("DiffOptions").field("threads", threads).field("stop", stop).finish()
    }
}

/// How the tensors of two models compare.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors {
    /// The number of tensors with the same name, shape, type and bytes.
    pub same: usize,
    /// The others: those of one model alone, renamed ones, those of another shape; then those of
    /// another type or with other values, the greatest relative error first.
    pub differences: Vec<Difference>,
}

/// A tensor's type and shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Described {
    /// Its type.
    pub ty: TensorType,
    /// Its shape.
    pub shape: Shape,
}

/// A difference between two models.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Difference {
    /// Only the first model has the tensor.
    Removed {
        /// Its name.
        name: String,
        /// What it is.
        described: Described,
    },
    /// Only the second model has the tensor.
    Added {
        /// Its name.
        name: String,
        /// What it is.
        described: Described,
    },
    /// The second model has the tensor, bytes and all, under another name.
    Renamed {
        /// Its name in the first model.
        before: String,
        /// Its name in the second.
        after: String,
        /// What it is.
        described: Described,
    },
    /// The shapes differ, so values are not compared.
    Shape {
        /// The name.
        name: String,
        /// What it is in the first model.
        before: Described,
        /// What it is in the second.
        after: Described,
    },
    /// The types or the bytes differ.
    Values {
        /// The name.
        name: String,
        /// The type in the first model.
        before: TensorType,
        /// The type in the second.
        after: TensorType,
        /// The difference of the values; `None` if a type is unknown.
        errors: Option<Errors>,
    },
}

/// Compares the tensors of two models. `progress` is called with the number of values that were
/// compared.
///
/// Rows are read and decoded on demand, so memory does not depend on the size of the models. Sums
/// do not depend on the number of threads.
///
/// # Errors
/// If a model cannot be read, the threads cannot be started, or the caller stops the work.
pub fn tensors(
    before: &dyn Source,
    after: &dyn Source,
    options: &DiffOptions<'_>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Tensors, Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads.unwrap_or(0)).build();
    let pool = pool.map_err(Error::Threads)?;
    let work = Work { before, after, options, done: AtomicU64::new(0), progress };
    pool.install(|| work.run())
}

struct Work<'w> {
    before: &'w dyn Source,
    after: &'w dyn Source,
    options: &'w DiffOptions<'w>,
    done: AtomicU64,
    progress: &'w (dyn Fn(u64) + Sync),
}

impl Work<'_> {
    fn run(&self) -> Result<Tensors, Error> {
        let mut found = Tensors::default();
        let names = |source: &dyn Source| -> HashMap<String, usize> {
            let tensors = source.tensors().iter().enumerate();
            tensors.map(|(index, tensor)| (tensor.name.clone(), index)).collect()
        };
        let (of_before, of_after) = (names(self.before), names(self.after));
        let wanted = |name: &str| (self.options.filter)(name);
        let (mut pairs, mut removed, mut added) = (Vec::new(), Vec::new(), Vec::new());
        for (index, tensor) in self.before.tensors().iter().enumerate() {
            match of_after.get(&tensor.name) {
                _ if !wanted(&tensor.name) => {}
                Some(other) => pairs.push((index, *other)),
                None => removed.push(index),
            }
        }
        for (index, tensor) in self.after.tensors().iter().enumerate() {
            if wanted(&tensor.name) && !of_before.contains_key(&tensor.name) {
                added.push(index);
            }
        }
        let renamed = self.renamed(&removed, &added)?;
        for index in removed {
            let name = self.before.tensors()[index].name.clone();
            let described = described(self.before, index);
            found.differences.push(match renamed.iter().find(|(from, _)| *from == index) {
                Some((_, to)) => {
                    let (before, after) = (name, self.after.tensors()[*to].name.clone());
                    Difference::Renamed { before, after, described }
                }
                None => Difference::Removed { name, described },
            });
        }
        for index in added {
            if renamed.iter().all(|(_, to)| *to != index) {
                let name = self.after.tensors()[index].name.clone();
                found
                    .differences
                    .push(Difference::Added { name, described: described(self.after, index) });
            }
        }
        self.values(&pairs, &mut found)?;
        Ok(found)
    }

    /// Compares the tensors that both models have.
    fn values(&self, pairs: &[(usize, usize)], found: &mut Tensors) -> Result<(), Error> {
        let mut chunks = Vec::new();
        let mut unread = Vec::new();
        for (pair, (one, other)) in pairs.iter().enumerate() {
            let (before, after) = (described(self.before, *one), described(self.after, *other));
            let name = &self.before.tensors()[*one].name;
            if before.shape != after.shape {
                let name = name.clone();
                found.differences.push(Difference::Shape { name, before, after });
            } else if before.ty.known().is_none() || after.ty.known().is_none() {
                let (name, before, after) = (name.clone(), before.ty, after.ty);
                unread.push(Difference::Values { name, before, after, errors: None });
            } else {
                let (row, rows) = (before.shape.row(), before.shape.rows().unwrap_or(0));
                let step = (VALUES / row.max(1)).max(1);
                // a tensor without values has any number of rows
                let rows = if row == 0 { 0 } else { rows };
                let starts = (0..rows).step_by(step as usize);
                chunks.extend(starts.map(|start| (pair, start..rows.min(start + step))));
                if rows == 0 {
                    chunks.push((pair, 0..0));
                }
            }
        }
        let sums = chunks.into_par_iter().map_init(Buffers::default, |buffers, (pair, rows)| {
            Ok::<_, Error>((pair, self.chunk(pairs[pair], rows, buffers)?))
        });
        let sums: Vec<(usize, Sums)> = sums.collect::<Result<_, Error>>()?;
        let mut differing = Vec::new();
        for of_pair in sums.chunk_by(|one, other| one.0 == other.0) {
            let (one, other) = pairs[of_pair[0].0];
            let (before, after) = (described(self.before, one).ty, described(self.after, other).ty);
            let mut sums = Sums::default();
            of_pair.iter().for_each(|(_, chunk)| sums.add(chunk));
            if before == after && !sums.bytes_differ {
                found.same += 1;
                continue;
            }
            let name = self.before.tensors()[one].name.clone();
            let errors = Some(sums.errors());
            differing.push(Difference::Values { name, before, after, errors });
        }
        let relative = |difference: &Difference| match difference {
            Difference::Values { errors: Some(errors), .. } if errors.not_finite > 0 => {
                f64::INFINITY
            }
            Difference::Values { errors: Some(errors), .. } => errors.relative,
            _ => 0.0,
        };
        differing.sort_by(|one, other| relative(other).total_cmp(&relative(one)));
        found.differences.extend(differing);
        found.differences.extend(unread);
        Ok(())
    }

    /// Compares some rows of two tensors of one shape.
    fn chunk(
        &self,
        (one, other): (usize, usize),
        rows: Range<u64>,
        buffers: &mut Buffers,
    ) -> Result<Sums, Error> {
        if self.options.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(Error::Interrupted { kept: false });
        }
        let mut sums = Sums::default();
        if rows.is_empty() {
            return Ok(sums);
        }
        let (before, after) = (described(self.before, one), described(self.after, other));
        let (Some(ty), Some(of_other)) = (before.ty.known(), after.ty.known()) else {
            return Ok(sums);
        };
        let [first, second] = &mut buffers.blocks;
        self.before.read_rows(one, rows.clone(), first)?;
        self.after.read_rows(other, rows.clone(), second)?;
        let columns = before.shape.row();
        let count = (rows.end - rows.start) * columns;
        let same_bytes = ty == of_other && first == second;
        sums.bytes_differ = ty == of_other && !same_bytes;
        let [values, others] = &mut buffers.values;
        decode(ty, first, count, values);
        if same_bytes {
            sums.add_same(values);
        } else {
            decode(of_other, second, count, others);
            sums.compare(values, others, rows.start, columns);
        }
        (self.progress)(self.done.fetch_add(count, Ordering::Relaxed) + count);
        Ok(sums)
    }

    /// Tensors that have the same type, shape and bytes under another name: pairs of places in both
    /// models.
    fn renamed(&self, removed: &[usize], added: &[usize]) -> Result<Vec<(usize, usize)>, Error> {
        let hashed = |source: &dyn Source, of: &[usize], others: &[Described]| {
            let alike = |index: &&usize| others.contains(&described(source, **index));
            let of: Vec<usize> = of.iter().filter(alike).copied().collect();
            let hashes =
                of.into_par_iter().map(|index| Ok::<_, Error>((index, self.hash(source, index)?)));
            hashes.collect::<Result<Vec<(usize, u64)>, Error>>()
        };
        let all = |source: &dyn Source, of: &[usize]| -> Vec<Described> {
            of.iter().map(|index| described(source, *index)).collect()
        };
        let from = hashed(self.before, removed, &all(self.after, added))?;
        let mut to = hashed(self.after, added, &all(self.before, removed))?;
        let mut pairs = Vec::new();
        for (index, hash) in from {
            let is = described(self.before, index);
            let found = to.iter().position(|(other, of_other)| {
                *of_other == hash && described(self.after, *other) == is
            });
            if let Some(found) = found {
                pairs.push((index, to.remove(found).0));
            }
        }
        Ok(pairs)
    }

    fn hash(&self, source: &dyn Source, index: usize) -> Result<u64, Error> {
        let Described { ty, shape } = described(source, index);
        let mut hash = XxHash64::with_seed(0);
        let (row, rows) = (shape.row(), shape.rows().unwrap_or(0));
        if ty.known().is_none() || row == 0 {
            return Ok(0);
        }
        let (mut bytes, step) = (Vec::new(), (VALUES / row).max(1));
        for start in (0..rows).step_by(step as usize) {
            if self.options.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(Error::Interrupted { kept: false });
            }
            source.read_rows(index, start..rows.min(start + step), &mut bytes)?;
            hash.write(&bytes);
        }
        Ok(hash.finish())
    }
}

fn described(source: &dyn Source, index: usize) -> Described {
    let tensor = &source.tensors()[index];
    Described { ty: tensor.ty, shape: tensor.shape }
}

fn decode(ty: BlockType, blocks: &[u8], count: u64, out: &mut Vec<f32>) {
    out.resize(count as usize, 0.0);
    decode_blocks(Isa::detect(), ty, blocks, out);
}

/// Blocks and values of both tensors.
#[derive(Default)]
struct Buffers {
    blocks: [Vec<u8>; 2],
    values: [Vec<f32>; 2],
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use granule_format::{Draft, Endian, Metadata, Writer};
    use granule_reader::GgufSource;

    use super::*;

    type Row<'t> = (&'t str, &'t [u64], &'t [f32]);

    fn source(folder: &tempfile::TempDir, name: &str, tensors: &[Row<'_>]) -> GgufSource {
        let mut draft = Draft::new(Metadata::new(), Endian::Little).unwrap();
        for (name, shape, _) in tensors {
            draft.add(name, Shape::new(shape).unwrap(), BlockType::F32.into()).unwrap();
        }
        let mut writer = Writer::start(Vec::new(), draft).unwrap();
        for (name, _, values) in tensors {
            let mut tensor = writer.tensor(name).unwrap();
            values.iter().for_each(|value| tensor.write_all(&value.to_le_bytes()).unwrap());
            tensor.finish().unwrap();
        }
        let path = folder.path().join(name);
        std::fs::write(&path, writer.finish().unwrap()).unwrap();
        GgufSource::open(&path).unwrap()
    }

    #[test]
    fn every_kind_of_difference() {
        let folder = tempfile::tempdir().unwrap();
        let before = source(
            &folder,
            "a",
            &[
                ("same", &[2], &[1.0, f32::NAN]),
                ("small", &[2, 2], &[3.0, 0.0, 0.0, 4.0]),
                ("large", &[2], &[3.0, 4.0]),
                ("shape", &[2, 1], &[1.0, 2.0]),
                ("old.name", &[3], &[1.0, 2.0, 3.0]),
                ("gone", &[3], &[5.0, 2.0, 3.0]),
                ("empty", &[0], &[]),
                ("bad", &[1], &[1.0]),
            ],
        );
        let after = source(
            &folder,
            "b",
            &[
                ("same", &[2], &[1.0, f32::NAN]),
                ("small", &[2, 2], &[3.0, 0.0, 0.0, 3.0]),
                ("large", &[2], &[-3.0, -4.0]),
                ("shape", &[1, 2], &[1.0, 2.0]),
                ("new.name", &[3], &[1.0, 2.0, 3.0]),
                ("new", &[3], &[9.0, 2.0, 3.0]),
                ("empty", &[0], &[]),
                ("bad", &[1], &[f32::INFINITY]),
            ],
        );
        let options = DiffOptions { filter: &|_| true, threads: Some(2), stop: None };
        let found = tensors(&before, &after, &options, &|_| {}).unwrap();
        assert_eq!(found.same, 2);
        let names = found.differences.iter().map(|difference| match difference {
            Difference::Removed { name, .. } => format!("-{name}"),
            Difference::Added { name, .. } => format!("+{name}"),
            Difference::Renamed { before, after, .. } => format!("{before}>{after}"),
            Difference::Shape { name, .. } => format!("[]{name}"),
            Difference::Values { name, .. } => format!("~{name}"),
        });
        let names: Vec<_> = names.collect();
        let expected =
            ["old.name>new.name", "-gone", "+new", "[]shape", "~bad", "~large", "~small"];
        assert_eq!(names, expected);
        let errors = found.differences.iter().filter_map(|difference| match difference {
            Difference::Values { errors, .. } => *errors,
            _ => None,
        });
        let errors: Vec<Errors> = errors.collect();
        assert_eq!((errors[0].not_finite, errors[0].differing), (1, 1));
        assert_eq!((errors[1].relative, errors[1].cosine), (2.0, -1.0));
        let expected = Errors {
            differing: 1,
            relative: 0.2,
            greatest: 1.0,
            greatest_at: (1, 1),
            cosine: 21.0 / (5.0 * 18_f64.sqrt()),
            not_finite: 0,
        };
        assert_eq!(errors[2], expected);

        let same = tensors(&before, &before, &options, &|_| {}).unwrap();
        assert_eq!(same, Tensors { same: 8, differences: Vec::new() });
        let options = DiffOptions { filter: &|name| name == "small", ..options };
        let one = tensors(&before, &after, &options, &|_| {}).unwrap();
        assert_eq!((one.same, one.differences.len()), (0, 1));
    }
}
