//! MLX: words along the columns without gaps, and for each group of columns a scale and a bias to
//! add. The modes with floating-point codes have scales of 8 bits and no biases.

use super::codes::{Codes, Spread};
use super::grouped::{Factors, Grouped, Groups, Zeros};
use super::{Fault, Joiner, fault, float4, rows, summary};
use crate::Problem;
use crate::data_type::DataType;
use crate::stored::StoredTensor;

/// The numbers of bits that MLX packs.
const BITS: [u32; 6] = [2, 3, 4, 5, 6, 8];

/// Joins the tensors of a weight. `None` if there are no scales.
pub(super) fn join(
    joiner: &mut Joiner<'_>,
    codes: &StoredTensor,
    base: &str,
) -> Result<Option<StoredTensor>, Fault> {
    let named = |end: &str| format!("{base}.{end}");
    let [rows, words] = codes.shape[..] else { return Ok(None) };
    if codes.ty != DataType::U32 || joiner.get(&named("scales")).is_none() {
        return Ok(None);
    }
    let scales = joiner.partner(codes, named("scales"))?;
    let groups = scales.shape.get(1).copied().unwrap_or_default();
    let Some(biases) = joiner.take(&named("biases")) else {
        return float4::of_mlx(joiner, codes, scales).map(Some);
    };
    let (size, bits) = joiner.entry.map(|entry| entry.mlx(base)).unwrap_or_default();
    let tensors = || summary(&[codes, &scales, &biases]);
    let size = match (size, bits) {
        (Some(size), _) => size,
        (None, Some(bits)) if bits > 0 => {
            words.saturating_mul(32).checked_div(bits.saturating_mul(groups)).unwrap_or_default()
        }
        _ => return Err(fault(codes, UNSAID)),
    };
    let columns = groups.saturating_mul(size);
    let bits = words.saturating_mul(32).checked_div(columns).unwrap_or_default();
    let bits = u32::try_from(bits).ok().filter(|bits| BITS.contains(bits));
    let problem = |bits| fault(codes, Problem::Packed { tensors: tensors(), bits });
    let Some(bits) = bits else { return Err(problem(0)) };
    let codes_of = codes.clone();
    let packed = Codes { words: codes_of, bits, spread: Spread::Dense, rows: 0, packed: 1 };
    let factors = |tensor: &StoredTensor| {
        let tensor = tensor.clone();
        Factors { tensor, by_group: false, groups }
    };
    let (factors, biases) = (factors(&scales), factors(&biases));
    let shape = [rows, groups];
    let whole = columns.saturating_mul(u64::from(bits)).is_multiple_of(32);
    let fits = packed.fits(rows, columns)
        && factors.tensor.shape == shape
        && biases.tensor.shape == shape
        && factors.tensor.ty == biases.tensor.ty
        && whole;
    if !fits {
        return Err(problem(bits));
    }
    joiner.check_scales(&factors.tensor)?;
    joiner.check_scales(&biases.tensor)?;
    let weight = Grouped {
        codes: packed,
        rows,
        columns,
        groups: Groups::Of(size),
        rounding: joiner.rounding(factors.tensor.ty),
        scales: factors,
        zeros: Zeros::Added(biases),
    };
    rows::tensor(named("weight"), codes, weight).map(Some).map_err(|problem| fault(codes, problem))
}

const UNSAID: Problem = Problem::QuantizationUnsaid {
    method: "MLX",
    lacks: "how many columns share a scale: config.json needs a \"quantization\" with \
            \"group_size\" and \"bits\"",
};
