//! Prefixes that wrappers add to tensor names. `torch.compile`, data-parallel training and PEFT add
//! them when the wrapper is saved instead of the model inside it.

use std::collections::HashMap;

use super::Problem;
use super::stored::StoredTensor;

/// The place of a module in a name.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Anywhere, because no model has a module of this name.
    Anywhere,
    /// At the start of every tensor name, because models may have modules of this name.
    BeforeAll,
}

/// The modules that wrappers add: module, place and wrapper.
const WRAPPERS: &[(&str, Place, &str)] = &[
    ("_orig_mod.", Place::Anywhere, "torch.compile"),
    ("_fsdp_wrapped_module.", Place::Anywhere, "FSDP"),
    ("_checkpoint_wrapped_module.", Place::Anywhere, "activation checkpointing"),
    ("_forward_module.", Place::Anywhere, "Lightning"),
    ("module.", Place::BeforeAll, "data-parallel training"),
    ("base_model.model.", Place::BeforeAll, "PEFT"),
];

/// Parts of the names of weights that PEFT stores next to the model's.
const ADAPTER_PARTS: &[&str] = &[
    ".base_layer.",
    ".hada_w1_a.",
    ".ia3_l.",
    ".lokr_w1.",
    ".lora_A.",
    ".lora_B.",
    ".lora_embedding_A.",
    ".lora_embedding_B.",
    ".lora_magnitude_vector.",
    ".modules_to_save.",
    ".oft_r.",
    ".original_module.",
    ".vera_lambda_b.",
];

/// A part of the names of adapters that belong to the model (Granite Switch).
const OWN_ADAPTERS: &str = ".lora_A_slices.";

/// Strips the modules that wrappers added from the names. Adds a warning for each.
///
/// # Errors
/// If an adapter is not merged, or if two tensors end up with the same name. The error comes with
/// the index of the tensor.
pub(super) fn strip(
    tensors: &mut [StoredTensor],
    warnings: &mut Vec<String>,
) -> Result<(), (usize, Problem)> {
    let of_adapter = |name: &str| {
        let name = format!(".{name}.");
        ADAPTER_PARTS.iter().any(|part| name.contains(part))
    };
    // Some models have adapters of their own, whose names PEFT does not use.
    let own = tensors.iter().any(|tensor| tensor.name.contains(OWN_ADAPTERS));
    let adapter = tensors.iter().position(|tensor| of_adapter(&tensor.name));
    if let Some(index) = adapter.filter(|_| !own) {
        return Err((index, Problem::Unmerged));
    }
    let mut names: Vec<String> = tensors.iter().map(|tensor| tensor.name.clone()).collect();
    // Wrappers nest in any order.
    while WRAPPERS.iter().any(|wrapper| unwrap(&mut names, *wrapper, warnings))
        || unwrap_model(&mut names, warnings)
    {}
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(other) = owners.insert(name, index)
            && tensors[index].name != *name
        {
            return Err((index, Problem::SameTarget { other: tensors[other].name.clone() }));
        }
    }
    for (tensor, name) in tensors.iter_mut().zip(names) {
        tensor.name = name;
    }
    Ok(())
}

/// Strips a module that a wrapper added. Returns whether there was one.
fn unwrap(
    names: &mut [String],
    (module, place, by): (&str, Place, &str),
    warnings: &mut Vec<String>,
) -> bool {
    let without = |name: &str| match place {
        Place::Anywhere => {
            let kept = name.replace(&format!(".{module}"), ".");
            kept.strip_prefix(module).map(str::to_owned).unwrap_or(kept)
        }
        Place::BeforeAll => name.strip_prefix(module).unwrap_or(name).to_owned(),
    };
    let new: Vec<String> = names.iter().map(|name| without(name)).collect();
    let changed = names.iter().zip(&new).filter(|(old, new)| old != new).count();
    let needed = if place == Place::BeforeAll { names.len() } else { 1 };
    if changed < needed.max(1) {
        return false;
    }
    let all = if changed == names.len() { "all tensors" } else { "some tensors" };
    warnings.push(format!("the names of {all} contain {module:?}, added by {by}: it is dropped"));
    names.clone_from_slice(&new);
    true
}

/// Strips the second `model.` of a module around the whole model, where names begin with
/// `model.model.layers` and `model.lm_head`.
fn unwrap_model(names: &mut [String], warnings: &mut Vec<String>) -> bool {
    let inner = |name: &String| {
        let name = name.strip_prefix("model.")?;
        ["model.", "lm_head."].iter().any(|part| name.starts_with(part)).then(|| name.to_owned())
    };
    let new: Option<Vec<String>> = names.iter().map(inner).collect();
    let Some(new) = new.filter(|new| new.iter().any(|name| name.starts_with("model."))) else {
        return false;
    };
    warnings
        .push("the names of all tensors begin with \"model.\" twice: one is dropped".to_owned());
    names.clone_from_slice(&new);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_type::DataType;
    use crate::stored::Data;

    fn stripped(names: &[&str]) -> Result<(Vec<String>, usize), (usize, Problem)> {
        let tensor = |name: &&str| StoredTensor {
            name: (*name).to_owned(),
            ty: DataType::F32,
            shape: vec![1],
            file: 0,
            data: Data::Range(0),
        };
        let mut tensors: Vec<StoredTensor> = names.iter().map(tensor).collect();
        let mut warnings = Vec::new();
        strip(&mut tensors, &mut warnings)?;
        Ok((tensors.into_iter().map(|tensor| tensor.name).collect(), warnings.len()))
    }

    #[test]
    fn modules_of_wrappers_are_left_out() {
        let plain = ["model.norm.weight", "lm_head.weight"];
        for (names, warnings) in [
            (plain, 0),
            (["_orig_mod.model.norm.weight", "_orig_mod.lm_head.weight"], 1),
            (["model._orig_mod.norm.weight", "lm_head.weight"], 1),
            (["model.norm._fsdp_wrapped_module.weight", "_fsdp_wrapped_module.lm_head.weight"], 1),
            (["module.model.norm.weight", "module.lm_head.weight"], 1),
            (["module.module.model.norm.weight", "module.module.lm_head.weight"], 2),
            (["base_model.model.model.norm.weight", "base_model.model.lm_head.weight"], 1),
            (["module._orig_mod.model.norm.weight", "module._orig_mod.lm_head.weight"], 2),
            (["_orig_mod.module.model.norm.weight", "_orig_mod.module.lm_head.weight"], 2),
            (["model.model.norm.weight", "model.lm_head.weight"], 1),
        ] {
            let found = stripped(&names).map_err(|(_, problem)| problem.to_string());
            assert_eq!(found, Ok((plain.map(str::to_owned).to_vec(), warnings)), "{names:?}");
        }
    }

    #[test]
    fn names_of_models_are_kept() {
        for names in [
            ["module.norm.weight", "lm_head.weight"],
            ["language_model.model.norm.weight", "language_model.lm_head.weight"],
            ["model.language_model.norm.weight", "model.model.norm.weight"],
            ["model.norm.weight", "model.lm_head.weight"],
            ["a_orig_mod.norm.weight", "submodule.norm.weight"],
            ["base_model.norm.weight", "base_model.model.norm.weight"],
        ] {
            assert_eq!(stripped(&names).unwrap(), (names.map(str::to_owned).to_vec(), 0));
        }
    }

    #[test]
    fn adapters_that_are_not_merged_are_refused() {
        for name in [
            "model.layers.0.self_attn.q_proj.lora_A.default.weight",
            "model.layers.0.self_attn.q_proj.lora_B.weight",
            "model.layers.0.self_attn.q_proj.base_layer.weight",
            "base_model.model.lm_head.modules_to_save.default.weight",
            "lm_head.original_module.weight",
        ] {
            let (index, problem) = stripped(&["model.norm.weight", name]).unwrap_err();
            assert!(index == 1 && problem.to_string().contains("merge_and_unload"), "{problem}");
        }
        let (index, problem) = stripped(&["a.weight", "_orig_mod.a.weight"]).unwrap_err();
        assert!(index == 1 && problem.to_string().contains("\"a.weight\""), "{problem}");
    }
}
