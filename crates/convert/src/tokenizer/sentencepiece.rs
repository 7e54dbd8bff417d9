//! `tokenizer.model`: a SentencePiece model, a protocol buffer of which only the pieces are read.

use std::fs;

use serde_json::{Map, Value};

use super::{Input, TokenType, Tokens, added};
use crate::Error;
use crate::json::read_object_if_there;
use crate::source::Problem;

/// A piece of the model: its text, score and type.
#[derive(Debug, PartialEq)]
struct Piece<'m> {
    text: &'m [u8],
    score: f32,
    ty: TokenType,
}

/// The score of gaps in the vocabulary.
const UNUSED_SCORE: f32 = -10_000.0;

/// The score of tokens that other files add.
const ADDED_SCORE: f32 = -1000.0;

/// The pieces, then what `added_tokens.json` and `tokenizer_config.json` put in their places.
pub(super) fn tokens(input: &Input<'_>, warnings: &mut Vec<String>) -> Result<Tokens, Error> {
    let path = input.folder.join("tokenizer.model");
    let model = fs::read(&path).map_err(Error::io(&path))?;
    let pieces = pieces(&model).map_err(|at| Error::in_file(&path, Problem::SentencePiece(at)))?;
    let size = input.vocabulary()?.filter(|size| *size > 0).unwrap_or(pieces.len());
    let mut tokens = Tokens {
        texts: (0..size).map(|id| format!("[PAD{id}]").into_bytes()).collect(),
        types: vec![TokenType::Unused; size],
        scores: vec![UNUSED_SCORE; size],
    };
    let mut ignored = 0;
    if pieces.len() > size {
        ignored += pieces.len() - size;
    }
    for (id, piece) in pieces.into_iter().take(size).enumerate() {
        tokens.put(id, piece.text.to_vec(), piece.score, piece.ty);
    }

    let file = input.folder.join("added_tokens.json");
    for (text, id) in read_object_if_there(&file)?.unwrap_or_default() {
        match id.as_u64() {
            Some(id) if (id as usize) < size => {
                tokens.put(id as usize, text.into_bytes(), ADDED_SCORE, TokenType::UserDefined);
            }
            _ => ignored += 1,
        }
    }
    let file = input.folder.join("tokenizer_config.json");
    let config = read_object_if_there(&file)?.unwrap_or_default();
    for (id, token) in
        config.get("added_tokens_decoder").and_then(Value::as_object).unwrap_or(&Map::new())
    {
        let text = token.get("content").and_then(Value::as_str);
        let (Ok(id), Some(text)) = (id.parse::<usize>(), text) else {
            let text = format!("the entry {id:?} of added_tokens_decoder is no token");
            return Err(Error::in_file(&file, Problem::Tokenizer(text)));
        };
        if id >= size {
            ignored += 1;
            continue;
        }
        let special = token.get("special").and_then(Value::as_bool).unwrap_or(false);
        let (text, ty) = added(text.to_owned(), special);
        tokens.put(id, text.into_bytes(), ADDED_SCORE, ty);
    }
    if ignored > 0 {
        warnings.push(format!(
            "{ignored} tokens are left out: by config.json the vocabulary has {size}"
        ));
    }
    Ok(tokens)
}

impl Tokens {
    fn put(&mut self, id: usize, text: Vec<u8>, score: f32, ty: TokenType) {
        self.texts[id] = text;
        self.scores[id] = score;
        self.types[id] = ty;
    }
}

/// The pieces of a model, or where it is damaged.
fn pieces(model: &[u8]) -> Result<Vec<Piece<'_>>, usize> {
    let mut pieces = Vec::new();
    let mut fields = Fields { bytes: model, at: 0 };
    while let Some((number, field)) = fields.next()? {
        if let (1, Field::Bytes(bytes)) = (number, field) {
            let start = fields.at - bytes.len();
            pieces.push(piece(bytes).map_err(|at| start + at)?);
        }
    }
    Ok(pieces)
}

fn piece(bytes: &[u8]) -> Result<Piece<'_>, usize> {
    let mut piece = Piece { text: &[], score: 0.0, ty: TokenType::Normal };
    let mut fields = Fields { bytes, at: 0 };
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(text)) if str::from_utf8(text).is_ok() => piece.text = text,
            (1, _) => return Err(fields.at),
            (2, Field::Four(score)) => piece.score = f32::from_le_bytes(score),
            (3, Field::Number(ty)) => {
                // User-defined pieces count as normal ones here: the reference does not ask for them.
                piece.ty = match ty {
                    2 => TokenType::Unknown,
                    3 => TokenType::Control,
                    5 => TokenType::Unused,
                    6 => TokenType::Byte,
                    _ => TokenType::Normal,
                }
            }
            _ => {}
        }
    }
    Ok(piece)
}

/// Walks over the fields of a protocol buffer message.
struct Fields<'m> {
    bytes: &'m [u8],
    at: usize,
}

enum Field<'m> {
    Number(u64),
    Eight,
    Bytes(&'m [u8]),
    Four([u8; 4]),
}

impl<'m> Fields<'m> {
    /// The next field and its number; where the message is damaged.
    fn next(&mut self) -> Result<Option<(u64, Field<'m>)>, usize> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.take(8).map(|_| Field::Eight)?,
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(usize::try_from(length).map_err(|_| self.at)?)?)
            }
            5 => Field::Four(self.take(4)?.try_into().map_err(|_| self.at)?),
            _ => return Err(self.at),
        };
        Ok(Some((tag >> 3, field)))
    }

    fn take(&mut self, length: usize) -> Result<&'m [u8], usize> {
        let (bytes, _) = self.bytes[self.at..].split_at_checked(length).ok_or(self.at)?;
        self.at += length;
        Ok(bytes)
    }

    fn varint(&mut self) -> Result<u64, usize> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece "ab" with score 1.5 and type control, between fields that are skipped.
    const MODEL: &[u8] =
        b"\x12\x01x\x0a\x0b\x0a\x02ab\x15\x00\x00\xc0\x3f\x18\x03\x20\x80\x01\x29\x01\x02\x03\x04\x05\x06\x07\x08";

    #[test]
    fn reads_the_pieces_and_skips_the_rest() {
        let expected = Piece { text: b"ab", score: 1.5, ty: TokenType::Control };
        assert_eq!(pieces(MODEL).unwrap(), [expected]);
    }

    #[test]
    fn a_cut_or_changed_model_is_an_error_or_another_model_and_never_a_panic() {
        let ends: Vec<_> = (0..MODEL.len()).filter(|end| pieces(&MODEL[..*end]).is_ok()).collect();
        assert_eq!(ends, [0, 3, 16, 19], "the ends of fields");
        for at in 0..MODEL.len() {
            for byte in 0..=255 {
                let mut model = MODEL.to_vec();
                model[at] = byte;
                let _ = pieces(&model);
            }
        }
        assert!(pieces(&[0xff; 12]).is_err());
    }
}
