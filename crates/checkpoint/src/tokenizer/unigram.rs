//! Unigram models: a SentencePiece model, or else `tokenizer.json`.

use granule_format::{Array, Value as Entry};
use serde_json::Value;

use super::Quirk;
use super::file::TokenizerFile;
use super::library::Library;
use super::protobuf::{Algorithm, Model};
use super::sentencepiece::{self, ADDED_SCORE};
use super::{Input, TokenType, Tokens, Vocabulary};
use crate::folder::Named;
use crate::{Error, Problem, VocabularyProblem};

/// The first four tokens of models with the ids of fairseq.
const FAIRSEQ: &[(&str, TokenType)] = &[
    ("<s>", TokenType::Control),
    ("<pad>", TokenType::Control),
    ("</s>", TokenType::Control),
    ("<unk>", TokenType::Unknown),
];

/// Number of the model's pieces that these replace.
const REPLACED: usize = 3;

/// Returns the possible names of the model file, for models with or without the ids of fairseq.
pub(super) const fn files(fairseq: bool) -> &'static [&'static str] {
    if fairseq { &["sentencepiece.bpe.model"] } else { &["tokenizer.model", "spiece.model"] }
}

/// Returns whether the checkpoint has a tokenizer of this kind.
pub(super) fn is_there(input: &Input<'_>) -> Result<bool, Error> {
    if let Some(file) = model_file(input) {
        // Some models that allow this kind have BPE, but only under this name.
        let either = file.name() == "tokenizer.model";
        return Ok(!either || Model::read(&file)?.algorithm == Algorithm::Unigram);
    }
    Ok(input.json.as_ref().is_some_and(|json| json.model_type() == "Unigram"))
}

/// Reads the tokens and how text is normalized.
pub(super) fn read(input: &Input<'_>, warnings: &mut Vec<String>) -> Result<Vocabulary, Error> {
    let mut beyond = Vec::new();
    let (tokens, text) = match (model_file(input), &input.json) {
        (Some(file), _) => from_model(input, &file, &mut beyond)?,
        (None, Some(json)) => from_json(input, json, warnings)?,
        (None, None) => Default::default(),
    };
    let mut behind = vec![("tokenizer.ggml.add_space_prefix", Entry::Bool(text.space_prefix))];
    behind.extend(input.token_type_count()?);
    behind.push(("tokenizer.ggml.remove_extra_whitespaces", Entry::Bool(text.remove_spaces)));
    if !text.characters.is_empty() {
        let characters = Entry::Array(Array::U8(text.characters));
        behind.push(("tokenizer.ggml.precompiled_charsmap", characters));
    }
    let learned = input.quirks.iter().find_map(|quirk| match quirk {
        Quirk::LearnedTokens(key) => Some(key.as_ref()),
        _ => None,
    });
    let mut tokens = tokens;
    if let Some(key) = learned {
        tokens.put_last(&learned_texts(input, key)?);
        for key in ["tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"] {
            behind.push((key, Entry::Bool(false)));
        }
    }
    let complete = learned.is_some();
    let vocabulary = Vocabulary::new("t5", "default", tokens);
    Ok(Vocabulary { behind, limited: true, beyond, complete, ..vocabulary })
}

/// Returns the texts of tokens that stand for learned vectors.
fn learned_texts(input: &Input<'_>, key: &str) -> Result<Vec<String>, Error> {
    let found = input.config.get(key).cloned().unwrap_or_default();
    let texts = found.as_array().map(|texts| {
        texts.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    texts.flatten().ok_or_else(|| input.config.wrong(key, &found, "a list of texts"))
}

/// The settings for normalizing text.
#[derive(Default)]
struct Text {
    space_prefix: bool,
    remove_spaces: bool,
    characters: Vec<u8>,
}

fn model_file<'i>(input: &Input<'i>) -> Option<Named<'i>> {
    let names = files(input.has(&Quirk::FairseqIds)).iter();
    names.map(|name| input.folder.at(*name)).find(Named::exists)
}

fn from_model(
    input: &Input<'_>,
    file: &Named<'_>,
    beyond: &mut Vec<String>,
) -> Result<(Tokens, Text), Error> {
    let mut model = Model::read(file)?;
    if model.algorithm != Algorithm::Unigram {
        let text = "it is a SentencePiece model but not a unigram model".to_owned();
        return Err(Error::in_file(file.path(), Problem::Tokenizer(text)));
    }
    let text = Text {
        space_prefix: model.space_prefix.0,
        remove_spaces: model.remove_spaces.0,
        characters: std::mem::take(&mut model.characters),
    };
    let pieces = model.pieces.len();
    let size = input.vocabulary(&["vocab_size"])?;
    if input.has(&Quirk::FairseqIds) {
        let mut tokens = Tokens::unused(size.unwrap_or(0).max(pieces));
        tokens.put_pieces(model);
        tokens.realign();
        for quirk in input.quirks {
            if let Quirk::ControlToken { id, text } = quirk {
                let size = tokens.texts.len();
                let place = usize::try_from(*id).ok().filter(|id| *id < size);
                let place = place.ok_or_else(|| {
                    let token = text.clone().into_owned();
                    let problem =
                        VocabularyProblem::TokenId { token, id: *id, vocabulary: size as u64 };
                    Error::in_file(file.path(), problem)
                })?;
                tokens.put(place, text.as_bytes().to_vec(), 0.0, TokenType::Control);
            }
        }
        return Ok((tokens, text));
    }
    let mut tokens = Tokens::unused(size.unwrap_or(pieces));
    beyond.extend(tokens.put_pieces(model));
    beyond.extend(sentencepiece::put_added_file(&mut tokens, input)?);
    Ok((tokens, text))
}

fn from_json(
    input: &Input<'_>,
    json: &TokenizerFile,
    warnings: &mut Vec<String>,
) -> Result<(Tokens, Text), Error> {
    let library = Library::open(input, warnings)?;
    let entries = json.model("vocab").and_then(Value::as_array);
    let entries = entries.ok_or_else(|| json.fail("the model's \"vocab\" is not a list"))?;
    let score = |id: usize| {
        let score = entries.get(id).and_then(|entry| entry.get(1)).and_then(Value::as_f64);
        score.ok_or_else(|| json.fail(format!("token {id} has no score")))
    };
    let base = library.base();
    let size = input.vocabulary(&["vocab_size"])?.unwrap_or(0).max(base);
    let (texts, added) = (library.texts(), library.added());
    let unknown = input.tokenizer_config.get("unk_token").and_then(Value::as_str);
    let unknown = unknown.and_then(|text| added.iter().find(|(_, token)| token.content == text));
    let unknown = match unknown {
        Some((id, _)) => Some(*id),
        None => json.model("unk_id").map_or(Some(3), Value::as_u64),
    };
    let specials: Vec<u64> =
        library.specials().iter().filter_map(|text| library.id(text)).collect();
    let mut tokens = Tokens::unused(size);
    for index in 0..base {
        let id = index as u64;
        let Some(text) = texts.get(&id) else { continue };
        let ty = if unknown == Some(id) {
            TokenType::Unknown
        } else if specials.contains(&id) {
            TokenType::Control
        } else if added.contains_key(&id) {
            TokenType::UserDefined
        } else {
            TokenType::Normal
        };
        tokens.put(index, text.clone().into_bytes(), score(index)? as f32, ty);
    }
    let characters = json.normalizers().iter().find_map(|step| step.get("precompiled_charsmap"));
    let characters = characters.and_then(Value::as_str).unwrap_or_default();
    let characters = base64::decode(characters)
        .map_err(|error| json.fail(format!("the normalizer's characters: {error}")))?;
    let text = if input.has(&Quirk::FairseqIds) {
        Text {
            space_prefix: library.flag("add_prefix_space"),
            remove_spaces: library.clean_up(),
            characters,
        }
    } else {
        // The defaults of SentencePiece models.
        Text { space_prefix: true, remove_spaces: true, characters }
    };
    Ok((tokens, text))
}

impl Tokens {
    /// Replaces the last tokens by control tokens.
    fn put_last(&mut self, texts: &[String]) {
        let first = self.texts.len().saturating_sub(texts.len());
        for (id, text) in (first..self.texts.len()).zip(texts) {
            self.put(id, text.clone().into_bytes(), ADDED_SCORE, TokenType::Control);
        }
    }

    /// Replaces the model's first tokens by those of fairseq. This shifts the others by one and
    /// drops the last.
    fn realign(&mut self) {
        let replaced = ..REPLACED.min(self.texts.len());
        self.texts.splice(replaced, FAIRSEQ.iter().map(|(text, _)| text.as_bytes().to_vec()));
        self.types.splice(replaced, FAIRSEQ.iter().map(|(_, ty)| *ty));
        self.scores.splice(replaced, FAIRSEQ.iter().map(|_| 0.0));
        self.texts.pop();
        self.types.pop();
        self.scores.pop();
    }
}
