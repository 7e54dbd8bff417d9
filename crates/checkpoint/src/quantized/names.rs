//! Names of the tensors that make up quantized weights.

use crate::data_type::DataType;
use crate::stored::StoredTensor;

/// Endings of the names of scales, and the matching endings of the names of their numbers.
pub(super) const SCALES: &[(&str, &str)] = &[
    ("_scale_inv", ""),
    (".qscale_weight", ".weight"),
    (".weight_scale", ".weight"),
    (".scale", ".weight"),
    ("_scale", ""),
];

/// Returns those that the reference joins with numbers of any type, by method.
pub(super) fn scales_of(method: Option<&str>) -> &'static [(&'static str, &'static str)] {
    match method {
        Some("fp8") => &SCALES[..2],
        Some("modelopt" | "bitnet" | "compressed-tensors") => &SCALES[2..3],
        _ => &[],
    }
}

/// Numbers for quantizing activations and caches, which GGUF cannot store: the endings of their
/// names.
const UNUSED: &[&str] = &[
    ".act_scale",
    ".activation_scale",
    ".input_global_scale",
    ".input_scale",
    ".input_scale_ub",
    ".input_zero_point",
    ".k_cache_scale",
    ".k_scale",
    ".k_zero_point",
    ".kv_cache_scale",
    ".kv_cache_scaling_factor",
    ".kv_scale",
    ".output_global_scale",
    ".output_scale",
    ".output_zero_point",
    ".prob_output_scale",
    ".prob_scale",
    ".q_scale",
    ".q_zero_point",
    ".qscale_act",
    ".v_cache_scale",
    ".v_scale",
    ".v_zero_point",
    "_activation_scale",
    "_input_scale",
];

/// Returns whether a tensor only serves programs that also quantize activations or caches. In a
/// checkpoint that is not `quantized`, only single numbers count, because models may have vectors
/// of such names.
pub(super) fn is_unused(tensor: &StoredTensor, quantized: bool) -> bool {
    let single = || tensor.shape.iter().all(|length| *length == 1);
    UNUSED.iter().any(|end| tensor.name.ends_with(end)) && (quantized || single())
}

/// Parts of quantized weights of unsupported methods: the ending of the name, the kind of part and
/// the method. For names that models may also use, only integers count.
const UNREAD: &[(&str, Part, &str)] = &[
    (".SCB", Part::Any, "bitsandbytes (8 bits)"),
    (".absmax", Part::Any, "bitsandbytes"),
    (".quant_map", Part::Any, "bitsandbytes"),
    (".nested_absmax", Part::Any, "bitsandbytes"),
    (".nested_quant_map", Part::Any, "bitsandbytes"),
    (".quant_state.bitsandbytes__nf4", Part::Any, "bitsandbytes (NF4)"),
    (".quant_state.bitsandbytes__fp4", Part::Any, "bitsandbytes (FP4)"),
    (".qweight", Part::Codes, "gptq or awq"),
    (".qzeros", Part::Codes, "gptq or awq"),
    (".W_q", Part::Codes, "hqq"),
    (".q_weight", Part::Codes, "exl2"),
    (".trellis", Part::Codes, "exl3"),
    (".Qidxs", Part::Codes, "quip"),
    (".codes", Part::Codes, "aqlm"),
    (".indices", Part::Codes, "vptq"),
    (".weight._data", Part::Any, "quanto"),
    (".weight_qdata", Part::Any, "torchao"),
    (".weight_scales", Part::Any, "eetq"),
    (".weight_packed", Part::Any, "compressed-tensors"),
    (".weight_global_scale", Part::Any, "compressed-tensors"),
    (".weight_g_idx", Part::Any, "compressed-tensors"),
    (".weight_zero_point", Part::Any, "compressed-tensors"),
    (".weight_scale_2", Part::Any, "NVFP4"),
    (".pre_quant_scale", Part::Any, "a method that scales activations"),
    (".weights_scaling_factor", Part::Any, "TensorRT-LLM"),
    (".weight_scale", Part::Any, "a method with scales"),
    (".weight_scale_inv", Part::Any, "a method with scales"),
];

/// The condition for a tensor to be part of a quantized weight.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Any,
    /// It holds integers.
    Codes,
}

/// Returns the method if a tensor is part of an unsupported one.
pub(super) fn unread_method(tensor: &StoredTensor) -> Option<&'static str> {
    let of = |(end, part, _): &&(&str, Part, _)| {
        tensor.name.ends_with(end) && (*part == Part::Any || is_integer(tensor.ty))
    };
    UNREAD.iter().find(of).map(|(.., method)| *method)
}

/// Returns whether this is an 8-bit type whose numbers need a scale to become weights.
pub(super) const fn is_small(ty: DataType) -> bool {
    matches!(ty, DataType::F8E4M3 | DataType::F8E5M2 | DataType::I8)
}

/// Returns whether a tensor can only be quantization codes: a matrix of integers under the name of
/// a weight.
pub(super) fn is_codes(tensor: &StoredTensor) -> bool {
    tensor.shape.len() >= 2 && tensor.name.ends_with(".weight") && is_integer(tensor.ty)
}

/// Returns whether a tensor may be codes in a checkpoint whose quantization method is unknown here.
/// Excludes tensors that unquantized models have, such as masks and positions.
pub(super) fn may_be_codes(tensor: &StoredTensor) -> bool {
    const NONE: &[&str] = &[".bias", "_bias", "_ids", "_mask", ".mask", "_index", "_tracked"];
    is_integer(tensor.ty) && !NONE.iter().any(|end| tensor.name.ends_with(end))
}

const fn is_integer(ty: DataType) -> bool {
    use DataType::{I8, I16, I32, I64, U8, U16, U32, U64};
    matches!(ty, I8 | I16 | I32 | I64 | U8 | U16 | U32 | U64)
}
