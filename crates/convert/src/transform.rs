//! What happens to a tensor between the checkpoint and the file: a closed set, done by rows.

use crate::arch::Number;

/// How the numbers of a tensor are rearranged.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Transform {
    /// As they are.
    Keep,
    /// The rows of each head change from two halves to pairs, in which rotary embedding takes them:
    /// row `half * j + i` of a head becomes row `2 * i + j`.
    PairRows {
        /// Number of heads.
        heads: &'static Number,
    },
}

/// A transform with its numbers filled in: where each row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowOrder {
    Same,
    Pairs {
        /// Rows of a head; even.
        head: u64,
    },
}

impl RowOrder {
    /// The row of the checkpoint's tensor that becomes `row`.
    pub(crate) const fn source(self, row: u64) -> u64 {
        match self {
            Self::Same => row,
            Self::Pairs { head } => {
                let within = row % head;
                row - within + within % 2 * (head / 2) + within / 2
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_two_heads_of_six_rows() {
        let order = RowOrder::Pairs { head: 6 };
        let rows: Vec<_> = (0..12).map(|row| order.source(row)).collect();
        assert_eq!(rows, [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
    }
}
