//! `general.file_type` contradicts the tensors. Either it names an unquantized type and there are
//! quantized tensors. Or it names a quantized type, and no tensor that it applies to has this type:
//! none with two or more dimensions and rows of whole blocks that no mixture gives more bits to.
//!
//! **Why it is bad.** Programs show a wrong name for the file.
//!
//! **How to fix.** Write the number of the mixture, or omit the key.

use super::Check;
use crate::file_type::FileType;
use crate::{BlockType, TensorInfo, Value};

pub(super) const CHECK: Check = Check::Table(|view, out| {
    let key = "general.file_type";
    let Some(Value::U32(number)) = view.get(key) else { return };
    let Some(ty) = FileType::from_number(*number).and_then(mostly) else { return };
    // other shards may have what this one lacks
    if view.is_shard() {
        return;
    }
    let is_wrong = if ty.is_quantized() {
        let is_candidate = |tensor: &TensorInfo| {
            !RAISED.iter().any(|part| tensor.name.contains(part))
                && tensor.shape.dimensions().len() > 1
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

/// Parts of names of tensors that one mixture or another gives more bits to.
const RAISED: &[&str] =
    &["attn_v", "attn_qkv", "attn_output", "ffn_down", "output.weight", "token_embd"];

/// The type that most tensors have; `None` for mixtures that keep it for some tensors (experts) or
/// mix several types evenly.
fn mostly(file_type: FileType) -> Option<BlockType> {
    use BlockType as T;
    file_type.default_type().filter(|ty| {
        let is_even = matches!(
            ty,
            T::IQ1_S | T::IQ1_M | T::IQ2_XXS | T::IQ2_XS | T::IQ2_S | T::IQ3_XXS | T::IQ3_S
        );
        !is_even && !matches!(ty, T::MXFP4 | T::NVFP4)
    })
}

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
        // narrow rows elsewhere leave only the tensors that Q2_K raises
        let raised = |name| {
            Forge::model()
                .key("general.quantization_version", 2_u32)
                .key("general.file_type", 10_u32)
                .tensor(name, &[256, 2], BlockType::Q3_K)
        };
        raised("blk.0.ffn_down.weight").gives(&[]);
        raised("blk.0.ffn_up.weight").gives(&["S006"]);
        Forge::model().key("general.file_type", 15_u32).gives(&[]);
    }
}
