//! Tokens of a codec of sound, which follow those of text.

use serde_json::Value;

use super::{Input, MOST_TOKENS, TokenType, Tokens};
use crate::Error;
use crate::arch::Quirk;

impl Tokens {
    /// Appends the tokens of the codec, if the architecture has one.
    pub(super) fn add_codec(&mut self, input: &Input<'_>) -> Result<(), Error> {
        let part = input.quirks.iter().find_map(|quirk| match quirk {
            Quirk::CodecTokens(part) => Some(part.as_ref()),
            _ => None,
        });
        let Some(part) = part else { return Ok(()) };
        if let Some(size) = input.vocabulary(&["vocab_size"])? {
            self.resize(size);
        }
        for text in names(input, part)? {
            self.push(text, TokenType::Control);
            if !self.scores.is_empty() {
                self.scores.push(0.0);
            }
        }
        Ok(())
    }
}

/// Returns the texts of the tokens: `<|codec_12|>`, or the name of a key that has the number.
fn names(input: &Input<'_>, part: &str) -> Result<Vec<String>, Error> {
    let config = input.config.raw.get(part).cloned().unwrap_or_default();
    let wrong = |key: &str, value: &Value, expected| {
        input.config.wrong(&format!("{part}.{key}"), value, expected)
    };
    let size = &config["vocab_size"];
    let count = size.as_u64().filter(|count| *count <= MOST_TOKENS);
    let count = count.ok_or_else(|| wrong("vocab_size", size, "a number of tokens"))?;
    let mut names: Vec<String> = (0..count).map(|id| format!("<|codec_{id}|>")).collect();
    for (key, value) in config.as_object().into_iter().flatten() {
        let Some(name) = key.strip_suffix("_id") else { continue };
        let named: Vec<(String, &Value)> = match value {
            Value::Object(ids) => {
                ids.iter().map(|(key, id)| (format!("<|{name}_{key}|>"), id)).collect()
            }
            Value::Number(_) => vec![(format!("<|{name}|>"), value)],
            _ => continue,
        };
        for (text, id) in named {
            let place = id.as_u64().filter(|id| *id < count);
            let place = place.ok_or_else(|| wrong(key, id, "the id of a token of the codec"))?;
            names[place as usize] = text;
        }
    }
    Ok(names)
}
