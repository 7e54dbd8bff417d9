use granule_format::{BlockType, FileType};

use super::category::{EMBEDDING, LAYER_EMBEDDING, OUTPUT};

/// Rows that are not whole blocks of the type on the left get the type on the right.
const FALLBACKS: &[(BlockType, BlockType)] = {
    use BlockType::*;
    &[
        (IQ1_S, IQ4_NL),
        (IQ1_M, IQ4_NL),
        (IQ2_XXS, IQ4_NL),
        (IQ2_XS, IQ4_NL),
        (IQ2_S, IQ4_NL),
        (IQ3_XXS, IQ4_NL),
        (IQ3_S, IQ4_NL),
        (IQ4_XS, IQ4_NL),
        (Q2_0, Q4_0),
        (Q2_K, Q4_0),
        (Q3_K, Q4_0),
        (TQ1_0, Q4_0),
        (TQ2_0, Q4_0),
        (Q4_K, Q5_0),
        (Q5_K, Q5_1),
        (Q6_K, Q8_0),
    ]
};

/// Returns the type for rows of `row` values when `wanted` was chosen; `None` if there is no
/// fallback.
pub(crate) fn fit(wanted: BlockType, row: u64) -> Option<BlockType> {
    let fits = |ty: BlockType| row.is_multiple_of(ty.block_values() as u64);
    if fits(wanted) {
        return Some(wanted);
    }
    let second = FALLBACKS.iter().find(|(ty, _)| *ty == wanted).map(|(_, second)| *second);
    match second {
        Some(second) if fits(second) => Some(second),
        Some(_) => Some(BlockType::F16),
        None => (wanted.block_values() == 32).then_some(BlockType::F16),
    }
}

/// Returns the table of [`fit`], for the mixtures page.
pub(crate) fn fallbacks() -> impl Iterator<Item = (BlockType, BlockType)> {
    FALLBACKS.iter().copied()
}

/// Returns whether a tensor of this type is useless without importance weights.
pub(crate) fn needs_importance(name: &str, ty: BlockType, file_type: FileType) -> bool {
    use BlockType::{IQ1_M, IQ1_S, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_XXS, Q2_K};
    !outside_importance(name)
        && match ty {
            IQ1_S | IQ1_M | IQ2_XXS | IQ2_XS | IQ2_S | IQ3_XXS => true,
            Q2_K => file_type == FileType::Q2_K_S,
            _ => false,
        }
}

/// Returns whether the type has no encoder that works without weights.
pub(crate) const fn cannot_do_without(ty: BlockType) -> bool {
    matches!(ty, BlockType::IQ1_S | BlockType::IQ2_XXS | BlockType::IQ2_XS)
}

/// Returns whether importance matrices usually have no entry for the tensor.
pub(crate) fn outside_importance(name: &str) -> bool {
    name == OUTPUT || is_embedding(name)
}

/// Returns whether the tensor is a token embedding, of the model or of its layers.
pub(crate) fn is_embedding(name: &str) -> bool {
    name == EMBEDDING || name == LAYER_EMBEDDING
}

/// Returns whether tensors can be converted to this type. False for integers and for types that are
/// only used for activations during computation.
pub(crate) const fn can_be_chosen(ty: BlockType) -> bool {
    use BlockType::{F64, I8, I16, I32, I64, Q8_1, Q8_K};
    !matches!(ty, F64 | I8 | I16 | I32 | I64 | Q8_1 | Q8_K)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_not_whole_blocks() {
        use BlockType::*;
        for (wanted, row, expected) in [
            (Q4_K, 512, Some(Q4_K)),
            (Q4_K, 576, Some(Q5_0)),
            (Q6_K, 576, Some(Q8_0)),
            (Q6_K, 100, Some(F16)),
            (Q2_0, 96, Some(Q4_0)),
            (Q8_0, 100, Some(F16)),
            (MXFP4, 100, Some(F16)),
            (BF16, 7, Some(BF16)),
            (Q1_0, 64, None),
            (NVFP4, 32, None),
        ] {
            assert_eq!(fit(wanted, row), expected, "{wanted} {row}");
        }
    }
}
