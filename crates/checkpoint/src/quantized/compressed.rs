//! Integers of up to 8 bits that compressed-tensors has packed: words along the columns, a scale
//! for each group of columns, for each row or for all, and maybe zero points packed along the rows.

use super::codes::{Codes, Spread, is_words};
use super::gptq::listed_groups;
use super::grouped::{Factors, Grouped, Groups, Zeros};
use super::{Fault, Joiner, entry, fault, rows, scaled, summary};
use crate::Problem;
use crate::data_type::DataType;
use crate::stored::StoredTensor;

/// Joins the tensors of a weight. `None` if there is no tensor with the shape.
pub(super) fn join(
    joiner: &mut Joiner<'_>,
    codes: &StoredTensor,
    base: &str,
) -> Result<Option<StoredTensor>, Fault> {
    let named = |end: &str| format!("{base}_{end}");
    if !joiner.names.contains_key(&named("shape")) || !is_words(codes) {
        return Ok(None);
    }
    match (joiner.entry, joiner.method()) {
        (None, _) => {}
        (Some(entry), Some("compressed-tensors")) if entry.other_packing().is_none() => {}
        (Some(entry), Some("compressed-tensors")) => {
            return Err(joiner.of_entry(entry::unread(entry.named()), codes));
        }
        _ => return Err(joiner.unread(codes, "compressed-tensors")),
    }
    let scales = joiner.partner(codes, named("scale"))?;
    let shape = joiner.partner(codes, named("shape"))?;
    let zeros = joiner.take(&named("zero_point"));
    let index = joiner.take(&named("g_idx"));
    let all = [Some(codes), Some(&scales), Some(&shape), zeros.as_ref(), index.as_ref()];
    let tensors = summary(&all.into_iter().flatten().collect::<Vec<_>>());
    let problem = |bits| fault(codes, Problem::Packed { tensors: tensors.clone(), bits });

    let [rows, columns] = dimensions(joiner, &shape)?;
    let words = codes.shape.get(1).copied().unwrap_or_default();
    let (bits, spread) = layout(joiner, columns, words).ok_or_else(|| problem(0))?;
    let packed = Codes { words: codes.clone(), bits, spread, rows: 0, packed: 1 };
    let groups = match scales.shape[..] {
        [found, groups] if found == rows => groups,
        [found] if found == rows => 1,
        _ if scales.values() == 1 => 1,
        _ => 0,
    };
    let scales = by_row(scales, groups);
    if !packed.fits(rows, columns) || groups == 0 || !scales.fit(rows) {
        return Err(problem(bits));
    }
    let listed = match index {
        // Numbers of -1 stand for columns in order.
        Some(index) if !scaled::any(&index, joiner.files, |number| number < 0.0)? => {
            Some(listed_groups(joiner, &index, columns, groups)?)
        }
        _ => None,
    };
    let group = joiner.entry.and_then(|entry| entry.compressed_group());
    if group.is_some_and(|size| size == 0 || columns.div_ceil(size) != groups) {
        return Err(problem(bits));
    }
    let even = columns.is_multiple_of(groups).then(|| columns / groups);
    let groups_of = match (listed, group.or(even)) {
        (Some(listed), _) => Groups::Listed(listed),
        (None, Some(size)) => Groups::Of(size),
        (None, None) => return Err(problem(bits)),
    };
    let zeros = match zeros {
        None => Zeros::Same(1 << (bits - 1)),
        Some(zeros) if is_words(&zeros) => {
            let spread = [Spread::Dense, Spread::Aligned].into_iter();
            let mut of = spread.map(|spread| Codes {
                words: zeros.clone(),
                bits,
                spread,
                rows: 0,
                packed: 0,
            });
            let fits = of.find(|zeros| zeros.fits(rows, groups));
            Zeros::Codes(fits.ok_or_else(|| problem(bits))?, 0)
        }
        Some(zeros)
            if zeros.ty == DataType::I8 && !scaled::any(&zeros, joiner.files, |z| z != 0.0)? =>
        {
            Zeros::Same(1 << (bits - 1))
        }
        Some(_) => return Err(problem(bits)),
    };
    joiner.check_scales(&scales.tensor)?;
    let groups = groups_of;
    let weight = Grouped { codes: packed, rows, columns, groups, scales, zeros, rounding: None };
    let made = rows::tensor(base.to_owned(), codes, weight);
    made.map(Some).map_err(|problem| fault(codes, problem))
}

/// Makes factors that lie row by row.
fn by_row(mut tensor: StoredTensor, groups: u64) -> Factors {
    if let [rows] = tensor.shape[..]
        && rows > 1
    {
        tensor.shape.push(1);
    }
    Factors { tensor, by_group: false, groups }
}

/// Reads the numbers of rows and columns.
fn dimensions(joiner: &Joiner<'_>, shape: &StoredTensor) -> Result<[u64; 2], Fault> {
    let mut dimensions = [0; 2];
    if matches!(shape.ty, DataType::I64 | DataType::I32) && shape.shape == [2] {
        let size = shape.ty.bytes() as usize;
        let mut bytes = vec![0; 2 * size];
        shape.read(joiner.files, 0, &mut bytes)?;
        for (to, from) in dimensions.iter_mut().zip(bytes.chunks_exact(size)) {
            let mut wide = [if from[size - 1] & 0x80 == 0 { 0 } else { 0xff }; 8];
            wide[..size].copy_from_slice(from);
            *to = u64::try_from(i64::from_le_bytes(wide)).unwrap_or_default();
        }
    }
    Ok(dimensions)
}

/// Finds the number of bits and the spread of codes: those of the entry that fit the shape, or else
/// the only number of bits that does. Older releases leave bits of a word unused where codes do not
/// fill it.
fn layout(joiner: &Joiner<'_>, columns: u64, words: u64) -> Option<(u32, Spread)> {
    let fitting = |bits: u32| {
        let spreads = [Spread::Aligned, Spread::Dense].into_iter();
        let mut fits = spreads.filter(move |spread| spread.words(columns, bits) == words);
        fits.next().map(|spread| (bits, spread))
    };
    let said = joiner.entry.map(|entry| entry.compressed_bits()).unwrap_or_default();
    if let [bits] = said[..] {
        return fitting(bits);
    }
    let candidates = if said.is_empty() { (1..=8).collect() } else { said };
    let mut found = candidates.into_iter().filter_map(fitting);
    found.next().filter(|_| found.next().is_none())
}
