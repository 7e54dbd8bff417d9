/// A problem of the tokens of a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VocabularyProblem {
    /// The bytes of `tokenizer.model` do not parse.
    #[error("not a SentencePiece model: damaged at byte {0}")]
    SentencePiece(usize),
    /// Two tokens have the same text.
    #[error(
        "the tokens {first} and {second} have the same text, {text:?}: llama.cpp does not load \
         such a file. Change the text or the id of one of them in the tokenizer's files (added \
         tokens are in tokenizer_config.json, added_tokens.json and tokenizer.json)"
    )]
    TokenTwice {
        /// The text.
        text: String,
        /// The smaller id.
        first: usize,
        /// The larger id.
        second: usize,
    },
    /// The id of a token is outside the vocabulary.
    #[error(
        "token {token:?} has the id {id}, but config.json says that the vocabulary has \
         {vocabulary} tokens"
    )]
    TokenId {
        /// The token.
        token: String,
        /// Its id.
        id: u64,
        /// Size of the vocabulary in tokens.
        vocabulary: u64,
    },
}
