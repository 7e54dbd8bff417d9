//! GPTQ: codes in words along the columns, transposed; a scale and a zero point for each group of
//! columns and each row. A column's group is listed, or follows from its number.

use super::codes::{Codes, Spread};
use super::grouped::{Factors, Grouped, Groups, Zeros};
use super::{Fault, Joiner, fault, rows, summary};
use crate::data_type::DataType;
use crate::stored::StoredTensor;
use crate::{Problem, QuantizedProblem};

/// The numbers of bits that GPTQ packs.
const BITS: [u32; 4] = [2, 3, 4, 8];

/// Joins the tensors of a weight. `None` if the codes are not packed like this.
pub(super) fn join(
    joiner: &mut Joiner<'_>,
    codes: &StoredTensor,
    base: &str,
) -> Result<Option<StoredTensor>, Fault> {
    let named = |end: &str| format!("{base}.{end}");
    let listed = joiner.get(&named("g_idx")).is_some();
    let rows = codes.shape.get(1).copied().unwrap_or_default();
    let by_shape = joiner.get(&named("scales")).is_some_and(|scales| {
        scales.shape.len() == 2 && scales.shape[1] == rows && scales.shape[0] < codes.shape[0]
    });
    if codes.ty != DataType::I32 || !(listed || by_shape) {
        return Ok(None);
    }
    let how = match (joiner.entry, joiner.method()) {
        (Some(entry), Some("gptq")) => entry.gptq().map_err(|p| joiner.of_entry(p, codes))?,
        (_, Some(said)) => {
            let problem = QuantizedProblem::OtherMethod { found: "gptq", said: said.to_owned() };
            return Err(fault(codes, problem));
        }
        (_, None) => return Err(fault(codes, UNSAID)),
    };
    let scales = joiner.partner(codes, named("scales"))?;
    let zeros = joiner.partner(codes, named("qzeros"))?;
    let index = joiner.take(&named("g_idx"));
    let names: Vec<_> =
        [Some(codes), Some(&scales), Some(&zeros), index.as_ref()].into_iter().flatten().collect();
    let problem = |bits| fault(codes, Problem::Packed { tensors: summary(&names), bits });

    let words = codes.shape.first().copied().unwrap_or_default();
    let groups = scales.shape.first().copied().unwrap_or_default();
    let columns = index.as_ref().map(StoredTensor::values);
    // The number of words times 32 equals the number of columns times the bits per code.
    let by_columns = columns.and_then(|columns| words.saturating_mul(32).checked_div(columns));
    let bits = how.bits.or(by_columns.and_then(|bits| u32::try_from(bits).ok()));
    let Some(bits) = bits.filter(|bits| BITS.contains(bits)) else {
        let method = "gptq with a number of bits other than 2, 3, 4 and 8";
        return Err(joiner.unread(codes, method));
    };
    let columns = columns.unwrap_or(words.saturating_mul(32) / u64::from(bits));
    let of = |words: &StoredTensor, rows, packed| {
        let words = words.clone();
        Codes { words, bits, spread: Spread::Dense, rows, packed }
    };
    let scales = Factors { tensor: scales.clone(), by_group: true, groups };
    let (zeros, packed) = (of(&zeros, 1, 1), of(codes, 1, 0));
    let whole = |count: u64| count.saturating_mul(u64::from(bits)).is_multiple_of(32);
    let fits = packed.fits(rows, columns)
        && zeros.fits(rows, groups)
        && scales.tensor.shape == [groups, rows]
        && whole(rows)
        && whole(columns)
        && groups > 0;
    if !fits {
        return Err(problem(bits));
    }
    let groups = match &index {
        None if columns.is_multiple_of(groups) => Groups::Of(columns / groups),
        None => return Err(problem(bits)),
        Some(index) => Groups::Listed(listed_groups(joiner, index, columns, groups)?),
    };
    joiner.check_scales(&scales.tensor)?;
    let zeros = Zeros::Codes(zeros, how.raise);
    let weight = Grouped { codes: packed, rows, columns, groups, scales, zeros, rounding: None };
    rows::tensor(named("weight"), codes, weight).map(Some).map_err(|problem| fault(codes, problem))
}

/// Reads the group of each column.
pub(super) fn listed_groups(
    joiner: &Joiner<'_>,
    index: &StoredTensor,
    columns: u64,
    groups: u64,
) -> Result<Vec<u32>, Fault> {
    if index.ty != DataType::I32 || index.shape != [columns] {
        let tensors = summary(&[index]);
        return Err(fault(index, QuantizedProblem::GroupList { tensors, columns }));
    }
    let mut bytes = vec![0; index.bytes() as usize];
    index.read(joiner.files, 0, &mut bytes)?;
    let numbers = bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes));
    let group = |(column, number): (usize, i32)| {
        let group = u32::try_from(number).ok().filter(|group| u64::from(*group) < groups);
        let problem = QuantizedProblem::Group { column: column as u64, found: number, groups };
        group.ok_or_else(|| fault(index, problem))
    };
    numbers.enumerate().map(group).collect()
}

const UNSAID: Problem = Problem::QuantizationUnsaid {
    method: "gptq",
    lacks: "how to read its zero points: config.json needs a quantization_config with \
            \"quant_method\", \"bits\" and \"checkpoint_format\", or the folder the model's \
            quantize_config.json",
};
