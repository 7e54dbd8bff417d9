//! What the tensors of an adapter are, by their names.

use crate::weights::Weights;
use crate::{AdapterProblem, Error};

/// Modules that PEFT puts around the base model.
const AROUND: &str = "base_model.model.";

/// The name that PEFT gives an adapter unless told otherwise. Some programs save it.
const DEFAULT: &str = ".default";

/// What a tensor of an adapter is for a module of the base model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    A,
    B,
    EmbeddingA,
    EmbeddingB,
    Bias,
    Magnitude,
}

/// The ends of names.
const ROLES: &[(&str, Role)] = &[
    (".lora_A.weight", Role::A),
    (".lora_B.weight", Role::B),
    (".lora_embedding_A", Role::EmbeddingA),
    (".lora_embedding_B", Role::EmbeddingB),
    (".lora_B.bias", Role::Bias),
    (".lora_magnitude_vector", Role::Magnitude),
    (".lora_magnitude_vector.weight", Role::Magnitude),
];

/// Parts of the names of tensors that replace one of the base model.
const WHOLE: &[&str] = &[".base_layer.", ".modules_to_save."];

/// Parts of the names of tensors that cannot be merged.
const UNKNOWN: &[&str] = &[".lora_", ".token_adapter.", ".hada_", ".lokr_", ".vera_", ".oft_"];

/// A part of an adapter: what changes one tensor of the base model. `T` is a tensor of the adapter.
#[derive(Clone, Debug)]
pub(super) enum Part<T> {
    /// A tensor that replaces one of the base model, by its name there.
    Whole { with: T, name: String },
    /// A vector to add to the bias of a module, and the matrix that has the rank.
    Bias { with: T, module: String, a: T },
    /// The product of two matrices.
    Pair(Pair<T>),
}

/// Two matrices, whose product is the difference to that of a module.
#[derive(Clone, Debug)]
pub(super) struct Pair<T> {
    /// The module of the base model.
    pub(super) module: String,
    /// The matrix that is applied first.
    pub(super) a: T,
    /// The other one.
    pub(super) b: T,
    /// The lengths of the results' columns (DoRA), if the adapter trains them.
    pub(super) magnitude: Option<T>,
    /// Whether it is an embedding.
    pub(super) embeds: bool,
}

impl<T> Part<T> {
    /// Returns the same with other tensors.
    pub(super) fn map<U>(self, to: impl Fn(T) -> U) -> Part<U> {
        match self {
            Self::Whole { with, name } => Part::Whole { with: to(with), name },
            Self::Bias { with, module, a } => Part::Bias { with: to(with), module, a: to(a) },
            Self::Pair(Pair { module, a, b, magnitude, embeds }) => {
                let (a, b, magnitude) = (to(a), to(b), magnitude.map(to));
                Part::Pair(Pair { module, a, b, magnitude, embeds })
            }
        }
    }

    /// Returns the tensors.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &T> {
        let (first, more) = match self {
            Self::Whole { with, .. } | Self::Bias { with, .. } => (with, [None, None]),
            Self::Pair(pair) => (&pair.a, [Some(&pair.b), pair.magnitude.as_ref()]),
        };
        std::iter::once(first).chain(more.into_iter().flatten())
    }

    /// Returns the tensor to name in errors.
    pub(super) fn first(&self) -> &T {
        match self {
            Self::Whole { with, .. } | Self::Bias { with, .. } => with,
            Self::Pair(pair) => &pair.b,
        }
    }

    /// Returns the name of the base model's tensor.
    pub(super) fn base_name(&self) -> String {
        match self {
            Self::Whole { name, .. } => name.clone(),
            Self::Bias { module, .. } => format!("{module}.bias"),
            Self::Pair(pair) => format!("{}.weight", pair.module),
        }
    }
}

/// What has been found for a module.
#[derive(Debug, Default)]
struct Module {
    name: String,
    a: Option<usize>,
    b: Option<usize>,
    bias: Option<usize>,
    magnitude: Option<usize>,
    embeds: bool,
}

/// Sorts the tensors of an adapter by what they are. Tensors that replace those of the base model
/// come first.
///
/// # Errors
/// If a tensor is neither, or if one of two matrices is missing.
pub(super) fn sort(weights: &Weights) -> Result<Vec<Part<usize>>, Error> {
    let fail = |index: usize, problem: AdapterProblem| {
        let tensor = &weights.tensors()[index];
        Error::of_tensor(weights.path(tensor), &tensor.name, problem.into())
    };
    let mut parts = Vec::new();
    let mut modules: Vec<Module> = Vec::new();
    for (index, tensor) in weights.tensors().iter().enumerate() {
        let name = plain(&tensor.name);
        let of = |(end, role): &(&str, Role)| Some((name.strip_suffix(end)?.to_owned(), *role));
        let Some((module, role)) = ROLES.iter().find_map(of) else {
            if UNKNOWN.iter().any(|part| name.contains(part)) {
                return Err(fail(index, AdapterProblem::Unknown));
            }
            let plain = |name: String, part: &&str| name.replace(part, ".");
            parts.push(Part::Whole { with: index, name: WHOLE.iter().fold(name, plain) });
            continue;
        };
        let place = modules.iter().rposition(|found| found.name == module);
        let place = place.unwrap_or_else(|| {
            modules.push(Module { name: module, ..Module::default() });
            modules.len() - 1
        });
        let module = &mut modules[place];
        module.embeds |= matches!(role, Role::EmbeddingA | Role::EmbeddingB);
        let slot = match role {
            Role::A | Role::EmbeddingA => &mut module.a,
            Role::B | Role::EmbeddingB => &mut module.b,
            Role::Bias => &mut module.bias,
            Role::Magnitude => &mut module.magnitude,
        };
        if slot.replace(index).is_some() {
            return Err(fail(index, AdapterProblem::Twice));
        }
    }
    for Module { name, a, b, bias, magnitude, embeds } in modules {
        let any = a.or(b).or(bias).or(magnitude).unwrap_or_default();
        let (a, b) = a.zip(b).ok_or_else(|| fail(any, AdapterProblem::HalfPair))?;
        parts.extend(bias.map(|with| Part::Bias { with, module: name.clone(), a }));
        parts.push(Part::Pair(Pair { module: name, a, b, magnitude, embeds }));
    }
    Ok(parts)
}

/// Returns the name without what PEFT adds around modules.
fn plain(name: &str) -> String {
    let name = name.strip_prefix(AROUND).unwrap_or(name);
    match name.split_once(".lora_") {
        Some((module, rest)) => format!("{module}.lora_{}", rest.replacen(DEFAULT, "", 1)),
        None => name.replace(".modules_to_save.default.", ".modules_to_save."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_peft_adds() {
        for (name, expected) in [
            ("base_model.model.model.norm.weight", "model.norm.weight"),
            ("base_model.model.a.q_proj.lora_A.weight", "a.q_proj.lora_A.weight"),
            ("base_model.model.a.q_proj.lora_A.default.weight", "a.q_proj.lora_A.weight"),
            ("a.embed.lora_embedding_B.default", "a.embed.lora_embedding_B"),
            ("lm_head.modules_to_save.default.weight", "lm_head.modules_to_save.weight"),
        ] {
            assert_eq!(plain(name), expected);
        }
    }
}
