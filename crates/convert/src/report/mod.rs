//! What a file is: a value with everything that people ask about it, and a page that shows it.
//!
//! [`Report::of`] gathers it from a file. What a conversion knows besides is added with
//! [`Report::with_plan`], [`Report::with_errors`] and [`Report::with_size`]. [`Report::to_html`]
//! writes one page that needs no network and no script; serialized, the value is JSON.

mod gather;
mod html;
mod memory;
mod picture;

use serde::Serialize;

use crate::plan::{Plan, Reason};
use crate::tune::size::Sized;
use crate::weights::TensorError;

pub use memory::{Memory, MemoryError, MemoryOptions, memory};

/// What there is to know about a model in GGUF files.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The model's name, or that of its file.
    pub title: String,
    /// The files with their sizes in bytes.
    pub files: Vec<(String, u64)>,
    /// What the metadata say about the model: a label and a value.
    pub facts: Vec<(String, String)>,
    /// The values of all tensors.
    pub weights: u64,
    /// The bytes of all tensors.
    pub data_bytes: u64,
    /// The tensors in the order of the file.
    pub tensors: Vec<TensorFacts>,
    /// Sizes of the blocks' scales, by type.
    pub scales: Vec<Scales>,
    /// The tokenizer, if there is one.
    pub tokenizer: Option<TokenizerFacts>,
    /// The memory that the model needs, for some lengths of text.
    pub memory: Vec<MemoryFacts>,
    /// Why there is no estimate of the memory.
    pub no_memory: Option<String>,
    /// What a check of the files has found.
    pub findings: Vec<FindingFacts>,
    /// Choices of types that were compared, with their divergence from the original.
    pub trials: Vec<(String, u64, f64)>,
    /// What else a conversion has to say.
    pub notes: Vec<String>,
}

/// A tensor.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TensorFacts {
    /// Its name.
    pub name: String,
    /// Its layer, if the name has a number.
    pub layer: Option<u64>,
    /// What tensors of several layers have in common: their name without the number.
    pub role: String,
    /// Its dimensions.
    pub shape: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: String,
    /// The number of its values.
    pub values: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Bits for each value; `None` if it has none, or the type is unknown.
    pub bits: Option<f64>,
    /// The relative error of its values, if an original was compared.
    pub error: Option<f64>,
    /// Why it has this type, if that is known.
    pub reason: Option<String>,
    /// The type that its rows do not fit.
    pub wanted: Option<String>,
}

/// How large the blocks of a type are: the largest value of each.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Scales {
    /// The type.
    #[serde(rename = "type")]
    pub ty: String,
    /// The power of two at which the first bin begins.
    pub first: i32,
    /// Sampled blocks in each bin, which spans a power of two.
    pub counts: Vec<u64>,
    /// Sampled blocks of zeros.
    pub zeros: u64,
}

/// A tokenizer.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct TokenizerFacts {
    /// Its kind, and what cuts texts before it.
    pub model: String,
    /// The pre-tokenizer.
    pub pre: Option<String>,
    /// The size of the vocabulary.
    pub tokens: usize,
    /// Special tokens: the key, the number and the text.
    pub special: Vec<(String, u64, String)>,
    /// The template of conversations.
    pub template: Option<String>,
}

/// Memory at a length of texts, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemoryFacts {
    /// Tokens.
    pub context: u64,
    /// The tensors.
    pub weights: u64,
    /// Keys, values and recurrent states.
    pub cache: u64,
    /// Intermediate results and logits.
    pub compute: u64,
    /// All together.
    pub total: u64,
}

/// A finding of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FindingFacts {
    /// The rule.
    pub rule: String,
    /// Whether it makes the file invalid.
    pub is_error: bool,
    /// What was found.
    pub text: String,
}

impl Report {
    /// Adds why tensors have their types, from the plan that made the file.
    #[must_use]
    pub fn with_plan(mut self, plan: &Plan) -> Self {
        let planned: std::collections::HashMap<&str, _> =
            plan.tensors().iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        for tensor in &mut self.tensors {
            if let Some(planned) = planned.get(tensor.name.as_str()) {
                tensor.reason = Some(reason(&planned.reason));
                tensor.wanted = planned.wanted.map(|ty| ty.name().to_owned());
            }
        }
        self
    }

    /// Adds the errors of the tensors against an original.
    #[must_use]
    pub fn with_errors(mut self, errors: &[TensorError]) -> Self {
        let errors: std::collections::HashMap<&str, f64> =
            errors.iter().map(|error| (error.name.as_str(), error.loss.relative())).collect();
        for tensor in &mut self.tensors {
            tensor.error = errors.get(tensor.name.as_str()).copied();
        }
        self
    }

    /// Adds how types were chosen for a size.
    #[must_use]
    pub fn with_size(mut self, sized: &Sized) -> Self {
        let trials = sized.trials.iter();
        self.trials =
            trials.map(|trial| (trial.name.clone(), trial.bytes, trial.divergence)).collect();
        self
    }

    /// Adds notes.
    #[must_use]
    pub fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// Writes the page: HTML with its own style and pictures, without a script or anything from
    /// elsewhere. All text from the file is escaped.
    pub fn to_html(&self) -> String {
        html::page(self)
    }
}

/// A reason in a few words.
fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Copied => "copied".to_owned(),
        Reason::Kept(kept) => format!("kept: {}", kept_because(kept)),
        Reason::Default => "default of the file type".to_owned(),
        Reason::Rule(text) | Reason::Edited(text) => text.clone(),
        Reason::TokenEmbeddingType => "--token-embedding-type".to_owned(),
        Reason::OutputTensorType => "--output-tensor-type".to_owned(),
        Reason::Pattern(pattern) => format!("--tensor-type {pattern}"),
    }
}

fn kept_because(kept: &crate::mixture::Kept) -> String {
    use crate::mixture::Kept;
    match kept {
        Kept::OneDimension => "one dimension".to_owned(),
        Kept::NotAWeight => "not a weight".to_owned(),
        Kept::Exception(part) => format!("{part} is never quantized"),
        Kept::Output => "--leave-output-tensor".to_owned(),
        Kept::Integers => "integers".to_owned(),
    }
}

#[cfg(test)]
mod tests;
