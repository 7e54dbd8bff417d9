//! What the mean squares of a tensor look like.

use super::{ColumnSums, ImportanceSums};

/// Statistics over the mean squares of the columns of a tensor, as `llama-imatrix
/// --show-statistics` defines them. Matrices that no row reached are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnStatistics {
    /// Number of columns, over all matrices.
    pub columns: usize,
    /// The sum of the mean squares.
    pub total: f64,
    /// The smallest of them.
    pub least: f64,
    /// The largest.
    pub most: f64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// The share of columns above 0.00001.
    pub active: f64,
    /// The entropy of their shares of the total, in bits.
    pub entropy: f64,
    /// The share of columns that are more than one standard deviation above the mean.
    pub outstanding: f64,
    /// The cosine between the sums of squares of this tensor and those of the same tensor in the
    /// layer before; `None` without such a layer.
    pub similarity: Option<f64>,
}

/// Columns up to here count as inactive.
const INACTIVE: f64 = 1e-5;

impl ImportanceSums {
    /// Returns the statistics of every tensor that a row reached, sorted by name.
    pub fn statistics(&self) -> Vec<(&str, ColumnStatistics)> {
        let of = |(name, entry): (&'_ String, &ColumnSums)| {
            let mut statistics = ColumnStatistics::of(entry)?;
            let before = previous(name).and_then(|name| self.entries.get(&name));
            statistics.similarity = before.and_then(|it| cosine(&entry.squares, &it.squares));
            Some(statistics)
        };
        let entries = self.entries.iter();
        entries.filter_map(|entry| Some((entry.0.as_str(), of(entry)?))).collect()
    }
}

impl ColumnStatistics {
    fn of(entry: &ColumnSums) -> Option<Self> {
        let run = entry.squares.len() / entry.rows.len().max(1);
        let reached = entry.squares.chunks(run.max(1)).zip(&entry.rows);
        let means: Vec<f64> = reached
            .filter(|(_, rows)| **rows > 0)
            .flat_map(|(squares, rows)| squares.iter().map(|square| square / *rows as f64))
            .collect();
        if means.is_empty() {
            return None;
        }
        let count = means.len() as f64;
        let total: f64 = means.iter().sum();
        let mean = total / count;
        let variance = means.iter().map(|value| value * value).sum::<f64>() / count - mean * mean;
        let deviation = variance.max(0.0).sqrt();
        let share = |of: &dyn Fn(f64) -> bool| {
            means.iter().filter(|value| of(**value)).count() as f64 / count
        };
        let shares = means.iter().map(|value| value / total).filter(|share| *share > 0.0);
        Some(Self {
            columns: means.len(),
            total,
            least: means.iter().copied().fold(f64::INFINITY, f64::min),
            most: means.iter().copied().fold(0.0, f64::max),
            mean,
            deviation,
            active: share(&|value| value > INACTIVE),
            entropy: -shares.map(|share| share * share.log2()).sum::<f64>(),
            outstanding: share(&|value| deviation > 0.0 && (value - mean) / deviation > 1.0),
            similarity: None,
        })
    }
}

/// Returns the name of the same tensor in the layer before.
fn previous(name: &str) -> Option<String> {
    let rest = name.strip_prefix("blk.")?;
    let (number, rest) = rest.split_once('.')?;
    let before = number.parse::<u64>().ok()?.checked_sub(1)?;
    Some(format!("blk.{before}.{rest}"))
}

fn cosine(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let lengths = (product(a, a) * product(b, b)).sqrt();
    (lengths > 0.0).then(|| product(a, b) / lengths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut sums = ImportanceSums::default();
        let mut insert = |name: &str, squares: &[f64], rows: &[u64]| {
            let entry = ColumnSums { squares: squares.to_vec(), sums: None, rows: rows.to_vec() };
            sums.entries.insert(name.to_owned(), entry);
        };
        insert("blk.0.ffn_up.weight", &[2.0, 0.0, 2.0, 12.0], &[2]);
        insert("blk.1.ffn_up.weight", &[4.0, 0.0, 4.0, 24.0], &[1]);
        insert("blk.1.ffn_up_exps.weight", &[1.0, 3.0, 9.0, 9.0], &[1, 0]);
        insert("blk.1.never.weight", &[0.0], &[0]);
        let found = sums.statistics();
        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            ["blk.0.ffn_up.weight", "blk.1.ffn_up.weight", "blk.1.ffn_up_exps.weight"]
        );
        let first = found[0].1;
        assert_eq!((first.columns, first.total, first.mean), (4, 8.0, 2.0));
        assert_eq!((first.least, first.most, first.active), (0.0, 6.0, 0.75));
        assert!((first.deviation - (38.0_f64 / 4.0 - 4.0).sqrt()).abs() < 1e-12);
        let entropy = 2.0 * (1.0 / 8.0) * 3.0 + 0.75 * (4.0_f64 / 3.0).log2();
        assert!((first.entropy - entropy).abs() < 1e-12);
        assert_eq!((first.outstanding, first.similarity), (0.25, None));
        assert!((found[1].1.similarity.unwrap() - 1.0).abs() < 1e-12);
        assert_eq!((found[2].1.columns, found[2].1.mean), (2, 2.0));
    }
}
