//! `tokenizer.jsonl`: the vocabulary of PLaMo, a token a line.
//!
//! A line is a JSON list of text, score and, perhaps, the kind of the token.

use serde_json::Value;

use super::file::read_lines;
use super::{Input, TokenType, Tokens, Vocabulary, chat};
use crate::arch::Quirk;
use crate::{Error, Problem};

/// The file.
pub(super) const FILE: &str = "tokenizer.jsonl";

/// The score of unused tokens.
const UNUSED_SCORE: f32 = -1000.0;

/// The token that ends a turn.
const END_OF_TURN: u32 = 4;

/// Special tokens that `tokenizer_config.json` names, and the keys of their ids.
const SPECIAL: &[(&str, &str)] = &[
    ("bos_token", "tokenizer.ggml.bos_token_id"),
    ("eos_token", "tokenizer.ggml.eos_token_id"),
    ("pad_token", "tokenizer.ggml.padding_token_id"),
    ("sep_token", "tokenizer.ggml.seperator_token_id"),
    ("unk_token", "tokenizer.ggml.unknown_token_id"),
];

/// Reads the vocabulary and the special tokens.
pub(super) fn read(input: &Input<'_>, warnings: &mut Vec<String>) -> Result<Vocabulary, Error> {
    let file = input.folder.at(FILE);
    let text = read_lines(&file)?;
    let fail = |why: String| Error::in_file(file.path(), Problem::Tokenizer(why));
    let mut tokens = Tokens::default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let parsed = parse(line);
        let wrong = || fail(format!("line {}: expected [text, score, kind, ..]", number + 1));
        let (text, score, ty) = parsed.ok_or_else(wrong)?;
        tokens.push(text, ty);
        tokens.scores.push(score);
    }
    let size = input.vocabulary(&["vocab_size"])?.unwrap_or_default();
    for number in 1..=size.saturating_sub(tokens.texts.len()) {
        tokens.push(format!("[PAD{number}]"), TokenType::Unused);
        tokens.scores.push(UNUSED_SCORE);
    }
    let mut behind = Vec::new();
    for (name, key) in SPECIAL {
        let text = match input.tokenizer_config.get(*name) {
            None | Some(Value::Null) => continue,
            Some(text) => text.as_str().ok_or_else(|| fail(format!("{name} is no string")))?,
        };
        let id = tokens.texts.iter().position(|token| token == text.as_bytes());
        let id = id.ok_or_else(|| fail(format!("it lacks {text:?}, the {name}")))?;
        behind.push((*key, (id as u32).into()));
    }
    behind.push(("tokenizer.ggml.eot_token_id", END_OF_TURN.into()));
    behind.push(("tokenizer.ggml.add_space_prefix", false.into()));
    if input.has(&Quirk::ChatTemplate) {
        let template = chat::template(input.folder, Some(&input.tokenizer_config), warnings)?;
        if let Some(template) = template.as_str().filter(|template| !template.is_empty()) {
            behind.push(("tokenizer.chat_template", template.into()));
        }
    }
    Ok(Vocabulary { behind, complete: true, ..Vocabulary::new("plamo2", "default", tokens) })
}

fn parse(line: &str) -> Option<(String, f32, TokenType)> {
    let list: Vec<Value> = serde_json::from_str(line).ok()?;
    let text = list.first()?.as_str()?;
    let score = list.get(1)?.as_f64()? as f32;
    let ty = match list.get(2).and_then(Value::as_str) {
        Some("UNKNOWN") => TokenType::Unknown,
        Some("CONTROL") => TokenType::Control,
        Some("BYTE") => TokenType::Byte,
        _ if text.starts_with("<|plamo:") && text.ends_with("|>") => TokenType::Control,
        _ => TokenType::Normal,
    };
    Some((text.to_owned(), score, ty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_lists() {
        let parsed = |line| parse(line).map(|(text, score, ty)| (text, score.to_bits(), ty));
        let half = 0.5_f32.to_bits();
        for (line, expected) in [
            (r#"["a", 0.5, "NORMAL", null]"#, Some(("a", TokenType::Normal))),
            (r#"["a", 0.5]"#, Some(("a", TokenType::Normal))),
            (r#"["<|plamo:op|>", 0.5, "NORMAL"]"#, Some(("<|plamo:op|>", TokenType::Control))),
            (r#"["<0x00>", 0.5, "BYTE", 0]"#, Some(("<0x00>", TokenType::Byte))),
            (r#"["a"]"#, None),
            ("[1, 2]", None),
            ("{}", None),
            ("[", None),
        ] {
            let expected = expected.map(|(text, ty)| (text.to_owned(), half, ty));
            assert_eq!(parsed(line), expected, "{line}");
        }
    }
}
