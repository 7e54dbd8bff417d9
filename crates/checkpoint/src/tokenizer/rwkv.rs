//! `rwkv_vocab_v20230424.txt`: the vocabulary of RWKV, a token a line.
//!
//! A line holds an id, a string or a byte string in Python's notation, and its length in bytes.
//! The GGUF file holds the bytes as Python prints them.

use super::file::read_lines;
use super::{Input, TokenType, Tokens, Vocabulary, chat};
use crate::{Error, Problem};

/// The file.
pub(super) const FILE: &str = "rwkv_vocab_v20230424.txt";

/// The size of the vocabulary if the config has none.
const USUAL_SIZE: usize = 65_536;

/// The end of a turn, a blank line.
const END_OF_TURN: u32 = 261;

const NO_TEMPLATE: &str = "the checkpoint has no chat template: the output has none either, and \
     programs cannot format a conversation. llama.cpp has one in its repository, models/templates/\
     llama-cpp-rwkv-world.jinja; put it into the folder as chat_template.jinja";

/// Reads the vocabulary. The first token stands for both ends of a text.
pub(super) fn read(input: &Input<'_>, warnings: &mut Vec<String>) -> Result<Vocabulary, Error> {
    let file = input.folder.at(FILE);
    let text = read_lines(&file)?;
    let size = input.vocabulary(&["vocab_size"])?.unwrap_or(USUAL_SIZE);
    let fail = |why: String| Error::in_file(file.path(), Problem::Tokenizer(why));
    let mut tokens = Tokens::default();
    tokens.push("<s>", TokenType::Control);
    for (number, line) in text.lines().enumerate() {
        let bytes = token(line).map_err(|why| fail(format!("line {}: {why}", number + 1)))?;
        tokens.push(printed(&bytes), TokenType::Normal);
    }
    if tokens.texts.len() > size {
        let found = tokens.texts.len();
        return Err(fail(format!("it has {found} tokens, more than the {size} of the config")));
    }
    tokens.resize(size);
    if chat::template(input.folder, Some(&input.tokenizer_config), &mut Vec::new())?.is_null() {
        warnings.push(NO_TEMPLATE.to_owned());
    }
    let fixed = vec![("bos", 0), ("eos", 0)];
    let defaults = vec![("eot", END_OF_TURN)];
    let vocabulary = Vocabulary::new("rwkv", "", tokens);
    Ok(Vocabulary { fixed, defaults, pre: None, ..vocabulary })
}

/// Parses a line.
fn token(line: &str) -> Result<Vec<u8>, String> {
    let parts = line.split_once(' ').and_then(|(_, rest)| rest.rsplit_once(' '));
    let (text, length) = parts.ok_or("expected an id, a token and its length")?;
    let bytes = literal(text).ok_or_else(|| format!("{text} is no string in Python's notation"))?;
    match length.trim().parse::<usize>() {
        Ok(length) if length == bytes.len() => Ok(bytes),
        _ => Err(format!("{text} has {} bytes, not {}", bytes.len(), length.trim())),
    }
}

/// Evaluates a literal string or byte string.
fn literal(text: &str) -> Option<Vec<u8>> {
    let (binary, text) = match text.strip_prefix('b') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    let inside = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut bytes = Vec::new();
    let mut push = |code: u32| match (binary, u8::try_from(code)) {
        (true, code) => code.map(|code| bytes.push(code)).ok(),
        (false, _) => {
            let letter = char::from_u32(code)?;
            bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes());
            Some(())
        }
    };
    let mut letters = inside.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter == quote {
            return None;
        }
        if letter != '\\' {
            push(letter.into())?;
            continue;
        }
        let code = match letters.next()? {
            'n' => 0x0A,
            't' => 0x09,
            'r' => 0x0D,
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0C,
            'v' => 0x0B,
            same @ ('\\' | '\'' | '"') => same.into(),
            kind @ ('x' | 'u' | 'U') => {
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let mut code = 0;
                for _ in 0..digits {
                    code = (code << 4) + letters.next()?.to_digit(16)?;
                }
                code
            }
            first @ '0'..='7' => {
                let mut code = first.to_digit(8)?;
                for _ in 0..2 {
                    let Some(digit) = letters.peek().and_then(|it| it.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    letters.next();
                }
                code
            }
            _ => return None,
        };
        push(code)?;
    }
    Some(bytes)
}

/// Returns bytes as Python prints them, without the quotes around them.
fn printed(bytes: &[u8]) -> String {
    let quoted = bytes.contains(&b'\'') && bytes.contains(&b'"');
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'\'' if quoted => text.push_str("\\'"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parsed_and_printed_like_python() {
        for (line, bytes, text) in [
            (r"1 '\x00' 1", &b"\0"[..], r"\x00"),
            (r"129 b'\x80' 1", b"\x80", r"\x80"),
            (r"261 '\n\n' 2", b"\n\n", r"\n\n"),
            ("267 ' a' 2", b" a", " a"),
            ("300 'a b' 3", b"a b", "a b"),
            ("301 \"it's\" 4", b"it's", "it's"),
            ("302 '\\'\"' 2", b"'\"", "\\'\""),
            (r"303 '\\' 1", b"\\", r"\\"),
            ("304 '\u{e9}' 2", "\u{e9}".as_bytes(), r"\xc3\xa9"),
            (r"305 '\u00e9' 2", "\u{e9}".as_bytes(), r"\xc3\xa9"),
            (r"306 b'\0\101' 2", b"\0A", r"\x00A"),
        ] {
            assert_eq!(token(line).as_deref(), Ok(bytes), "{line}");
            assert_eq!(printed(bytes), text, "{line}");
        }
        for wrong in [
            "",
            "1",
            "1 'a'",
            "1 a 1",
            "1 'a' 2",
            "1 'a'b' 3",
            r"1 '\q' 1",
            r"1 b'\u1234' 1",
            "1 ' 1",
        ] {
            assert!(token(wrong).is_err(), "{wrong}");
        }
    }
}
