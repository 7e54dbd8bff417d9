//! Running a model over sample texts for an importance matrix.
//!
//! [`collect`] gives the sums that `llama-imatrix` collects. [`TEXTS`] are sample texts of this
//! crate, for those who have none of their own.

use granule_encode::{ColumnSums, ImportanceSums};
use granule_infer::statistics::{self, CollectOptions, Lost, Sums};
use granule_infer::stream::Observed;
use granule_infer::{Chunks, Error, Model};

/// Sample texts: prose, code, dialogue and several languages. `text/README.md` says where they
/// come from; all may be used freely.
pub const TEXTS: &[(&str, &str)] = &[
    ("granule/prose.txt", include_str!("text/prose.txt")),
    ("granule/code.txt", include_str!("text/code.txt")),
    ("granule/dialogue.txt", include_str!("text/dialogue.txt")),
    ("granule/languages.txt", include_str!("text/languages.txt")),
];

/// What [`collect`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    /// The sums.
    pub sums: ImportanceSums,
    /// The chunks that were left, because a number was not finite.
    pub lost: Vec<Lost>,
}

impl Collected {
    /// Returns what was found in this number of chunks of texts with these names.
    pub fn of(
        found: statistics::Collected,
        datasets: Vec<String>,
        chunks: usize,
        chunk_tokens: usize,
    ) -> Self {
        let entry = |(name, sums): (&str, &Sums)| (name.to_owned(), columns(sums));
        let whole = chunks.saturating_sub(found.lost.len());
        let sums = ImportanceSums {
            datasets,
            chunks: u32::try_from(whole).unwrap_or(u32::MAX),
            chunk_tokens: u32::try_from(chunk_tokens).unwrap_or(u32::MAX),
            entries: found.statistics.tensors().map(entry).collect(),
        };
        Self { sums, lost: found.lost }
    }

    /// The tensors with experts that no token met, with the share of experts that some token met.
    pub fn unmet(&self) -> impl Iterator<Item = (&str, f64)> {
        let shares = self.sums.entries.iter().map(|(name, entry)| (name.as_str(), entry.share()));
        shares.filter(|(_, share)| *share < 1.0)
    }
}

/// Runs a model over chunks of sample texts with these names. `progress` is called with the number
/// of each layer that begins; its error ends the run.
///
/// # Errors
/// If the weights cannot be read, or `progress` returns an error.
pub fn collect(
    model: &Model<'_>,
    chunks: &Chunks,
    datasets: Vec<String>,
    options: &CollectOptions,
    progress: &mut dyn FnMut(usize) -> Observed,
) -> Result<Collected, Error> {
    let found = statistics::collect(model, chunks, options, progress)?;
    Ok(Collected::of(found, datasets, chunks.len(), chunks.chunk_tokens()))
}

fn columns(sums: &Sums) -> ColumnSums {
    ColumnSums { squares: sums.squares(), sums: Some(sums.sums()), rows: sums.rows().to_vec() }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_texts_are_those_of_their_page() {
        let page = include_str!("text/README.md");
        for (name, text) in TEXTS {
            let sum: String =
                Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
            let file = name.rsplit('/').next().unwrap();
            let row = format!("| `{file}` | {} | `{sum}` |", text.len());
            assert!(page.contains(&row), "the page lacks {row}");
        }
        let bytes: usize = TEXTS.iter().map(|(_, text)| text.len()).sum();
        assert!((180_000..230_000).contains(&bytes), "{bytes}");
    }
}
