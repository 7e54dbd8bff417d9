/// A problem of the tokens of a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VocabularyProblem {
    /// The bytes of `tokenizer.model` do not parse.
    #[error("not a SentencePiece model: damaged at byte {0}")]
    SentencePiece(usize),
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
