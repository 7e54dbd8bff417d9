/// A problem of a projector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectorProblem {
    /// No projector is known for the class.
    #[error(
        "no projector is known for models of class {0:?}: --mmproj is for models of images or \
         sound (docs/models.md lists them)"
    )]
    Unknown(String),
    /// The file that says how images and sound are prepared is missing.
    #[error(
        "there is no such file, and the projector needs its key {}: download the file from where \
         the model is from",
        .keys.join(" or ")
    )]
    MissingFile {
        /// The keys that are needed.
        keys: Vec<String>,
    },
}
