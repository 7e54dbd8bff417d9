use granule_reader::format::MetadataError;

/// Why a model cannot be opened or run.
///
/// A message says what is wrong, where, and what was expected. The cause of
/// [`Read`](Self::Read) is the reader's own error.
// more can go wrong in later versions
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source cannot be read.
    #[error(transparent)]
    Read(#[from] granule_reader::Error),
    /// A metadata entry is missing or has another type.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// There is no graph for the architecture.
    #[error("models of the architecture {name:?} cannot be run; those of {known} can")]
    Architecture {
        /// What the metadata name.
        name: String,
        /// All architectures with a graph, separated by commas.
        known: String,
    },
    /// A metadata entry has a value that contradicts another, or that this version cannot handle.
    #[error("the metadata value of {key:?} is {found}, expected {expected}")]
    Setting {
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// What can be handled.
        expected: String,
    },
    /// A tensor is missing that the architecture needs.
    #[error("there is no tensor {name:?}, which models of {architecture:?} need")]
    MissingTensor {
        /// The tensor.
        name: String,
        /// The architecture.
        architecture: String,
    },
    /// A tensor has another shape than the metadata say.
    #[error("tensor {name:?} has the shape {found}, expected {expected}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: String,
        /// The shape that the metadata ask for.
        expected: String,
    },
    /// The type of a tensor is unknown to this version.
    #[error("tensor {name:?} has the type {id}, which is unknown to this version")]
    Type {
        /// The tensor.
        name: String,
        /// The number of the type.
        id: u32,
    },
    /// The tokenizer in the metadata cannot be used.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A token is not in the vocabulary.
    #[error("token {token} at position {position}: the vocabulary has {vocabulary} tokens")]
    Token {
        /// The token.
        token: u32,
        /// Its place in the text, from 0.
        position: usize,
        /// Number of tokens.
        vocabulary: usize,
    },
    /// A text is empty or longer than the model's positions.
    #[error("a text of {found} tokens; the model takes 1 to {limit}")]
    Length {
        /// Number of tokens.
        found: usize,
        /// The largest number.
        limit: usize,
    },
    /// The model is no decoder, or no encoder, but the call is for one.
    #[error("models of {architecture:?} {reason}")]
    Kind {
        /// The architecture.
        architecture: String,
        /// What they cannot do.
        reason: &'static str,
    },
    /// The rows between layers cannot be kept.
    #[error("the file of the rows between layers")]
    Rows(#[source] std::io::Error),
    /// A run cannot be continued.
    #[error(transparent)]
    Journal(#[from] crate::stream::JournalError),
    /// An observer ended a run.
    #[error(transparent)]
    Observer(Box<dyn std::error::Error + Send + Sync>),
}

/// Why a tokenizer cannot be made of the metadata, or a text cannot be cut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The key of a needed part is absent.
    #[error("the metadata has no {key:?}: the file has no tokenizer; give token ids instead")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// The kind of tokenizer is unknown.
    #[error("the tokenizer {name:?} is unknown to this version; known: {known}")]
    Model {
        /// The value of `tokenizer.ggml.model`.
        name: String,
        /// The known ones.
        known: String,
    },
    /// It is unknown how text is cut into words.
    #[error("how {name:?} cuts text into words is unknown to this version; known: {known}")]
    PreTokenizer {
        /// The value of `tokenizer.ggml.pre`.
        name: String,
        /// The known ones.
        known: String,
    },
    /// Two arrays that go together have different lengths.
    #[error("{tokens} tokens, but {found} token types in the metadata")]
    Lengths {
        /// Number of tokens.
        tokens: usize,
        /// Number of token types.
        found: usize,
    },
    /// A pattern gave up on a text.
    #[error("a text cannot be cut into words")]
    Pattern(#[from] Box<fancy_regex::Error>),
}

impl From<fancy_regex::Error> for TokenizerError {
    fn from(error: fancy_regex::Error) -> Self {
        Self::Pattern(Box::new(error))
    }
}
