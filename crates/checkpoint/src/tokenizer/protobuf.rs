//! SentencePiece models, which are protocol buffers. Reads the pieces and the settings for whole
//! texts.

use super::TokenType;
use crate::folder::Named;
use crate::{Error, VocabularyProblem};

/// A SentencePiece model.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Model {
    pub(super) pieces: Vec<Piece>,
    pub(super) algorithm: Algorithm,
    /// The text normalization, in the library's compressed form.
    pub(super) characters: Vec<u8>,
    pub(super) space_prefix: Flag,
    pub(super) remove_spaces: Flag,
}

/// A piece of the model: its text, score and type.
#[derive(Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) text: Vec<u8>,
    pub(super) score: f32,
    pub(super) ty: TokenType,
}

/// The algorithm that splits text into pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Algorithm {
    #[default]
    Unigram,
    Bpe,
    Other,
}

/// A boolean setting whose default is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flag(pub(super) bool);

impl Default for Flag {
    fn default() -> Self {
        Self(true)
    }
}

impl Model {
    /// Reads a model.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub(super) fn read(file: &Named<'_>) -> Result<Self, Error> {
        let bytes = file.read().map_err(Error::io(file.path()))?;
        Self::parse(&bytes)
            .map_err(|at| Error::in_file(file.path(), VocabularyProblem::SentencePiece(at)))
    }

    /// Parses a model. The error is the offset of the damage.
    fn parse(bytes: &[u8]) -> Result<Self, usize> {
        let mut model = Self::default();
        let mut fields = Fields { bytes, at: 0 };
        while let Some((number, field)) = fields.next()? {
            let Field::Bytes(bytes) = field else { continue };
            let start = fields.at - bytes.len();
            let inside = |at| start + at;
            match number {
                1 => model.pieces.push(Piece::parse(bytes).map_err(inside)?),
                2 => model.take_trainer(bytes).map_err(inside)?,
                3 => model.take_normalizer(bytes).map_err(inside)?,
                _ => {}
            }
        }
        Ok(model)
    }

    /// Reads the training settings.
    fn take_trainer(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut fields = Fields { bytes, at: 0 };
        while let Some((number, field)) = fields.next()? {
            if let (3, Field::Number(algorithm)) = (number, field) {
                self.algorithm = match algorithm {
                    1 => Algorithm::Unigram,
                    2 => Algorithm::Bpe,
                    _ => Algorithm::Other,
                };
            }
        }
        Ok(())
    }

    /// Reads the settings of the normalizer.
    fn take_normalizer(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut fields = Fields { bytes, at: 0 };
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (2, Field::Bytes(characters)) => self.characters = characters.to_vec(),
                (3, Field::Number(flag)) => self.space_prefix = Flag(flag != 0),
                (4, Field::Number(flag)) => self.remove_spaces = Flag(flag != 0),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Piece {
    fn parse(bytes: &[u8]) -> Result<Self, usize> {
        let mut piece = Self { text: Vec::new(), score: 0.0, ty: TokenType::Normal };
        let mut fields = Fields { bytes, at: 0 };
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(text)) if str::from_utf8(text).is_ok() => {
                    piece.text = text.to_vec();
                }
                (1, _) => return Err(fields.at),
                (2, Field::Four(score)) => piece.score = f32::from_le_bytes(score),
                (3, Field::Number(ty)) => {
                    // User-defined pieces count as normal ones, because the reference does not
                    // distinguish them.
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
    /// Returns the number and content of the next field. The error is the offset of the damage.
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

    /// A piece "ab" with score 1.5 and type control, between fields that are skipped; BPE; a
    /// character map "xyz", and no leading space.
    const MODEL: &[u8] =
        b"\x22\x01x\x0a\x0b\x0a\x02ab\x15\x00\x00\xc0\x3f\x18\x03\x20\x80\x01\x29\x01\x02\x03\x04\
        \x05\x06\x07\x08\
        \x12\x02\x18\x02\x1a\x07\x12\x03xyz\x18\x00";

    #[test]
    fn reads_what_counts_and_skips_the_rest() {
        let model = Model::parse(MODEL).unwrap();
        assert_eq!(
            model.pieces,
            [Piece { text: b"ab".to_vec(), score: 1.5, ty: TokenType::Control }]
        );
        assert_eq!(model.algorithm, Algorithm::Bpe);
        assert_eq!(model.characters, b"xyz");
        assert_eq!((model.space_prefix, model.remove_spaces), (Flag(false), Flag(true)));
    }

    #[test]
    fn a_cut_or_changed_model_is_an_error_or_another_model_and_never_a_panic() {
        let good = |end: &usize| Model::parse(&MODEL[..*end]).is_ok();
        let ends: Vec<_> = (0..MODEL.len()).filter(good).collect();
        assert_eq!(ends, [0, 3, 16, 19, 28, 32], "the ends of fields");
        for at in 0..MODEL.len() {
            for byte in 0..=255 {
                let mut model = MODEL.to_vec();
                model[at] = byte;
                let _ = Model::parse(&model);
            }
        }
        assert!(Model::parse(&[0xff; 12]).is_err());
    }
}
