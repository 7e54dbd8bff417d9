use std::fs;
use std::hint::black_box;

use anyhow::Context;
use fastrand::Rng;
use granule_format::check::{Checker, Options, Piece};
use granule_format::{
    Array, BlockType, Draft, Endian, Header, Metadata, Shape, StringArray, TensorType, check,
};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use super::{clock, median};
use crate::conformance::flag;
use crate::record::Record;
use xtask::run::root;

/// The time of a measurement in a round, in seconds.
const ROUND: f64 = 0.03;

/// Bytes of a tensor whose blocks are scanned: more than the caches hold.
const TENSOR_BYTES: usize = 256 << 20;

/// Makes a header with that many of something.
type Maker = fn(usize) -> anyhow::Result<Vec<u8>>;

/// How headers can be large.
const SHAPES: &[(&str, Maker)] = &[
    ("keys", many_keys),
    ("tensors", many_tensors),
    ("strings of an array", many_strings),
    ("numbers of an array", many_numbers),
    ("arrays of an array", many_arrays),
];

/// Tables of the time that opening and checking take for each byte of metadata, and of the speed of
/// scanning blocks compared with that of reading them: `bench check [--rounds N] [TYPE ...]`.
pub(super) fn measure(arguments: &[String], record: &mut Record) -> anyhow::Result<()> {
    let rounds = flag(arguments, "--rounds").map_or(Ok(7), str::parse)?;
    structure(rounds, record)?;
    let named: Vec<BlockType> =
        arguments.iter().filter_map(|name| BlockType::from_name(name)).collect();
    let all = BlockType::ALL.iter().copied().filter(|ty| named.is_empty() || named.contains(ty));
    println!(
        "| type | reading, GB/s | scan | of reading | 2 threads: reading | scan | of reading |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut rng = Rng::with_seed(1);
    let noise: Vec<u8> = (0..1 << 20).map(|_| rng.u8(..)).collect();
    for ty in all {
        scan(ty, &noise, rounds, record)?;
    }
    Ok(())
}

/// Nanoseconds a byte of metadata, with 10,000 and with 20,000 of everything; the worst of
/// the committed files.
fn structure(rounds: usize, record: &mut Record) -> anyhow::Result<()> {
    println!(
        "| header with many | bytes | opening, ns a byte | twice as many | checking | twice as \
         many |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, header) in SHAPES {
        let files = [header(10_000)?, header(20_000)?];
        let mut times = [(); 4].map(|()| Vec::new());
        for _ in 0..rounds {
            for (i, file) in files.iter().enumerate() {
                times[i].push(nanoseconds(file, |file| drop(black_box(Header::parse(file)))));
                times[i + 2].push(nanoseconds(file, |file| {
                    let options = Options::default().with_structure_only(true);
                    drop(black_box(check(file, &options)));
                }));
            }
        }
        let [open, open_twice, check, check_twice] = times.map(|mut times| median(&mut times));
        for (work, count, time) in [
            ("opening", "10,000", open),
            ("opening", "20,000", open_twice),
            ("checking", "10,000", check),
            ("checking", "20,000", check_twice),
        ] {
            record.add(&format!("{work} a header with {count} {name}"), "ns/byte", time, None);
        }
        println!(
            "| {name} | {} | {open:.2} | {open_twice:.2} | {check:.2} | {check_twice:.2} |",
            files[0].len()
        );
    }
    let mut worst = (0.0, String::new());
    for folder in ["fuzz/check", "fuzz/header", "fuzz/differential", "files/invalid", "files/valid"]
    {
        for entry in fs::read_dir(root().join("fixtures").join(folder))? {
            let path = entry?.path();
            let file = fs::read(&path)?;
            let mut times: Vec<f64> = (0..rounds)
                .map(|_| {
                    nanoseconds(&file, |file| drop(black_box(check(file, &Options::default()))))
                })
                .collect();
            let time = median(&mut times);
            if time > worst.0 && file.len() > 64 {
                let name = path.strip_prefix(root()).unwrap_or(&path).display();
                worst = (time, format!("{name}, {} bytes", file.len()));
            }
        }
    }
    record.add("checking the slowest committed file", "ns/byte", worst.0, None);
    println!("\nThe slowest committed file: {:.0} ns a byte ({}).\n", worst.0, worst.1);
    Ok(())
}

/// Nanoseconds of CPU time that `work` takes for each byte of a file.
fn nanoseconds(file: &[u8], work: impl Fn(&[u8])) -> f64 {
    let once = clock::seconds(1, || work(file));
    let times = (ROUND / once.max(1e-7)).clamp(1.0, 1000.0) as u32;
    clock::seconds(times, || work(file)) * 1e9 / file.len().max(1) as f64
}

/// A row of the table of scans.
fn scan(ty: BlockType, noise: &[u8], rounds: usize, record: &mut Record) -> anyhow::Result<()> {
    let file = file_of(ty, noise)?;
    let mut row = format!("| {ty} |");
    for threads in [1, 2] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
        let (mut reading, mut scanning) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let speed = |seconds: f64| file.len() as f64 / seconds / 1e9;
            reading.push(speed(pool.install(|| {
                clock::seconds_of(threads, 1, || {
                    black_box(file.par_chunks(4 << 20).map(sum).reduce(|| 0, u64::wrapping_add));
                })
            })));
            scanning.push(speed(pool.install(|| {
                clock::seconds_of(threads, 1, || {
                    let checker = Checker::new(&file, &Options::default());
                    let found = checker.pieces().into_par_iter().map(|piece| piece.scan().len());
                    black_box(found.sum::<usize>());
                })
            })));
        }
        let (reading, scanning) = (median(&mut reading), median(&mut scanning));
        let case = format!("{ty}: scan blocks, {threads} thread{}", ["", "s"][threads - 1]);
        record.add(&case, "GB/s", scanning, Some(("summing bytes", reading)));
        row += &format!(" {reading:.1} | {scanning:.1} | {:.0} % |", 100.0 * scanning / reading);
    }
    println!("{row}");
    Ok(())
}

/// The sum of the bytes as 64-bit numbers: reads memory and does next to nothing else.
fn sum(bytes: &[u8]) -> u64 {
    bytes
        .as_chunks()
        .0
        .iter()
        .fold(0, |sum: u64, number| sum.wrapping_add(u64::from_le_bytes(*number)))
}

/// A file with one tensor of valid blocks.
fn file_of(ty: BlockType, noise: &[u8]) -> anyhow::Result<Vec<u8>> {
    // blocks that nothing is to be said about, among those of random bytes as far as there are any;
    // else zeros
    let block = ty.block_bytes();
    let valid: Vec<u8> = noise
        .chunks_exact(block)
        .filter(|bytes| {
            let (name, endian) = (String::new(), Endian::Little);
            Piece { name, ty, bytes, first_block: 0, offset: 0, endian }.scan().is_empty()
        })
        .flatten()
        .copied()
        .collect();
    let valid = if valid.is_empty() { vec![0; block] } else { valid };
    let values = (TENSOR_BYTES / block * ty.block_values()) as u64;
    let mut draft = Draft::new(Metadata::new(), Endian::Little)?;
    let shape = Shape::new(&[values]).context("one dimension")?;
    draft.add("weights", shape, TensorType::Known(ty))?;
    let mut file = draft.header();
    let data = valid.iter().copied().cycle().take(TENSOR_BYTES / block * block);
    file.extend(data);
    file.resize(file.len().next_multiple_of(32), 0);
    Ok(file)
}

fn header_of(metadata: Metadata) -> anyhow::Result<Vec<u8>> {
    Ok(Draft::new(metadata, Endian::Little)?.header())
}

fn many_keys(count: usize) -> anyhow::Result<Vec<u8>> {
    let mut metadata = Metadata::new();
    (0..count as u32).for_each(|i| metadata.set(&format!("a.key.{i}"), i));
    header_of(metadata)
}

fn many_tensors(count: usize) -> anyhow::Result<Vec<u8>> {
    let mut draft = Draft::new(Metadata::new(), Endian::Little)?;
    for i in 0..count {
        let shape = Shape::new(&[8]).context("one dimension")?;
        draft.add(&format!("blk.{i}.weight"), shape, TensorType::Known(BlockType::F32))?;
    }
    let mut file = draft.header();
    file.resize(file.len() + 32 * count, 0);
    Ok(file)
}

fn many_strings(count: usize) -> anyhow::Result<Vec<u8>> {
    let strings: StringArray = (0..count).map(|i| format!("token {i}")).collect();
    array(Array::String(strings))
}

fn many_numbers(count: usize) -> anyhow::Result<Vec<u8>> {
    array(Array::U32((0..count as u32).collect()))
}

fn many_arrays(count: usize) -> anyhow::Result<Vec<u8>> {
    array(Array::Array((0..count).map(|i| Array::U8(vec![i as u8])).collect()))
}

fn array(array: Array) -> anyhow::Result<Vec<u8>> {
    let mut metadata = Metadata::new();
    metadata.set("tokenizer.ggml.tokens", array);
    header_of(metadata)
}
