//! The tokens of each position whose probability is at least 2^-24, and the sum of the others.
//!
//! An error of a logarithm counts in proportion to its probability. So probable tokens have codes
//! of 16 bits, whose square is proportional to the negative logarithm; those below 2^-14 have 8
//! bits.

use std::io::{self, Write};

use super::super::score::Row;
use super::super::{Base, LogitError};
use super::cursor::{Cursor, put_varint};
use super::{BaseFileError, Heading, llama};

pub(super) const MAGIC: &[u8; 8] = b"_sparse_";

/// The negative logarithm of 2^-14. Tokens up to here have fine codes.
const FINE: f64 = 14.0 * std::f64::consts::LN_2;
/// The largest fine code.
const FINE_LAST: f64 = 65535.0;
/// From the last fine logarithm to the last that is listed.
const COARSE: f64 = 10.0 * std::f64::consts::LN_2;
/// The number of coarse codes. The next code says that a fine one is meant.
const COARSE_CODES: u8 = 255;

/// How a row says which tokens it lists.
const AS_DISTANCES: u8 = 0;
const AS_BITS: u8 = 1;

pub(super) fn write_heading(out: &mut impl Write, heading: &Heading) -> io::Result<()> {
    let mut bytes = Vec::new();
    llama::write_heading(&mut bytes, heading)?;
    bytes[..8].copy_from_slice(MAGIC);
    out.write_all(&bytes)
}

pub(super) fn write_row(logits: &[f32], target: u32, out: &mut Vec<u8>) -> Result<(), LogitError> {
    let row = Row::of(logits)?;
    let of_target = row.log_probability(logits, target)?;
    let (mut tokens, mut codes, mut fine) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = 0.0;
    for (token, logit) in (0..).zip(logits) {
        let log = f64::from(*logit) - row.total;
        if log < -FINE - COARSE {
            rest += libm::exp(log);
            continue;
        }
        tokens.push(token);
        if log >= -FINE {
            codes.push(COARSE_CODES);
            fine.extend(fine_code(log).to_le_bytes());
        } else {
            codes.push(coarse_code(log));
        }
    }
    for number in [of_target as f32, rest as f32] {
        out.extend(number.to_le_bytes());
    }
    for number in [row.top, tokens.len() as u32] {
        put_varint(number, out);
    }
    put_tokens(&tokens, logits.len(), out);
    out.extend(codes);
    out.extend(fine);
    Ok(())
}

/// Returns `Ok(None)` if the row is damaged.
pub(super) fn read_row(
    cursor: &mut Cursor<'_>,
    vocabulary: u32,
) -> Result<Option<Base>, BaseFileError> {
    let [target, rest] = [cursor.f32()?, cursor.f32()?].map(f64::from);
    let [top, count] = [cursor.varint()?, cursor.varint()?];
    let valid = top < vocabulary && count <= vocabulary && target <= 0.0 && target.is_finite();
    if !valid || !(0.0..1.0).contains(&rest) {
        return Ok(None);
    }
    let Some(tokens) = take_tokens(cursor, count, vocabulary)? else { return Ok(None) };
    let codes = cursor.take(tokens.len())?;
    let mut listed = Vec::with_capacity(tokens.len());
    for (token, code) in tokens.into_iter().zip(codes) {
        let log = match *code {
            COARSE_CODES => {
                let code = cursor.take(2)?;
                fine_log(u16::from_le_bytes([code[0], code[1]]))
            }
            code => coarse_log(code),
        };
        listed.push((token, log));
    }
    // what rounding added or took is spread, so that the whole is 1 again
    let sum = rest + listed.iter().map(|(_, log)| libm::exp(*log)).sum::<f64>();
    if sum <= 0.0 {
        return Ok(None);
    }
    let excess = libm::log(sum);
    listed.iter_mut().for_each(|(_, log)| *log -= excess);
    let vocabulary = vocabulary as usize;
    Ok(Some(Base { vocabulary, top, target, listed, rest: rest / sum }))
}

/// Writes rising tokens in the shorter of two ways: how many are skipped before each, or a bit for
/// each token of the vocabulary.
fn put_tokens(tokens: &[u32], vocabulary: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(AS_DISTANCES);
    let mut next = 0;
    for token in tokens {
        put_varint(token - next, out);
        next = token + 1;
    }
    let bytes = vocabulary.div_ceil(8);
    if out.len() - start > 1 + bytes {
        out.truncate(start);
        out.push(AS_BITS);
        out.resize(start + 1 + bytes, 0);
        for token in tokens {
            out[start + 1 + *token as usize / 8] |= 1 << (token % 8);
        }
    }
}

fn take_tokens(
    cursor: &mut Cursor<'_>,
    count: u32,
    vocabulary: u32,
) -> Result<Option<Vec<u32>>, BaseFileError> {
    let mut tokens = Vec::new();
    match cursor.take(1)?[0] {
        AS_DISTANCES => {
            let mut next = 0_u32;
            for _ in 0..count {
                let token = next.checked_add(cursor.varint()?).filter(|it| *it < vocabulary);
                let Some(token) = token else { return Ok(None) };
                tokens.push(token);
                next = token + 1;
            }
        }
        AS_BITS => {
            let bits = cursor.take(vocabulary.div_ceil(8) as usize)?;
            let is_set = |token: &u32| bits[*token as usize / 8] & 1 << (token % 8) != 0;
            tokens.extend((0..vocabulary).filter(is_set));
        }
        _ => return Ok(None),
    }
    Ok((tokens.len() == count as usize).then_some(tokens))
}

fn fine_code(log: f64) -> u16 {
    ((-log.min(0.0) / FINE).sqrt() * FINE_LAST).round() as u16
}

fn fine_log(code: u16) -> f64 {
    let part = f64::from(code) / FINE_LAST;
    -part * part * FINE
}

fn coarse_code(log: f64) -> u8 {
    let steps = (-log - FINE) / COARSE * f64::from(COARSE_CODES);
    (steps as u8).min(COARSE_CODES - 1)
}

/// The middle of a step.
fn coarse_log(code: u8) -> f64 {
    -FINE - (f64::from(code) + 0.5) / f64::from(COARSE_CODES) * COARSE
}
