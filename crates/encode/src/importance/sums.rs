//! Sums that importance matrices are made of: they can be added, which mean squares cannot.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use granule_format::WriteError;

use super::{Importance, ImportanceError, ImportanceFileError, dat, gguf, is_weight};

/// The sums of a model's activations, as `llama-imatrix` collects them.
///
/// ```
/// use granule_encode::{ColumnSums, ImportanceSums};
///
/// let mut sums = ImportanceSums { chunk_tokens: 512, ..Default::default() };
/// let columns = ColumnSums { squares: vec![8.0, 2.0], sums: None, rows: vec![4] };
/// sums.entries.insert("blk.0.ffn_up.weight".to_owned(), columns);
/// let other = sums.clone();
/// sums.merge(&other)?;
/// assert_eq!(sums.importance("x.gguf")?.get("blk.0.ffn_up.weight"), Some(&[2.0, 0.5][..]));
/// # Ok::<(), granule_encode::ImportanceError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportanceSums {
    /// The sample texts.
    pub datasets: Vec<String>,
    /// The number of chunks of text.
    pub chunks: u32,
    /// The number of tokens in a chunk; 0 if it is not known.
    pub chunk_tokens: u32,
    /// The sums of each tensor.
    pub entries: BTreeMap<String, ColumnSums>,
}

/// The sums over the inputs of one tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnSums {
    /// The sum of the squares in each column of each matrix, one matrix after another.
    pub squares: Vec<f64>,
    /// The sum of the values, if it is known.
    pub sums: Option<Vec<f64>>,
    /// The number of input rows: one number for all matrices, or one for each.
    pub rows: Vec<u64>,
}

impl ColumnSums {
    /// The share of matrices that met an input row.
    pub fn share(&self) -> f64 {
        let met = self.rows.iter().filter(|rows| **rows > 0).count();
        met as f64 / self.rows.len().max(1) as f64
    }
}

impl ImportanceSums {
    /// Reads a file of either form. The older one has neither sums of values nor the number of
    /// tokens in a chunk.
    ///
    /// # Errors
    /// If it cannot be read, or holds no sums.
    pub fn read(path: &Path) -> Result<Self, ImportanceFileError> {
        let bytes = granule_reader::file::read(path)
            .map_err(|source| ImportanceFileError::Io { path: path.to_owned(), source })?;
        Self::parse(&bytes)
            .map_err(|source| ImportanceFileError::Content { path: path.to_owned(), source })
    }

    /// Parses the bytes of a file of either form.
    ///
    /// # Errors
    /// If the bytes are no importance matrix.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImportanceError> {
        let sums = if bytes.starts_with(&granule_format::container::MAGIC) {
            gguf::parse_sums(bytes)?
        } else {
            dat::parse_sums(bytes)?
        };
        if sums.entries.is_empty() {
            return Err(ImportanceError::Empty);
        }
        for (name, entry) in &sums.entries {
            let fault = entry.squares.iter().position(|square| !is_weight(*square as f32));
            if let Some(index) = fault {
                return Err(ImportanceError::NotAWeight { name: name.clone(), index });
            }
        }
        Ok(sums)
    }

    /// Adds the sums of another file.
    ///
    /// # Errors
    /// If a tensor has another number of columns or matrices there; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), ImportanceError> {
        let lengths = |entry: &ColumnSums| (entry.squares.len(), entry.rows.len());
        for (name, theirs) in &other.entries {
            let Some(ours) = self.entries.get(name) else { continue };
            let [(values, rows), (other_values, other_rows)] = [ours, theirs].map(lengths);
            // one number of rows is for all matrices
            if values != other_values || (rows != other_rows && rows != 1 && other_rows != 1) {
                let name = name.clone();
                let [expected, found] = [values, other_values].map(|values| values as u64);
                return Err(ImportanceError::Merge { name, expected, found });
            }
        }
        // the older form counts chunks, not rows
        let (ours, theirs) = match (self.chunk_tokens, other.chunk_tokens) {
            (0, tokens) => (tokens.max(1), 1),
            (tokens, 0) => (1, tokens),
            _ => (1, 1),
        };
        self.entries.values_mut().for_each(|entry| entry.scale(ours));
        for (name, entry) in &other.entries {
            let mut entry = entry.clone();
            entry.scale(theirs);
            match self.entries.get_mut(name) {
                Some(ours) => ours.add(&entry),
                None => _ = self.entries.insert(name.clone(), entry),
            }
        }
        self.datasets.extend(other.datasets.iter().cloned());
        self.chunk_tokens = self.chunk_tokens.max(other.chunk_tokens);
        self.chunks = self.chunks.saturating_add(other.chunks);
        Ok(())
    }

    /// Returns the mean squares. `file` is the name that is recorded in files made with them.
    ///
    /// # Errors
    /// If a mean square is not finite.
    pub fn importance(&self, file: &str) -> Result<Importance, ImportanceError> {
        let mut importance = Importance::new(file);
        importance.set_texts(self.datasets.clone(), self.chunks, self.chunk_tokens);
        for (name, entry) in &self.entries {
            let [squares, rows] = entry.stored();
            importance.insert(name, gguf::weights(name, &squares, &rows)?)?;
        }
        Ok(importance)
    }

    /// Writes a GGUF file with the tensors of `llama-imatrix` (`.in_sum2`, `.counts`) and, where
    /// they are known, the sums of the values (`.in_sum`).
    ///
    /// # Errors
    /// If a name is not a valid tensor name, or writing fails.
    pub fn write(&self, out: impl io::Write) -> Result<(), WriteError> {
        gguf::write_sums(self, out)
    }

    /// Writes the older `.dat` form, which has neither sums of values nor counts of each expert.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write_dat(&self, out: impl io::Write) -> io::Result<()> {
        dat::write_sums(self, out)
    }
}

impl ColumnSums {
    fn add(&mut self, other: &Self) {
        let add = |ours: &mut [f64], theirs: &[f64]| {
            ours.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours += theirs);
        };
        add(&mut self.squares, &other.squares);
        self.sums = match (self.sums.take(), &other.sums) {
            (Some(mut ours), Some(theirs)) => {
                add(&mut ours, theirs);
                Some(ours)
            }
            _ => None,
        };
        if self.rows.len() == 1 && other.rows.len() > 1 {
            self.rows = vec![self.rows[0]; other.rows.len()];
        }
        let more = |index: usize| other.rows.get(index).or(other.rows.first()).copied();
        for (index, rows) in self.rows.iter_mut().enumerate() {
            *rows = rows.saturating_add(more(index).unwrap_or_default());
        }
    }

    /// As if every row had been there `times` times.
    fn scale(&mut self, times: u32) {
        let sums = self.sums.iter_mut().flatten();
        self.squares.iter_mut().chain(sums).for_each(|sum| *sum *= f64::from(times));
        self.rows.iter_mut().for_each(|rows| *rows = rows.saturating_mul(times.into()));
    }

    /// The sums of squares and the numbers of rows as they are stored.
    pub(super) fn stored(&self) -> [Vec<f32>; 2] {
        let squares = self.squares.iter().map(|square| *square as f32).collect();
        [squares, self.rows.iter().map(|rows| *rows as f32).collect()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums() -> ImportanceSums {
        let mut sums = ImportanceSums {
            datasets: vec!["a.txt".into()],
            chunks: 2,
            chunk_tokens: 512,
            ..Default::default()
        };
        let dense =
            ColumnSums { squares: vec![8.0, 2.0], sums: Some(vec![1.0, -2.0]), rows: vec![1024] };
        let experts = ColumnSums {
            squares: vec![3.0, 4.0, 0.0, 0.0],
            sums: Some(vec![0.5; 4]),
            rows: vec![600, 0],
        };
        sums.entries.insert("dense".into(), dense);
        sums.entries.insert("experts".into(), experts);
        sums
    }

    #[test]
    fn both_forms_are_read_again() {
        let sums = sums();
        let mut gguf = Vec::new();
        sums.write(&mut gguf).unwrap();
        assert_eq!(ImportanceSums::parse(&gguf).unwrap(), sums);
        assert_eq!(sums.entries["experts"].share(), 0.5);
        let direct = Importance::parse(&gguf, "x").unwrap();
        assert_eq!(direct, sums.importance("x").unwrap());
        let mut dat = Vec::new();
        sums.write_dat(&mut dat).unwrap();
        let means = Importance::parse(&dat, "x").unwrap();
        for name in ["dense", "experts"] {
            let pairs = means.get(name).unwrap().iter().zip(direct.get(name).unwrap());
            assert!(pairs.clone().all(|(a, b)| (a - b).abs() <= 1e-6 * b), "{name}: {pairs:?}");
        }
        let mut again = ImportanceSums::parse(&dat).unwrap();
        assert_eq!((again.chunks, again.chunk_tokens, &again.datasets), (2, 0, &sums.datasets));
        // what was stored for two chunks weighs as much as two chunks
        again.merge(&sums).unwrap();
        assert_eq!((again.chunk_tokens, &again.entries["dense"].rows), (512, &vec![2048]));
        assert_eq!(again.entries["experts"].rows, [1624, 1024]);
        assert!((again.entries["dense"].squares[0] - 16.0).abs() < 1e-5);
    }

    #[test]
    fn merging_adds() {
        let mut twice = sums();
        twice.merge(&sums()).unwrap();
        assert_eq!(twice.entries["dense"].squares, [16.0, 4.0]);
        assert_eq!(twice.entries["dense"].sums, Some(vec![2.0, -4.0]));
        assert_eq!(twice.entries["experts"].rows, [1200, 0]);
        assert_eq!((twice.chunks, twice.datasets.len()), (4, 2));
        let mut other = sums();
        other.entries.get_mut("dense").unwrap().squares.push(1.0);
        let before = twice.clone();
        let error = twice.merge(&other).unwrap_err();
        let expected = ImportanceError::Merge { name: "dense".into(), expected: 2, found: 3 };
        assert_eq!((error, twice), (expected, before));
    }
}
