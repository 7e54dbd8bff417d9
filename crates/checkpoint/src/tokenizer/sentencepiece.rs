//! `tokenizer.model`: a SentencePiece model, with the tokens of other files in their places.

use granule_format::Value as Entry;
use serde_json::{Map, Value};

use super::Quirk;
use super::protobuf::Model;
use super::{Input, TokenType, Tokens, Vocabulary, added};
use crate::Error;
use crate::Problem;
use crate::arch::Pieces;
use crate::json::read_object_if_there;

/// The score of gaps in the vocabulary.
pub(super) const UNUSED_SCORE: f32 = -10_000.0;

/// The score of tokens that other files add.
pub(super) const ADDED_SCORE: f32 = -1000.0;

/// The key with the size of the vocabulary. Layers may have a smaller vocabulary of their own.
const SIZE_KEYS: &[&str] = &["vocab_size"];

/// Reads the vocabulary.
pub(super) fn read(input: &Input<'_>) -> Result<Vocabulary, Error> {
    let mut model = Model::read(&input.folder.at("tokenizer.model"))?;
    let pieces = input.quirks.iter().find_map(|quirk| match quirk {
        Quirk::Pieces(pieces) => Some(pieces),
        _ => None,
    });
    if let Some(pieces) = pieces {
        return with_pieces(input, model, pieces);
    }
    let mut behind = Vec::new();
    if input.has(&Quirk::ModelSpacePrefix) {
        let prefix = Entry::Bool(model.space_prefix.0);
        behind.push(("tokenizer.ggml.add_space_prefix", prefix));
    }
    if input.has(&Quirk::UnusedPieces) {
        for piece in &mut model.pieces {
            if piece.text == b"\0" {
                piece.text = "\u{1f409}".into();
            } else if piece.text.starts_with(b"[UNUSED") {
                piece.ty = TokenType::Unused;
            }
        }
    }
    let (tokens, beyond) = tokens(input, model)?;
    let vocabulary = Vocabulary::new("llama", "default", tokens);
    Ok(Vocabulary { behind, limited: true, beyond, ..vocabulary })
}

/// Places the pieces and the tokens around them. Gaps have the score 0.
fn with_pieces(input: &Input<'_>, model: Model, facts: &Pieces) -> Result<Vocabulary, Error> {
    let count = model.pieces.len();
    let size = input.vocabulary(&["padded_vocab_size", "vocab_size"])?;
    let mut tokens = Tokens::unused(size.unwrap_or(count + facts.after.len()));
    tokens.scores.fill(0.0);
    let mut beyond = tokens.put_pieces(model);
    for (token, text) in tokens.texts.iter_mut().zip(&facts.first) {
        *token = text.as_bytes().to_vec();
    }
    for (id, text) in (count..).zip(&facts.after) {
        if id < tokens.texts.len() {
            tokens.put(id, text.as_bytes().to_vec(), 0.0, TokenType::Control);
        } else {
            beyond.push(text.to_string());
        }
    }
    let vocabulary = Vocabulary::new("llama", facts.pre.as_ref(), tokens);
    Ok(Vocabulary { limited: true, beyond, ..vocabulary })
}

/// Places the pieces, then the tokens of `added_tokens.json` and `tokenizer_config.json`. The
/// second result holds the texts of tokens past the end of the vocabulary.
fn tokens(input: &Input<'_>, model: Model) -> Result<(Tokens, Vec<String>), Error> {
    let size = input.vocabulary(SIZE_KEYS)?.filter(|size| *size > 0);
    let size = size.unwrap_or(model.pieces.len());
    let as_they_stand = input.has(&Quirk::AddedTokens);
    let redefined = input.has(&Quirk::RedefinedTokens);
    let mut tokens = Tokens::unused(size);
    let mut beyond = tokens.put_pieces(model);
    if !redefined {
        beyond.extend(put_added_file(&mut tokens, input)?);
    }
    let unknown = input.tokenizer_config.get("unk_token");
    let unknown = unknown.and_then(|token| token.as_str().or_else(|| token["content"].as_str()));

    let file = input.folder.path().join("tokenizer_config.json");
    let none = Map::new();
    let decoder = input.tokenizer_config.get("added_tokens_decoder").and_then(Value::as_object);
    for (id, token) in decoder.unwrap_or(&none) {
        let text = token.get("content").and_then(Value::as_str);
        let (Ok(id), Some(text)) = (id.parse::<u64>(), text) else {
            let text = format!("the entry {id:?} of added_tokens_decoder is not a token");
            return Err(Error::in_file(&file, Problem::Tokenizer(text)));
        };
        let special = is_special(token);
        let written = if redefined && special && unknown == Some(text) {
            (text.to_owned(), TokenType::Unknown)
        } else if as_they_stand || redefined {
            (text.to_owned(), plain_type(special))
        } else {
            added(text.to_owned(), special)
        };
        if !tokens.put_added(id, text, written) {
            beyond.push(text.to_owned());
        } else if redefined {
            tokens.scores[id as usize] = if special { 0.0 } else { UNUSED_SCORE };
        }
    }
    if let (true, Some(json)) = (as_they_stand, &input.json) {
        let list = json.object.get("added_tokens").and_then(Value::as_array);
        for token in list.into_iter().flatten() {
            let id = token.get("id").and_then(Value::as_u64);
            let text = token.get("content").and_then(Value::as_str);
            let (Some(id), Some(text)) = (id, text) else {
                return Err(json.fail("an entry of \"added_tokens\" has no id or no content"));
            };
            let written = (text.to_owned(), plain_type(is_special(token)));
            if !tokens.put_added(id, text, written) && !beyond.iter().any(|other| other == text) {
                beyond.push(text.to_owned());
            }
        }
    }
    Ok((tokens, beyond))
}

/// Places the tokens of `added_tokens.json`. Returns the texts of those past the end of the
/// vocabulary.
pub(super) fn put_added_file(tokens: &mut Tokens, input: &Input<'_>) -> Result<Vec<String>, Error> {
    let map = read_object_if_there(&input.folder.at("added_tokens.json"))?.unwrap_or_default();
    let mut beyond = Vec::new();
    for (text, id) in &map {
        let written = (text.clone(), TokenType::UserDefined);
        if !id.as_u64().is_some_and(|id| tokens.put_added(id, text, written)) {
            beyond.push(text.clone());
        }
    }
    Ok(beyond)
}

fn is_special(token: &Value) -> bool {
    token.get("special").and_then(Value::as_bool).unwrap_or(false)
}

const fn plain_type(special: bool) -> TokenType {
    if special { TokenType::Control } else { TokenType::UserDefined }
}

impl Tokens {
    /// Makes `size` unused tokens.
    pub(super) fn unused(size: usize) -> Self {
        Self {
            texts: (0..size).map(|id| format!("[PAD{id}]").into_bytes()).collect(),
            types: vec![TokenType::Unused; size],
            scores: vec![UNUSED_SCORE; size],
            replaced: Vec::new(),
        }
    }

    /// Places the pieces of a model as far as there is room. Returns the texts of the others.
    pub(super) fn put_pieces(&mut self, mut model: Model) -> Vec<String> {
        let beyond = model.pieces.split_off(self.texts.len().min(model.pieces.len()));
        for (id, piece) in model.pieces.into_iter().enumerate() {
            self.put(id, piece.text, piece.score, piece.ty);
        }
        beyond.iter().map(|piece| String::from_utf8_lossy(&piece.text).into_owned()).collect()
    }

    /// Replaces an existing token.
    pub(super) fn put(&mut self, id: usize, text: Vec<u8>, score: f32, ty: TokenType) {
        self.texts[id] = text;
        self.scores[id] = score;
        self.types[id] = ty;
    }

    /// Places an added token, given its output form and its text in the files. Returns whether the
    /// vocabulary has its id.
    fn put_added(&mut self, id: u64, text: &str, (written, ty): (String, TokenType)) -> bool {
        let Some(id) = usize::try_from(id).ok().filter(|id| *id < self.texts.len()) else {
            return false;
        };
        let old = &self.texts[id];
        let same = old == text.as_bytes() || *old == written.as_bytes();
        if self.types[id] != TokenType::Unused && !same {
            let old = String::from_utf8_lossy(old).into_owned();
            self.replaced.push((id, old, text.to_owned()));
        }
        self.put(id, written.into_bytes(), ADDED_SCORE, ty);
        true
    }
}
