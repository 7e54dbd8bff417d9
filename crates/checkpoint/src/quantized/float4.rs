//! Which tensors form a weight with floating-point codes of 4 or 8 bits: MXFP4, NVFP4 and MXFP8, by
//! the types and shapes of codes and scales.

use super::scaled::{self, Bad};
use super::{Fault, Joiner, fault, mxfp4, nvfp4, summary};
use crate::data_type::DataType;
use crate::stored::{Factors, StoredTensor};
use crate::{Problem, QuantizedProblem};

/// Packs pairs of neighbouring codes as a block of a GGUF file has them: each byte holds a code of
/// the first half and the one at the same place of the second.
pub(super) fn pair_halves(pairs: &[u8], to: &mut [u8]) {
    let (first, second) = pairs.split_at(pairs.len() / 2);
    let halves = first.iter().zip(second);
    for (to, (a, b)) in to.as_chunks_mut::<2>().0.iter_mut().zip(halves) {
        *to = [a & 0xf | b << 4, a >> 4 | b & 0xf0];
    }
}

/// Joins `*_blocks` with `*_scales`, as gpt-oss has them.
pub(super) fn blocks(
    joiner: &mut Joiner<'_>,
    codes: &StoredTensor,
    base: &str,
) -> Result<Option<StoredTensor>, Fault> {
    if codes.ty != DataType::U8 {
        return Ok(None);
    }
    let scales = joiner.partner(codes, format!("{base}_scales"))?;
    let joined = mxfp4::join(codes.clone(), scales);
    joined.map(Some).map_err(|problem| fault(codes, problem))
}

/// Joins `*.weight` with its scales: pairs of codes in bytes.
pub(super) fn weight(
    joiner: &mut Joiner<'_>,
    codes: &StoredTensor,
    base: &str,
) -> Result<Option<StoredTensor>, Fault> {
    pairs(joiner, codes, &format!("{base}.weight"), ("scale_2", "input_scale", false))
}

/// Joins `*_packed` with its scales, as compressed-tensors writes them. The factors are inverse.
pub(super) fn packed(
    joiner: &mut Joiner<'_>,
    codes: &StoredTensor,
    base: &str,
) -> Result<Option<StoredTensor>, Fault> {
    pairs(joiner, codes, base, ("global_scale", "input_global_scale", true))
}

/// Joins the tensors of the weight `name`. `second` and `input` are the ends of the names of its
/// factors.
fn pairs(
    joiner: &mut Joiner<'_>,
    codes: &StoredTensor,
    name: &str,
    (second, input, inverse): (&str, &str, bool),
) -> Result<Option<StoredTensor>, Fault> {
    if !matches!(codes.ty, DataType::U8 | DataType::I8) {
        return Ok(None);
    }
    let module = name.strip_suffix(".weight").unwrap_or(name);
    let candidates = [format!("{name}_scale"), format!("{module}.scale")];
    let Some((scale, ty)) = candidates
        .into_iter()
        .find_map(|scale| joiner.get(&scale).map(|found| found.ty).map(|ty| (scale, ty)))
    else {
        return Ok(None);
    };
    match ty {
        DataType::F8E4M3 => {}
        // Bytes as scales are exponents.
        DataType::F8E8M0 => return power(joiner, codes, name, scale).map(Some),
        DataType::U8 if codes.ty == DataType::U8 => {
            return power(joiner, codes, name, scale).map(Some);
        }
        _ => return Ok(None),
    }
    let scales = joiner.partner(codes, scale)?;
    let factors = Factors {
        scale: factor(joiner, &format!("{name}_{second}"), inverse)?,
        input: factor(joiner, &format!("{module}.{input}"), inverse)?,
    };
    nv(joiner, codes.clone(), name, scales, factors).map(Some)
}

fn nv(
    joiner: &Joiner<'_>,
    codes: StoredTensor,
    name: &str,
    scales: StoredTensor,
    factors: Factors,
) -> Result<StoredTensor, Fault> {
    let of = scales.clone();
    nvfp4::join(name.to_owned(), codes, scales, factors, joiner.files).map_err(|bad| match bad {
        Bad::Scale(problem) => fault(&of, problem),
        Bad::File(error) => Fault::Other(error),
    })
}

/// Reads a factor for a whole tensor; 1 if there is none.
fn factor(joiner: &mut Joiner<'_>, name: &str, inverse: bool) -> Result<u32, Fault> {
    let Some(tensor) = joiner.take(name) else { return Ok(1_f32.to_bits()) };
    if tensor.values() != 1 || !super::is_float(tensor.ty) {
        return Err(fault(&tensor, QuantizedProblem::Factor { tensors: summary(&[&tensor]) }));
    }
    let mut bytes = vec![0; tensor.ty.bytes() as usize];
    tensor.read(joiner.files, 0, &mut bytes)?;
    let value = tensor.ty.widen(&bytes)[0];
    let factor = if inverse { 1.0 / value } else { value };
    if !factor.is_finite() || !value.is_finite() {
        return Err(fault(&tensor, Problem::Scale { index: 0, value }));
    }
    Ok(factor.to_bits())
}

/// Joins pairs of codes with scales that are powers of two.
fn power(
    joiner: &mut Joiner<'_>,
    codes: &StoredTensor,
    name: &str,
    scale: String,
) -> Result<StoredTensor, Fault> {
    let scales = joiner.partner(codes, scale)?;
    mx(joiner, codes.clone(), name, scales)
}

fn mx(
    joiner: &Joiner<'_>,
    mut codes: StoredTensor,
    name: &str,
    mut scales: StoredTensor,
) -> Result<StoredTensor, Fault> {
    let place = codes.clone();
    let shapes = QuantizedProblem::FloatShapes {
        codes: codes.shape.clone(),
        scales: scales.shape.clone(),
        other: scales.name.clone(),
        group: mxfp4::VALUES,
        multiple: mxfp4::VALUES,
    };
    let [rows @ .., pairs] = &codes.shape[..] else { return Err(fault(&place, shapes)) };
    if rows.is_empty() || !pairs.is_multiple_of(mxfp4::CODES as u64) {
        return Err(fault(&place, shapes));
    }
    let blocks = [rows, &[pairs / mxfp4::CODES as u64, mxfp4::CODES as u64]].concat();
    if blocks[..blocks.len() - 1] != scales.shape {
        return Err(fault(&place, shapes));
    }
    if let Some((index, value)) = scaled::first(
        &StoredTensor { ty: DataType::F8E8M0, ..scales.clone() },
        joiner.files,
        |value| !value.is_finite(),
    )? {
        return Err(fault(&scales, Problem::Scale { index, value }));
    }
    codes.shape = blocks;
    codes.ty = DataType::U8;
    scales.ty = DataType::U8;
    let joined = mxfp4::join(codes, scales).map_err(|problem| fault(&place, problem))?;
    Ok(StoredTensor { name: name.to_owned(), ..joined })
}

/// Joins words of MLX with scales of 8 bits: MXFP4, NVFP4 or MXFP8 by the number of values that
/// share one.
pub(super) fn of_mlx(
    joiner: &Joiner<'_>,
    words: &StoredTensor,
    scales: StoredTensor,
) -> Result<StoredTensor, Fault> {
    let problem = || fault(words, Problem::Packed { tensors: summary(&[words, &scales]), bits: 4 });
    let ([rows, width], [scale_rows, groups]) = (&words.shape[..], &scales.shape[..]) else {
        return Err(problem());
    };
    let mut codes = words.as_bytes().ok_or_else(problem)?;
    if rows != scale_rows || scales.ty != DataType::U8 || *groups == 0 {
        return Err(problem());
    }
    let name = words.name.as_str();
    let bytes = width.saturating_mul(4);
    match (bytes / groups, bytes % groups) {
        (16, 0) => mx(joiner, codes, name, scales),
        (8, 0) => {
            let scales = StoredTensor { ty: DataType::F8E4M3, ..scales };
            nv(joiner, codes, name, scales, Factors::ONE)
        }
        (32, 0) => {
            codes.ty = DataType::F8E4M3;
            let scales = StoredTensor { ty: DataType::F8E8M0, ..scales };
            joiner.check_scales(&scales)?;
            let joined = scaled::scale(codes, scales, None, Some(&[1, 32]), None);
            joined.map_err(|problem| fault(words, problem))
        }
        _ => Err(problem()),
    }
}
