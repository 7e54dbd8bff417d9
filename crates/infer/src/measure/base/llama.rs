//! The form of `llama-perplexity`: for each position a scale and the least logarithm of a
//! probability as `f32`, two unused numbers of 16 bits where the scale's lanes end, then a code of
//! 16 bits for each token. Logits more than 16 below the largest are raised to that.

use std::io::{self, Write};

use super::super::score::Row;
use super::super::{Base, LogitError, scored};
use super::Heading;

pub(super) const MAGIC: &[u8; 8] = b"_logits_";

/// What is raised to this far below the largest logit.
const RANGE: f32 = 16.0;
/// Tokens at or below this logarithm of a probability are left out of the divergence.
const LEAST: f32 = -16.0;

pub(super) fn write_heading(out: &mut impl Write, heading: &Heading) -> io::Result<()> {
    out.write_all(MAGIC)?;
    let chunks = heading.chunks().len() as u32;
    for number in [heading.chunk_tokens, heading.vocabulary, chunks] {
        out.write_all(&number.to_le_bytes())?;
    }
    let tokens: Vec<u8> = heading.tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
    out.write_all(&tokens)
}

/// The bytes of a row: an even number of codes, and room for four before them.
pub(super) fn row_bytes(vocabulary: u32) -> u64 {
    2 * (2 * u64::from(vocabulary).div_ceil(2) + 4)
}

/// The bytes of all rows.
pub(super) fn data_bytes(chunk_tokens: u32, vocabulary: u32, chunks: u32) -> Option<u64> {
    let rows = (scored(chunk_tokens as usize) as u64).checked_mul(u64::from(chunks))?;
    rows.checked_mul(row_bytes(vocabulary))
}

pub(super) fn write_row(logits: &[f32], out: &mut Vec<u8>) -> Result<(), LogitError> {
    let row = Row::of(logits)?;
    let least = row.least.max(row.most - RANGE);
    let scale = (row.most - least) / 65535.0;
    let sum = (row.total - f64::from(row.most)) as f32;
    let start = out.len();
    out.extend(scale.to_le_bytes());
    out.extend((least - row.most - sum).to_le_bytes());
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let code = |logit: &f32| {
        let code = if *logit > least { inverse * (logit - least) } else { 0.0 };
        (code.round_ties_even() as u16).to_le_bytes()
    };
    out.extend(logits.iter().flat_map(code));
    out.resize(start + row_bytes(logits.len() as u32) as usize, 0);
    Ok(())
}

/// Returns `None` if the row is damaged.
pub(super) fn read_row(bytes: &[u8], vocabulary: u32, target: u32) -> Option<Base> {
    let float =
        |at: usize| f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (scale, least) = (float(0), float(4));
    let codes = bytes[8..].chunks_exact(2).take(vocabulary as usize);
    let codes = codes.map(|code| f32::from(u16::from_le_bytes([code[0], code[1]])));
    let (mut top, mut most, mut of_target) = (0, f32::NEG_INFINITY, f32::NAN);
    let mut listed = Vec::new();
    for (token, code) in (0..).zip(codes) {
        let log = scale * code + least;
        if !log.is_finite() {
            return None;
        }
        if log > most {
            (top, most) = (token, log);
        }
        if token == target {
            of_target = log;
        }
        if log > LEAST {
            listed.push((token, f64::from(log)));
        }
    }
    let vocabulary = vocabulary as usize;
    Some(Base { vocabulary, top, target: f64::from(of_target), listed, rest: 0.0 })
}
