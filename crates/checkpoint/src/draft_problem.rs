/// A problem of a draft model, which is for another model, its target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DraftProblem {
    /// A table of token ids does not hold integers.
    #[error("its type is {0} but a table of token ids holds integers")]
    NoIntegers(&'static str),
    /// A table of token ids names a token that does not exist, or one twice.
    #[error("entry {position} stands for token {id}, {why}")]
    WrongId {
        /// The entry, counted from 0.
        position: u64,
        /// The id of the token.
        id: i64,
        /// What is wrong.
        why: String,
    },
    /// The checkpoint holds no draft model.
    #[error("a checkpoint of {0} holds no draft model for --dspark: leave the option out")]
    NoDraft(String),
    /// A draft model needs the folder of the model that it is for.
    #[error(
        "a checkpoint of {0} is a draft for another model and needs facts and the tokenizer of \
         that: pass --target-model-dir DIR"
    )]
    NoTarget(String),
}
