use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::folder::Named;
use crate::json::read_text;
use crate::{Error, Folder, Problem};

/// Unsupported tokenizer files, with advice.
pub(super) const UNREAD: &[(&str, &str)] = &[
    ("tekken.json", "save the model with the equivalent tokenizer.json"),
    ("tokenizer.model.v3", "rename it to tokenizer.model"),
    ("qwen.tiktoken", "models of this architecture do not have it; add a tokenizer.json"),
    ("tiktoken.model", "models of this architecture do not have it; add a tokenizer.json"),
];

/// The content of `tokenizer.json`.
pub(super) struct TokenizerFile {
    pub(super) path: PathBuf,
    pub(super) object: Map<String, Value>,
    pub(super) bytes: Vec<u8>,
}

impl TokenizerFile {
    /// Reads the file; `None` if the folder has none.
    pub(super) fn read(folder: &dyn Folder) -> Result<Option<Self>, Error> {
        let file = folder.at("tokenizer.json");
        if !file.exists() {
            return Ok(None);
        }
        let bytes = read_text(&file)?;
        let object = serde_json::from_slice(&bytes)
            .map_err(|error| Error::in_file(file.path(), Problem::Json(error)))?;
        Ok(Some(Self { path: file.path().to_owned(), object, bytes }))
    }

    /// Makes an error about the file.
    pub(super) fn fail(&self, text: impl Into<String>) -> Error {
        Error::in_file(&self.path, Problem::Tokenizer(text.into()))
    }

    /// Returns a value inside the model.
    pub(super) fn model(&self, key: &str) -> Option<&Value> {
        self.object.get("model")?.get(key)
    }

    /// Returns the type of the model: `BPE`, `Unigram` or `WordPiece`. Infers it for older files,
    /// which do not name it.
    pub(super) fn model_type(&self) -> &str {
        match self.model("type").and_then(Value::as_str) {
            Some(name) => name,
            None if self.model("merges").is_some() => "BPE",
            None if self.model("continuing_subword_prefix").is_some() => "WordPiece",
            None if self.model("unk_id").is_some() => "Unigram",
            None => "",
        }
    }

    /// Returns the steps of the normalizer.
    pub(super) fn normalizers(&self) -> &[Value] {
        match self.object.get("normalizer") {
            None | Some(Value::Null) => &[],
            Some(step) => match step.get("normalizers").and_then(Value::as_array) {
                Some(steps) => steps,
                None => std::slice::from_ref(step),
            },
        }
    }
}

/// Reads a text file and converts all line endings to line feeds.
pub(super) fn read_lines(file: &Named<'_>) -> Result<String, Error> {
    let text = file.read().map_err(Error::io(file.path()))?;
    let text = String::from_utf8(text).map_err(|_| {
        Error::in_file(file.path(), Problem::Tokenizer("the text is not UTF-8".to_owned()))
    })?;
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}
