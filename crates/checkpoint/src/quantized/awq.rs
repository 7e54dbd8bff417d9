//! AWQ as AutoAWQ writes it: codes of 4 bits, with a scale and a zero point for each row and group
//! of columns.
//!
//! - GEMM: transposed, words along the rows; the nibbles of a word hold its rows 0, 2, 4, 6, 1, 3,
//!   5, 7.
//! - GEMV: words along the columns, in order. Scales and zero points are padded at the end of each
//!   row.

use super::codes::{Codes, Spread};
use super::grouped::{Factors, Grouped, Groups, Zeros};
use super::{Fault, Joiner, fault, rows, summary};
use crate::Problem;
use crate::data_type::DataType;
use crate::stored::StoredTensor;

const BITS: u32 = 4;

/// Codes in a word.
const PER_WORD: u64 = 8;

/// The nibble of each row of a word in the layout for matrix products.
const GEMM: Spread = Spread::Ordered(&[0, 4, 1, 5, 2, 6, 3, 7]);

/// Joins the tensors of a weight. `None` if the codes are not packed like this.
pub(super) fn join(
    joiner: &mut Joiner<'_>,
    codes: &StoredTensor,
    base: &str,
) -> Result<Option<StoredTensor>, Fault> {
    let named = |end: &str| format!("{base}.{end}");
    if !matches!(joiner.method(), None | Some("awq" | "gptq"))
        || codes.ty != DataType::I32
        || codes.shape.len() != 2
    {
        return Ok(None);
    }
    let scales = joiner.partner(codes, named("scales"))?;
    let zeros = joiner.partner(codes, named("qzeros"))?;
    let problem =
        fault(codes, Problem::Packed { tensors: summary(&[codes, &scales, &zeros]), bits: BITS });
    let [scale_rows, scale_columns] = scales.shape[..] else { return Err(problem) };

    let gemm = codes.shape[1].saturating_mul(PER_WORD) == scale_columns;
    let by_row = codes.shape[0] == scale_rows
        && zeros.shape == [scale_rows, scale_columns / PER_WORD]
        && scale_columns.is_multiple_of(PER_WORD);
    let said = joiner.entry.and_then(|entry| entry.awq_layout());
    // A square GEMM weight with one column in a group looks like GEMV.
    let gemm = gemm && !(by_row && said == Some("gemv"));
    if !gemm && !by_row {
        return Err(problem);
    }
    let (rows, columns, groups) = if gemm {
        (scale_columns, codes.shape[0], scale_rows)
    } else {
        let columns = codes.shape[1].saturating_mul(PER_WORD);
        let size = match joiner.entry.and_then(|entry| entry.group_size()) {
            Some(-1) => columns,
            Some(size) => u64::try_from(size).unwrap_or_default(),
            None => return Err(fault(codes, UNSAID)),
        };
        let groups = columns.checked_div(size).filter(|groups| groups * size == columns);
        (codes.shape[0], columns, groups.unwrap_or_default())
    };
    let spread = if gemm { GEMM } else { Spread::Aligned };
    let of = |words: &StoredTensor| {
        let words = words.clone();
        Codes { words, bits: BITS, spread, rows: usize::from(gemm), packed: 1 }
    };
    let packed = of(codes);
    let zeros_fit = match gemm {
        true => of(&zeros).fits(rows, groups),
        false => groups <= scale_columns && matches!(zeros.ty, DataType::I32),
    };
    let divides = groups > 0 && columns.is_multiple_of(groups);
    if !packed.fits(rows, columns) || !zeros_fit || !divides {
        return Err(problem);
    }
    joiner.check_scales(&scales)?;
    let weight = Grouped {
        codes: packed,
        rows,
        columns,
        groups: Groups::Of(columns / groups),
        scales: Factors { tensor: scales, by_group: gemm, groups },
        zeros: Zeros::Codes(of(&zeros), 0),
        rounding: None,
    };
    rows::tensor(named("weight"), codes, weight).map(Some).map_err(|problem| fault(codes, problem))
}

const UNSAID: Problem = Problem::QuantizationUnsaid {
    method: "awq (gemv)",
    lacks: "how many columns share a scale: config.json needs a quantization_config with \
            \"group_size\"",
};
