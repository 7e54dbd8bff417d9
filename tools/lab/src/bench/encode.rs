use std::path::Path;

use anyhow::{Context, ensure};
use fastrand::Rng;
use granule_encode::{Weighting, encode_rows, encoder};
use granule_format::BlockType;
use granule_reader::Model;
use granule_reader::isa::Isa;

use super::{clock, median};
use crate::conformance::flag;
use crate::conformance::reference::Reference;
use crate::record::Record;

/// Values that are encoded at once by the types without a search: 32 MB of `f32`, which come from
/// memory.
const VALUES: usize = 1 << 23;

/// The same for types with a search.
const VALUES_SEARCH: usize = 1 << 19;

/// The same for types that the reference encodes slowly.
const VALUES_SLOW: usize = 1 << 17;

/// The CPU time of each contestant in a round, in seconds.
const ROUND: f64 = 0.03;

/// The share of a copy's speed that is enough for types without a search.
const SHARE_OF_COPY: f64 = 0.6;

/// A table of the speed of each encoder, with and without importance weights, on weights of a GGUF
/// file with 32-bit or 16-bit tensors, one thread: `encode --model MODEL.gguf [--rounds N] [TYPE
/// ...]`.
///
/// The reference and Granule, with each instruction set, take turns in every round; what counts is
/// CPU time, and of the rounds the median. Granule's time includes looking for values that are not
/// finite and for blocks that are invalid. The importance weights are random: squares of numbers
/// spread over about two orders of magnitude.
pub(super) fn measure(arguments: &[String], record: &mut Record) -> anyhow::Result<()> {
    let model = flag(arguments, "--model").context("--model names a GGUF file")?;
    let rounds = flag(arguments, "--rounds").map_or(Ok(7), str::parse)?;
    let named = |ty: BlockType| arguments.iter().any(|name| BlockType::from_name(name) == Some(ty));
    let any_named = BlockType::ALL.iter().any(|ty| named(*ty));

    let (columns, all) = rows(Path::new(model))?;
    let mut rng = Rng::with_seed(8);
    let weights: Vec<f32> = (0..columns).map(|_| (6.0 * rng.f32() - 3.0).exp()).collect();
    let sets = Isa::available();
    let copy = copy(&all, rounds);
    println!("{} values of {model} in rows of {columns}, medians of {rounds} rounds", all.len());
    println!("a plain copy of the same bytes: {copy:.0} MB/s\n");
    record.add("copy of 32 MB", "MB/s", copy, None);
    print!("| type | weights | reference, MB/s |");
    sets.iter().for_each(|isa| print!(" {isa}, MB/s | ratio |"));
    println!(" target |\n|---|---|---|{}---|", "---|---|".repeat(sets.len()));

    let mut reference = Reference::start()?;
    for ty in BlockType::ALL.iter().copied() {
        let Some(encoder) = encoder(ty).filter(|_| ty.is_quantized()) else { continue };
        if (any_named && !named(ty)) || matches!(ty, BlockType::Q8_1 | BlockType::Q8_K) {
            continue;
        }
        let forms: &[bool] = match encoder.weighting() {
            Weighting::Ignored => &[false],
            Weighting::Optional => &[false, true],
            Weighting::Required => &[true],
        };
        for weighted in forms {
            let target = Target::of(ty, *weighted);
            let count = if ty.name().starts_with("IQ") {
                VALUES_SLOW
            } else if target.or_copy {
                VALUES
            } else {
                VALUES_SEARCH
            };
            // from the middle of the file
            let values = &all[(all.len() - count.min(all.len())) / 2 / columns * columns..];
            let values = &values[..count.min(values.len()) / columns * columns];
            let weights = weighted.then_some(weights.as_slice());
            let input = Input { ty, values, columns, weights };
            let (expected, found) = compare(&mut reference, &input, &sets, rounds)?;
            print!("| {} | {} | {expected:.0} |", ty.name(), if *weighted { "with" } else { "" });
            let mut verdicts = String::new();
            for (isa, speed) in sets.iter().zip(found) {
                print!(" {speed:.0} | {:.1} |", speed / expected);
                let case = format!("{}{}", ty.name(), if *weighted { ", importance" } else { "" });
                record.add_with(isa.name(), &case, "MB/s", speed, Some(("ggml", expected)));
                if let Some(ratio) = target.for_isa(*isa) {
                    let met = speed >= ratio * expected
                        || (target.or_copy && speed >= SHARE_OF_COPY * copy);
                    verdicts += if met { ", met" } else { ", missed" };
                }
            }
            println!(" {}{verdicts} |", target.name);
        }
    }
    Ok(())
}

/// The input of an encoder.
struct Input<'a> {
    ty: BlockType,
    values: &'a [f32],
    columns: usize,
    weights: Option<&'a [f32]>,
}

/// MB of `f32` in a second for the reference, and for Granule with each instruction set.
fn compare(
    reference: &mut Reference,
    input: &Input<'_>,
    sets: &[Isa],
    rounds: usize,
) -> anyhow::Result<(f64, Vec<f64>)> {
    let Input { ty, values, columns, weights } = *input;
    let mut out = vec![0; values.len() / ty.block_values() * ty.block_bytes()];
    let mut ask = |times| reference.encode_often(ty, values, columns, weights, times);
    let mut encode = |isa: Isa, times| {
        let mut result = Ok(());
        let seconds = clock::seconds(times, || {
            result = encode_rows(isa, ty, values, columns, weights, &mut out);
        });
        result.map(|()| (seconds, out.clone()))
    };

    // once to warm up, to see how often is enough, and to compare the bytes
    let expected = ask(1)?;
    let often = |seconds: f64| (ROUND / seconds).ceil().clamp(1.0, 1000.0) as u32;
    let often_theirs = often(expected.elapsed.as_secs_f64());
    let mut often_ours = Vec::new();
    for isa in sets {
        let (seconds, found) = encode(*isa, 1)?;
        ensure!(found == expected.blocks, "{ty} under {isa}: the bytes differ");
        often_ours.push(often(seconds));
    }
    let mut theirs = Vec::new();
    let mut ours = vec![Vec::new(); sets.len()];
    for _ in 0..rounds {
        theirs.push(ask(often_theirs)?.elapsed.as_secs_f64());
        for ((isa, times), ours) in sets.iter().zip(&often_ours).zip(&mut ours) {
            ours.push(encode(*isa, *times)?.0);
        }
    }
    let speed = |seconds: &mut Vec<f64>| values.len() as f64 * 4e-6 / median(seconds);
    Ok((speed(&mut theirs), ours.iter_mut().map(speed).collect()))
}

/// The speed of copying, in MB read in a second.
fn copy(values: &[f32], rounds: usize) -> f64 {
    let mut to = vec![0.0; values.len()];
    let mut copy = || {
        clock::seconds(10, || {
            to.copy_from_slice(std::hint::black_box(values));
            std::hint::black_box(&mut to);
        })
    };
    copy();
    let mut seconds: Vec<f64> = (0..rounds.max(5)).map(|_| copy()).collect();
    values.len() as f64 * 4e-6 / median(&mut seconds)
}

/// The target of a type, as ratios to the reference.
struct Target {
    name: &'static str,
    avx512: f64,
    avx2: f64,
    /// Or [`SHARE_OF_COPY`].
    or_copy: bool,
}

impl Target {
    const fn of(ty: BlockType, weighted: bool) -> Self {
        use BlockType as T;
        match ty {
            T::Q2_K | T::Q3_K | T::Q4_K | T::Q5_K | T::Q6_K | T::IQ4_NL | T::IQ4_XS => Self::SEARCH,
            T::IQ1_S | T::IQ1_M | T::IQ2_XXS | T::IQ2_XS | T::IQ2_S | T::IQ3_XXS | T::IQ3_S => {
                Self::CODEBOOK
            }
            _ if weighted => Self::SEARCH,
            _ => Self::PLAIN,
        }
    }

    const SEARCH: Self = Self { name: "6 / 8", avx512: 8.0, avx2: 6.0, or_copy: false };
    const CODEBOOK: Self = Self { name: "4 / 5", avx512: 5.0, avx2: 4.0, or_copy: false };
    const PLAIN: Self = Self { name: "3 or 60 %", avx512: 3.0, avx2: 3.0, or_copy: true };

    fn for_isa(&self, isa: Isa) -> Option<f64> {
        match isa.name() {
            "avx512" => Some(self.avx512),
            "avx2" => Some(self.avx2),
            _ => None,
        }
    }
}

/// Rows of whole super-blocks from all over a file, all of the same length, and that length.
fn rows(path: &Path) -> anyhow::Result<(usize, Vec<f32>)> {
    let model = Model::open(path)?;
    let mut tensors = model.tensors().filter(|tensor| tensor.shape().dimensions().len() > 1);
    let first = tensors.find(|tensor| tensor.row_values().is_multiple_of(256));
    let columns = first.context("no tensor has rows of whole super-blocks")?.row_values();
    let alike: Vec<_> = model.tensors().filter(|tensor| tensor.row_values() == columns).collect();
    let each = (VALUES / columns / alike.len()).max(1);
    let mut values = Vec::new();
    for tensor in alike {
        let each = each.min(tensor.rows());
        let start = (tensor.rows() - each) / 2;
        let at = values.len();
        values.resize(at + each * columns, 0.0);
        tensor.decode_rows(start..start + each, &mut values[at..])?;
    }
    Ok((columns, values))
}
