//! The tokenizer in the layout of Mistral's own library: `tekken.json`, or a SentencePiece model
//! that has the version of its format in its name (`tokenizer.model.v3`).

use granule_format::{Array, Metadata, StringArray};

use super::file::read_lines;
use super::protobuf::Model;
use super::{TEMPLATE, TokenType, tekken, warn_of_twins};
use crate::{Error, Folder, Problem};

/// The beginning of the names of SentencePiece models.
const PIECES: &str = "tokenizer.model";

/// Versions of the format for which llama.cpp has a template under a name.
const TEMPLATES: &[(&str, &str)] =
    &[("v1", "mistral-v1"), ("v3", "mistral-v3"), ("v7", "mistral-v7")];

/// Which chat template is used: the model's own, or one that llama.cpp knows by a name.
pub(super) struct Templates {
    pub(super) own: Option<String>,
    /// Whether the model's own comes first.
    pub(super) own_first: bool,
    /// Whether a name is used at all.
    pub(super) named: bool,
}

impl Templates {
    /// Writes the template; `known` has the names by the version of the tokenizer.
    pub(super) fn write(
        self,
        (file, version): (&str, &str),
        known: &[(&str, &str)],
        out: &mut Metadata,
        warnings: &mut Vec<String>,
    ) {
        let named = known.iter().find(|(known, _)| *known == version).filter(|_| self.named);
        let named = named.map(|(_, name)| (*name).to_owned());
        let first = if self.own_first { self.own.clone() } else { None };
        match first.or(named).or(self.own) {
            Some(template) => out.set(TEMPLATE, template),
            None => warnings.push(format!(
                "{file} has version {version:?}, and the checkpoint has no chat template, so the \
                 output has none: put the model's into chat_template.jinja"
            )),
        }
    }
}

/// Reads the tokenizer as entries in output order; `size_key` is the key of the vocabulary's size.
pub(super) fn read(
    folder: &dyn Folder,
    size_key: &str,
    named: bool,
    warnings: &mut Vec<String>,
) -> Result<Metadata, Error> {
    let own = folder.at("chat_template.jinja");
    let own = if own.exists() { Some(read_lines(&own)?) } else { None };
    let templates = Templates { own, own_first: true, named };
    if folder.exists(tekken::FILE) {
        return tekken::read(folder, size_key, templates, warnings);
    }
    let mut names = folder.list("").map_err(Error::io(folder.path()))?;
    names.retain(|name| version(name).is_some());
    names.sort();
    let missing = || {
        let why = "the folder has no tekken.json and no tokenizer.model.v*";
        Error::in_file(folder.path(), Problem::Tokenizer(why.to_owned()))
    };
    let name = names.pop().ok_or_else(missing)?;
    let version = version(&name).unwrap_or("v1");
    let file = folder.at(&name);
    let model = Model::read(&file)?;
    let id = |text: &str| {
        let place = model.pieces.iter().position(|piece| piece.text == text.as_bytes());
        place.map(|id| id as u32)
    };
    let needed = |text: &str| {
        let why = || Problem::Tokenizer(format!("it has no piece {text:?}"));
        id(text).ok_or_else(|| Error::in_file(file.path(), why()))
    };
    let texts: Vec<_> = model.pieces.iter().map(|piece| &piece.text).collect();
    warn_of_twins(&texts, file.path(), warnings);
    let mut out = Metadata::new();
    out.set("tokenizer.ggml.model", "llama");
    let end = needed("</s>")?;
    out.set("tokenizer.ggml.bos_token_id", needed("<s>")?);
    out.set("tokenizer.ggml.eos_token_id", end);
    out.set("tokenizer.ggml.unknown_token_id", needed("<unk>")?);
    out.set("tokenizer.ggml.padding_token_id", id("<pad>").unwrap_or(end));
    // Pieces that users have defined count as usual ones, as in the reference.
    let ty = |ty| match ty {
        TokenType::UserDefined => TokenType::Normal,
        other => other,
    };
    let texts: StringArray = model.pieces.iter().map(|piece| &piece.text).collect();
    let scores = model.pieces.iter().map(|piece| piece.score).collect();
    let types = model.pieces.iter().map(|piece| ty(piece.ty) as i32).collect();
    out.set("tokenizer.ggml.tokens", Array::String(texts));
    out.set("tokenizer.ggml.scores", Array::F32(scores));
    out.set("tokenizer.ggml.token_type", Array::I32(types));
    out.set(size_key, model.pieces.len() as u32);
    out.set("tokenizer.ggml.add_bos_token", true);
    out.set("tokenizer.ggml.add_eos_token", false);
    templates.write((&name, version), TEMPLATES, &mut out, warnings);
    Ok(out)
}

/// The version in the name of a SentencePiece model. One without is the first.
fn version(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(PIECES)?;
    if rest.is_empty() {
        return Some("v1");
    }
    let version = rest.strip_prefix('.')?;
    // A second number is that of what the model makes of images.
    let (version, _) = version.split_once('m').unwrap_or((version, ""));
    let digits = version.strip_prefix('v')?;
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_names() {
        for (name, expected) in [
            ("tokenizer.model", Some("v1")),
            ("tokenizer.model.v3", Some("v3")),
            ("tokenizer.model.v7m1", Some("v7")),
            ("tokenizer.model.v11", Some("v11")),
            ("tokenizer.model.old", None),
            ("tokenizer.model.v", None),
            ("tokenizer.modelv3", None),
            ("spiece.model", None),
        ] {
            assert_eq!(version(name), expected, "{name}");
        }
    }

    #[test]
    fn the_template_follows_from_files_and_version() {
        let chosen = |own: Option<&str>, own_first, named, version| {
            let (mut out, mut warnings) = (Metadata::new(), Vec::new());
            let own = own.map(str::to_owned);
            let templates = Templates { own, own_first, named };
            templates.write(("tekken.json", version), TEMPLATES, &mut out, &mut warnings);
            (out.get(TEMPLATE).cloned(), warnings.len())
        };
        assert_eq!(chosen(Some("x"), true, true, "v3"), (Some("x".into()), 0));
        assert_eq!(chosen(Some("x"), false, true, "v3"), (Some("mistral-v3".into()), 0));
        assert_eq!(chosen(Some("x"), false, true, "v13"), (Some("x".into()), 0));
        assert_eq!(chosen(None, true, true, "v7"), (Some("mistral-v7".into()), 0));
        assert_eq!(chosen(None, true, false, "v7"), (None, 1));
    }
}
