//! Detection of options without effect.

use granule_encode::Importance;
use granule_format::BlockType;

use super::PlanError;
use super::prune::Prune;
use crate::recipe::Recipe;

/// The options that name a type for one kind of tensor.
pub(super) const TOKEN_EMBEDDING_TYPE: &str = "--token-embedding-type";
pub(super) const OUTPUT_TENSOR_TYPE: &str = "--output-tensor-type";

/// A pattern of `--tensor-type`, and the tensors it matched.
pub(super) struct Pattern<'r> {
    pub(super) text: &'r str,
    pub(super) regex: regex::Regex,
    pub(super) ty: BlockType,
    /// Whether it matches the name of a tensor.
    pub(super) found: bool,
    /// Whether it matches the name of a tensor that can be converted.
    pub(super) convertible: bool,
    /// Whether it set the type of a tensor.
    pub(super) used: bool,
}

/// The options that choose types, with whether they had an effect.
pub(super) struct Used<'u> {
    pub(super) patterns: &'u [Pattern<'u>],
    pub(super) output_type: bool,
    pub(super) embedding_type: bool,
}

impl Used<'_> {
    /// Returns the options that had no effect.
    pub(super) fn without_effect(&self, recipe: &Recipe, tied: bool) -> Vec<PlanError> {
        let in_general = match recipe.file_type.default_type() {
            None => Some("COPY converts nothing"),
            Some(default) if !default.is_quantized() => {
                Some("F32, F16 and BF16 files cannot have other types for single tensors")
            }
            Some(_) => None,
        };
        let mut list = Vec::new();
        for pattern in self.patterns {
            if !pattern.found {
                list.push(PlanError::Unmatched { pattern: pattern.text.to_owned() });
            } else if !pattern.used {
                let why = in_general.unwrap_or(if pattern.convertible {
                    "another option takes precedence for every tensor that it matches"
                } else {
                    "the tensors that it matches are never converted"
                });
                let option = format!("--tensor-type {}={}", pattern.text, pattern.ty);
                list.push(PlanError::NoEffect { option, why });
            }
        }
        let single = |ty: Option<BlockType>, used: bool, option: &str, why: &'static str| {
            let option = format!("{option} {}", ty.filter(|_| !used)?);
            Some(PlanError::NoEffect { option, why: in_general.unwrap_or(why) })
        };
        let why = if recipe.leave_output_tensor && !tied {
            "--leave-output-tensor keeps the output matrix"
        } else if recipe.pure && tied {
            "the token embedding serves as the output matrix, and --pure sets its type"
        } else {
            "no tensor serves as the output matrix, or another option sets its type"
        };
        let (ty, used) = (recipe.output_tensor_type, self.output_type);
        list.extend(single(ty, used, OUTPUT_TENSOR_TYPE, why));
        let why = "there is no token embedding, or --tensor-type names it";
        let (ty, used) = (recipe.token_embedding_type, self.embedding_type);
        list.extend(single(ty, used, TOKEN_EMBEDDING_TYPE, why));
        list
    }
}

/// Returns errors for the layers to be dropped that the model does not have.
pub(super) fn absent_layers<'r>(
    recipe: &'r Recipe,
    prune: Option<&'r Prune>,
) -> impl Iterator<Item = PlanError> + 'r {
    prune.into_iter().flat_map(|prune| prune.absent(&recipe.prune_layers)).map(|layer| {
        let option = format!("--prune-layers {layer}");
        PlanError::NoEffect { option, why: "the model has no layer with this number" }
    })
}

/// Returns errors for importance filters that match nothing, or that have no importance matrix to
/// filter.
pub(super) fn idle_filters<'r>(
    recipe: &'r Recipe,
    importance: Option<&'r Importance>,
) -> impl Iterator<Item = PlanError> + 'r {
    let filters = [
        ("--include-weights", &recipe.include_weights),
        ("--exclude-weights", &recipe.exclude_weights),
    ];
    let each = filters
        .into_iter()
        .flat_map(|(option, texts)| texts.iter().map(move |text| (option, text)));
    each.filter_map(move |(option, text)| {
        let why = match importance {
            None => "there is no importance matrix (--imatrix FILE)",
            Some(matrix) if matrix.names().any(|name| name.contains(text.as_str())) => return None,
            Some(_) => "no name in the importance matrix contains it (case counts)",
        };
        Some(PlanError::NoEffect { option: format!("{option} {text:?}"), why })
    })
}
