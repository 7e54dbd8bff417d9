//! A hyperparameter that is a count or a length is stored as a string, a boolean or a
//! floating-point number.
//!
//! **Why it is bad.** Readers ask for an integer; the reference ends the process.
//!
//! **How to fix.** Write it as U32.

use super::Check;
use crate::{Array, Value, ValueType};

/// What follows the architecture and a dot in keys whose values are integers, or arrays of integers
/// with one for each block.
const INTEGERS: &[&str] = &[
    "vocab_size",
    "context_length",
    "embedding_length",
    "embedding_length_out",
    "features_length",
    "block_count",
    "leading_dense_block_count",
    "feed_forward_length",
    "expert_feed_forward_length",
    "expert_shared_feed_forward_length",
    "expert_count",
    "expert_used_count",
    "expert_shared_count",
    "expert_group_count",
    "expert_group_used_count",
    "expert_gating_func",
    "pooling_type",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.key_length_mla",
    "attention.value_length_mla",
    "attention.q_lora_rank",
    "attention.kv_lora_rank",
    "attention.sliding_window",
    "rope.dimension_count",
    "rope.scaling.original_context_length",
    "ssm.conv_kernel",
    "ssm.inner_size",
    "ssm.state_size",
    "ssm.time_step_rank",
    "ssm.group_count",
    "wkv.head_size",
];

pub(super) const CHECK: Check = Check::Header(|view, out| {
    for name in INTEGERS {
        if let Some((key, value)) = view.hyper(name)
            && !is_integer(value)
        {
            out.value_is(view, &key, "an integer");
        }
    }
});

fn is_integer(value: &Value) -> bool {
    match value {
        Value::Array(Array::Array(_)) => false,
        Value::Array(array) => !matches!(
            array.element_type(),
            ValueType::String | ValueType::F32 | ValueType::F64 | ValueType::Bool
        ),
        other => other.as_integer().is_some(),
    }
}

#[cfg(test)]
mod tests {
    use crate::Array;
    use crate::check::testing::Forge;

    #[test]
    fn types() {
        Forge::model().key("test.block_count", 1.0_f32).gives(&["S018"]);
        Forge::model().key("test.context_length", "4096").gives(&["S018"]);
        Forge::model().key("test.context_length", 4096_u64).gives(&[]);
        let lengths = Array::I32(vec![8, 16]);
        Forge::model().key("test.feed_forward_length", lengths).gives(&[]);
    }
}
