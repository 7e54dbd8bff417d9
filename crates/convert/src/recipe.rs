//! Recipes: a file type and options, as the user requests them.

mod override_kv;

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use granule_encode::Effort;
use granule_format::nearest::{did_you_mean, nearest};
use granule_format::{BlockType, FileType};
use serde::{Deserialize, Serialize};

use crate::mixture::fallback::can_be_chosen;
use crate::text;

pub use override_kv::{MetadataOverride, OverrideValue};

/// A description of the result to make from a model: a file type, and all options that change the
/// result.
///
/// The options are those of `llama-quantize`, with the same names.
///
/// ```
/// use granule_convert::Recipe;
/// let mut recipe = Recipe::new("Q4_K_M".parse()?);
/// recipe.tensor_types.push(r"blk\.0\..*ffn_down=Q6_K".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The file type of the result.
    #[serde(with = "text")]
    pub file_type: FileType,
    /// Whether to ignore the rules of the mixture and give the default type to every tensor that
    /// can be converted.
    #[serde(default)]
    pub pure: bool,
    /// Whether to copy the output matrix unchanged.
    #[serde(default)]
    pub leave_output_tensor: bool,
    /// The type of the output matrix, or of the token embedding that serves as one.
    #[serde(default, with = "text::option")]
    pub output_tensor_type: Option<BlockType>,
    /// The type of the token embedding.
    #[serde(default, with = "text::option")]
    pub token_embedding_type: Option<BlockType>,
    /// Types for tensors whose names match a pattern; the first matching pattern wins.
    #[serde(default)]
    pub tensor_types: Vec<TensorTypeOverride>,
    /// Blocks to remove, by their numbers in the source; the others are renumbered without gaps.
    #[serde(default)]
    pub prune_layers: BTreeSet<u64>,
    /// Whether to keep the source's division into files and its order of tensors.
    #[serde(default)]
    pub keep_split: bool,
    /// Limits for the files of the result; without limits, one file is written.
    #[serde(default, skip_serializing_if = "Split::is_none")]
    pub split: Split,
    /// Metadata entries to set, in this order.
    #[serde(default)]
    pub override_kv: Vec<MetadataOverride>,
    /// Whether to convert tensors that are already quantized. This does not restore what their
    /// first quantization lost.
    #[serde(default)]
    pub allow_requantize: bool,
    /// Whether to continue when an option has no effect or the importance matrix lacks a tensor.
    #[serde(default)]
    pub allow_missing: bool,
    /// Whether to write a result that breaks rules of the validator, which programs may not load.
    #[serde(default, skip_serializing_if = "is_false")]
    pub allow_invalid: bool,
    /// Whether to reject rows that are not whole blocks of the chosen type, instead of using a
    /// fallback type.
    #[serde(default)]
    pub no_fallback: bool,
    /// How much work to spend on each block. More than [`Effort::Reference`] gives other bytes than
    /// `llama-quantize`, and closer values.
    #[serde(default, with = "text", skip_serializing_if = "is_reference")]
    pub effort: Effort,
    /// If not empty, importance is used only for names that contain one of these strings.
    #[serde(default)]
    pub include_weights: Vec<String>,
    /// Importance is not used for names that contain one of these strings.
    #[serde(default)]
    pub exclude_weights: Vec<String>,
}

impl Recipe {
    /// Returns a recipe with this file type and no options.
    pub const fn new(file_type: FileType) -> Self {
        Self {
            file_type,
            pure: false,
            leave_output_tensor: false,
            output_tensor_type: None,
            token_embedding_type: None,
            tensor_types: Vec::new(),
            prune_layers: BTreeSet::new(),
            keep_split: false,
            split: Split::NONE,
            override_kv: Vec::new(),
            allow_requantize: false,
            allow_missing: false,
            allow_invalid: false,
            no_fallback: false,
            effort: Effort::Reference,
            include_weights: Vec::new(),
            exclude_weights: Vec::new(),
        }
    }

    /// Returns whether the filters allow using importance for a tensor.
    pub fn weighs(&self, name: &str) -> bool {
        let in_one = |parts: &[String]| parts.iter().any(|part| name.contains(part.as_str()));
        (self.include_weights.is_empty() || in_one(&self.include_weights))
            && !in_one(&self.exclude_weights)
    }
}

fn is_false(is: &bool) -> bool {
    !is
}

fn is_reference(effort: &Effort) -> bool {
    *effort == Effort::Reference
}

/// Limits that start a new file of a split set: the options of `convert_hf_to_gguf.py`, with the
/// same names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Largest number of bytes of tensor data in a file, without padding. A single tensor may be
    /// larger.
    #[serde(default)]
    pub max_bytes: Option<NonZeroU64>,
    /// Largest number of tensors in a file.
    #[serde(default)]
    pub max_tensors: Option<NonZeroU64>,
    /// Whether the first file has only the metadata and no tensors.
    #[serde(default)]
    pub no_tensor_first: bool,
}

impl Split {
    /// No limits: one file.
    pub const NONE: Self = Self { max_bytes: None, max_tensors: None, no_tensor_first: false };

    /// Returns whether there are no limits.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// `PATTERN=TYPE`: a type for the tensors whose names match the regular expression anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TensorTypeOverride {
    /// A regular expression; case counts.
    pub pattern: String,
    /// The type of the tensors.
    pub ty: BlockType,
}

/// The reason why an option cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// There is no type of this name.
    #[error("{0:?} is not a tensor type{near}", near = near_types(.0))]
    UnknownType(String),
    /// Tensors cannot be converted to this type.
    #[error("tensors cannot be converted to {0}")]
    NotAChoice(BlockType),
    /// The text is not a pattern with a type.
    #[error("{0:?} is not REGEX=TYPE (for example ffn_down=Q6_K)")]
    TensorType(String),
    /// The pattern is not a regular expression.
    #[error("the pattern {pattern:?} is not a regular expression: {problem}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The reason why it is invalid.
        problem: String,
    },
    /// The text is not a metadata override.
    #[error("{text:?} is not KEY=TYPE:VALUE: {problem}")]
    Metadata {
        /// The text as given.
        text: String,
        /// The reason why it is invalid.
        problem: String,
    },
    /// The text is not a list of blocks.
    #[error("{0:?} is not a list of layer numbers such as 1,3,4")]
    Layers(String),
    /// The text is not a size.
    #[error("{0:?} is not a size such as 500M or 2G (K, M and G are powers of 1000)")]
    Size(String),
}

/// Suggests tensor types close to an unknown name, or where they are listed.
fn near_types(name: &str) -> String {
    let types = BlockType::ALL.iter().filter(|ty| can_be_chosen(**ty)).map(|ty| ty.name());
    match nearest(name, types).as_slice() {
        [] => "; `granule types` lists them".to_owned(),
        names => did_you_mean(names),
    }
}

/// Returns the type with this name, if tensors can be converted to it.
///
/// # Errors
/// If there is no such type, or it is not a type for weights.
pub fn parse_tensor_type(name: &str) -> Result<BlockType, RecipeError> {
    let ty = BlockType::from_name(name).ok_or_else(|| RecipeError::UnknownType(name.to_owned()))?;
    if can_be_chosen(ty) { Ok(ty) } else { Err(RecipeError::NotAChoice(ty)) }
}

/// Parses a list of block numbers such as `1,3,4`.
///
/// # Errors
/// If the items between the commas are not all numbers.
pub fn parse_layers(text: &str) -> Result<BTreeSet<u64>, RecipeError> {
    text.split(',')
        .map(|number| number.trim().parse())
        .collect::<Result<_, _>>()
        .map_err(|_| RecipeError::Layers(text.to_owned()))
}

/// Parses a size in bytes such as `500M`: a number greater than 0, optionally followed by K, M or G
/// for a power of 1000.
///
/// # Errors
/// If the text has another form, or the size does not fit 64 bits.
pub fn parse_size(text: &str) -> Result<NonZeroU64, RecipeError> {
    const SUFFIXES: [(char, u64); 3] = [('K', 1000), ('M', 1_000_000), ('G', 1_000_000_000)];
    let (digits, unit) = SUFFIXES
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(*suffix)?, *unit)))
        .unwrap_or((text, 1));
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse::<u64>().ok()?.checked_mul(unit))
        .and_then(NonZeroU64::new)
        .ok_or_else(|| RecipeError::Size(text.to_owned()))
}

impl FromStr for TensorTypeOverride {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        let form = || RecipeError::TensorType(text.to_owned());
        let (pattern, ty) = text.split_once('=').ok_or_else(form)?;
        if pattern.is_empty() {
            return Err(form());
        }
        let ty = parse_tensor_type(ty)?;
        let wanted = Self { pattern: pattern.to_owned(), ty };
        wanted.regex()?;
        Ok(wanted)
    }
}

impl TensorTypeOverride {
    /// Compiles the pattern.
    pub(crate) fn regex(&self) -> Result<regex::Regex, RecipeError> {
        regex::Regex::new(&self.pattern).map_err(|error| RecipeError::Pattern {
            pattern: self.pattern.clone(),
            // the last line names the problem, the lines before it show the place
            problem: error
                .to_string()
                .lines()
                .last()
                .map(|line| line.strip_prefix("error: ").unwrap_or(line).to_owned())
                .unwrap_or_default(),
        })
    }
}

impl fmt::Display for TensorTypeOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pattern, self.ty)
    }
}

/// Implements serialization in the form used on the command line.
macro_rules! saved_as_text {
    ($($name:ident),*) => {
        $(
            impl TryFrom<String> for $name {
                type Error = RecipeError;

                fn try_from(text: String) -> Result<Self, RecipeError> {
                    text.parse()
                }
            }

            impl From<$name> for String {
                fn from(value: $name) -> Self {
                    value.to_string()
                }
            }
        )*
    };
}

saved_as_text!(TensorTypeOverride, MetadataOverride);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_of_types() {
        let parsed: TensorTypeOverride = r"blk\.[0-3]\..*_V=iq4_xs".parse().unwrap();
        assert_eq!(parsed.pattern, r"blk\.[0-3]\..*_V");
        assert_eq!(parsed.ty, BlockType::IQ4_XS);
        for (text, expected) in [
            ("attn_v", RecipeError::TensorType("attn_v".into())),
            ("=q8_0", RecipeError::TensorType("=q8_0".into())),
            ("a=b=q8_0", RecipeError::UnknownType("b=q8_0".into())),
            ("a=q8_1", RecipeError::NotAChoice(BlockType::Q8_1)),
            ("a=i32", RecipeError::NotAChoice(BlockType::I32)),
        ] {
            assert_eq!(text.parse::<TensorTypeOverride>(), Err(expected));
        }
        for (text, part) in [
            ("a=q4_x", "\"q4_x\" is not a tensor type; did you mean Q4_0, Q4_1 or Q4_K?"),
            ("a=iq4", "\"iq4\" is not a tensor type; did you mean IQ4_NL or IQ4_XS?"),
            ("a=fp16", "\"fp16\" is not a tensor type; did you mean F16?"),
            ("a=best", "\"best\" is not a tensor type; `granule types` lists them"),
        ] {
            let error = text.parse::<TensorTypeOverride>().unwrap_err();
            assert_eq!(error.to_string(), part);
        }
        let error = "a(=q8_0".parse::<TensorTypeOverride>().unwrap_err();
        assert!(error.to_string().contains("unclosed group"), "{error}");
    }

    #[test]
    fn lists_of_blocks() {
        assert_eq!(parse_layers("4, 1,3,1"), Ok(BTreeSet::from([1, 3, 4])));
        for text in ["", "1,", "1.5", "1;2", "-1"] {
            assert_eq!(parse_layers(text), Err(RecipeError::Layers(text.to_owned())));
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("1", 1), ("300K", 300_000), ("2M", 2_000_000), ("7G", 7_000_000_000)]
        {
            assert_eq!(parse_size(text).map(NonZeroU64::get), Ok(bytes));
        }
        for text in ["", "K", "0", "0G", "-1", "+1", "1.5G", "1k", "1KB", "99999999999G"] {
            assert_eq!(parse_size(text), Err(RecipeError::Size(text.to_owned())));
        }
    }

    #[test]
    fn saved_and_loaded() {
        let mut recipe = Recipe::new(FileType::Q4_K_M);
        recipe.output_tensor_type = Some(BlockType::Q8_0);
        recipe.tensor_types.push("attn_v=q6_k".parse().unwrap());
        recipe.override_kv.push("a.b=float:0.1".parse().unwrap());
        recipe.prune_layers.insert(3);
        recipe.split.max_bytes = NonZeroU64::new(1000);
        let json = serde_json::to_string(&recipe).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
        let short: Recipe = serde_json::from_str(r#"{"file_type": "q4_k"}"#).unwrap();
        assert_eq!(short, Recipe::new(FileType::Q4_K_M));
    }

    #[test]
    fn filters_of_importance() {
        let mut recipe = Recipe::new(FileType::Q4_K_M);
        assert!(recipe.weighs("a"));
        recipe.include_weights = vec!["attn".into(), "ffn_up".into()];
        assert!(recipe.weighs("blk.0.attn_q.weight") && !recipe.weighs("blk.0.ffn_down.weight"));
        recipe.include_weights.clear();
        recipe.exclude_weights = vec!["ffn".into()];
        assert!(recipe.weighs("blk.0.attn_q.weight") && !recipe.weighs("blk.0.ffn_down.weight"));
    }
}
