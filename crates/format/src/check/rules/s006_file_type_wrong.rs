//! `general.file_type` contradicts the tensors: it names an unquantized type and there are quantized
//! tensors, or it names a quantized type and no tensor of two dimensions or more has it, although one could.
//!
//! **Why it is bad.** Programs show a wrong name for the file.
//!
//! **How to fix.** Write the number of the mixture, or leave the key out.

use super::Check;
use crate::{BlockType, TensorInfo, Value};

/// Mixtures and the type that most of their tensors have. Mixtures that keep their type for some
/// tensors (experts) only are not here.
const MOSTLY: &[(u32, &str)] = &[
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (12, "Q3_K"),
    (13, "Q3_K"),
    (14, "Q4_K"),
    (15, "Q4_K"),
    (16, "Q5_K"),
    (17, "Q5_K"),
    (18, "Q6_K"),
    (21, "Q2_K"),
    (25, "IQ4_NL"),
    (30, "IQ4_XS"),
    (32, "BF16"),
    (36, "TQ1_0"),
    (37, "TQ2_0"),
    (40, "Q1_0"),
    (41, "Q2_0"),
];

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let key = "general.file_type";
    let Some(Value::U32(number)) = view.get(key) else { return };
    let mostly = MOSTLY.iter().find(|row| row.0 == *number);
    let Some(ty) = mostly.and_then(|row| BlockType::from_name(row.1)) else { return };
    // other shards may have what this one lacks
    if view.is_shard() {
        return;
    }
    let is_wrong = if ty.is_quantized() {
        let is_candidate = |tensor: &TensorInfo| {
            tensor.shape.dimensions().len() > 1
                && tensor.shape.row().is_multiple_of(ty.block_values() as u64)
        };
        let mut candidates =
            view.tensors().map(|row| row.0).filter(|row| is_candidate(row)).peekable();
        candidates.peek().is_some() && candidates.all(|tensor| tensor.ty.known() != Some(ty))
    } else {
        let mut known = view.tensors().filter_map(|row| row.0.ty.known());
        known.any(BlockType::is_quantized)
    };
    if is_wrong {
        out.value_is(view, key, "the mixture of the tensors' types");
    }
});

#[cfg(test)]
mod tests {
    use crate::BlockType;
    use crate::check::testing::Forge;

    #[test]
    fn contradictions() {
        let model = |number: u32, ty| {
            Forge::model()
                .key("general.quantization_version", 2_u32)
                .key("general.file_type", number)
                .tensor("b", &[256, 2], ty)
        };
        model(0, BlockType::Q4_0).gives(&["S006"]);
        model(2, BlockType::F16).gives(&["S006"]);
        model(2, BlockType::Q4_0).gives(&[]);
        model(1, BlockType::F32).gives(&[]);
        Forge::model().key("general.file_type", 15_u32).gives(&[]);
    }
}
