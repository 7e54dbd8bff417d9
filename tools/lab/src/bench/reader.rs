use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use fastrand::Rng;
use granule_encode::{Weighting, encode_rows, encoder};
use granule_format::{BlockType, Draft, Endian, Metadata, Shape, Writer};
use granule_reader::isa::Isa;
use granule_reader::{Model, Tensor, decode_blocks};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde_json::{Value, json};

use super::peer::{Peer, build_candle};
use super::{clock, median, opening};
use crate::conformance::flag;
use crate::record::Record;

const HELP: &str = "bench reader [--products] [--decode] [--open FILE.gguf] [--candle] [TYPE ...]
    --decode                  every type's decoding, against ggml's functions
    --products                matrix times vector and times a batch of 64, against ggml
    --candle                  products against candle too, built in CANDLE_TARGET_DIR
    --open FILE               opening a file, against gguf_init_from_file
    --rows N --columns N      the matrix (default: 4096, 4096)
    --threads N               products with N threads only (default: with 1, then with 2)
    --rounds N                rounds in which all take turns (default: 7)";

/// Vectors of a batch.
const BATCH: usize = 64;

/// The time of each contestant in a round, in seconds.
const ROUND: f64 = 0.05;

/// Rows that are encoded; they are repeated.
const DIFFERENT_ROWS: usize = 8;

/// Tables of the speed of decoding, products and opening; see [`HELP`].
///
/// All take turns in every round; of the rounds the median counts. With one thread time is CPU
/// time, with two that on the wall. The instruction set is the best, or what `GRANULE_ISA` names.
pub(super) fn measure(arguments: &[String], record: &mut Record) -> anyhow::Result<()> {
    if let Some(path) = flag(arguments, "--open-alone") {
        return opening::alone(Path::new(path));
    }
    let number = |name: &str, default: usize| flag(arguments, name).map_or(Ok(default), str::parse);
    let (rows, columns) = (number("--rows", 4096)?, number("--columns", 4096)?);
    let rounds = number("--rounds", 7)?;
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let named: Vec<BlockType> =
        arguments.iter().filter_map(|name| BlockType::from_name(name)).collect();
    if !["--decode", "--products", "--open"].into_iter().any(has) {
        bail!("{HELP}");
    }

    println!("medians of {rounds} rounds, {rows} rows of {columns} weights, {}\n", Isa::detect());
    if let Some(path) = flag(arguments, "--open") {
        opening::compare(Path::new(path), rounds, record)?;
    }
    let candle = has("--candle").then(build_candle).transpose()?;
    let folder = std::env::temp_dir().join(format!("granule-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let mut rng = Rng::with_seed(7);
    let bench = Bench { rows, columns, rounds, x: vectors(BATCH * columns, &mut rng), folder };
    bench.write("x", &bench.x)?;

    let types = BlockType::ALL.iter().copied().filter(|ty| {
        let inner = matches!(ty, BlockType::Q8_1 | BlockType::Q8_K); // of activations, not in files
        let wanted = named.is_empty() || named.contains(ty);
        let plain = matches!(ty, BlockType::F16 | BlockType::BF16);
        wanted && !inner && (ty.is_quantized() || plain)
    });
    let types: Vec<BlockType> = types.collect();
    let result = (|| {
        if has("--decode") {
            bench.decoding(&types, record)?;
        }
        if has("--products") {
            for threads in
                number("--threads", 0).map(|n| if n == 0 { vec![1, 2] } else { vec![n] })?
            {
                bench.products(&types, threads, candle.as_deref(), record)?;
            }
        }
        Ok(())
    })();
    fs::remove_dir_all(&bench.folder)?;
    result
}

struct Bench {
    rows: usize,
    columns: usize,
    rounds: usize,
    /// Activations.
    x: Vec<f32>,
    /// For what other processes read.
    folder: PathBuf,
}

/// Something that is measured: the mean seconds of that many runs, or none if it cannot run.
type Contestant<'a> = &'a mut dyn FnMut(u32) -> anyhow::Result<Option<f64>>;

impl Bench {
    fn decoding(&self, types: &[BlockType], record: &mut Record) -> anyhow::Result<()> {
        println!(
            "GB/s of `f32`. \"Row\": a row at a time into the same buffer. \"Whole\": all rows \
             into {:.0} MB; filling is `slice::fill`.\n",
            (self.rows * self.columns) as f64 * 4e-6
        );
        println!(
            "| type | row: ggml | Granule | ratio | aim | whole: ggml | filling | Granule \
             | of filling | aim | 2 threads: ggml | filling | Granule | of filling |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
        let mut reference = Peer::reference()?;
        let mut out = vec![1.0; self.rows * self.columns];
        for ty in types.iter().copied() {
            let model = self.prepare(ty)?;
            let tensor = model.tensor("weights").context("weights")?;
            let blocks = tensor.bytes().context("weights in memory")?;

            let speeds = self.compete(&mut [
                &mut |times| reference.seconds(&self.request("decode", ty, 1, times)),
                &mut |times| {
                    let row_bytes = blocks.len() / self.rows;
                    let row = &mut out[..self.columns];
                    Ok(Some(clock::seconds(times, || {
                        for blocks in blocks.chunks_exact(row_bytes) {
                            decode_blocks(Isa::detect(), ty, std::hint::black_box(blocks), row);
                        }
                    })))
                },
            ])?;
            let [theirs, ours] = speeds[..] else { bail!("two were measured") };
            let (theirs, ours) = (self.bytes_per(theirs), self.bytes_per(ours));
            let aim = if theirs < 8.0 { 3.0 } else { 1.5 };
            let ratio = ours / theirs;
            let met = verdict(ratio >= aim);
            print!("| {} | {theirs:.1} | {ours:.1} | {ratio:.1} | {aim}, {met} |", ty.name());
            record.add(&format!("{ty}: decode row"), "GB/s", ours, Some(("ggml", theirs)));
            for threads in [1, 2] {
                let [theirs, filling, ours] =
                    self.whole(&mut reference, tensor, &mut out, threads)?;
                let share = ours / filling;
                let case = format!("{ty}: decode tensor, {}", counted(threads));
                record.add(&case, "GB/s", ours, Some(("ggml", theirs)));
                record.add(&case, "GB/s", ours, Some(("filling memory", filling)));
                print!(" {theirs:.1} | {filling:.1} | {ours:.1} | {:.0} % |", 100.0 * share);
                if threads == 1 {
                    print!(" 80 %, {} |", verdict(share >= 0.8));
                }
            }
            println!();
        }
        println!();
        Ok(())
    }

    /// The speeds of ggml, of filling and of Granule.
    fn whole(
        &self,
        reference: &mut Peer,
        tensor: Tensor<'_>,
        out: &mut [f32],
        threads: usize,
    ) -> anyhow::Result<[f64; 3]> {
        let ty = tensor.ty().known().context("a known type")?;
        let pool = pool(threads)?;
        let shared = std::cell::RefCell::new(out);
        let speeds = self.compete(&mut [
            &mut |times| reference.seconds(&self.request("whole", ty, threads, times)),
            &mut |times| {
                let mut guard = shared.borrow_mut();
                let out: &mut [f32] = &mut guard;
                let (first, second) = out.split_at_mut(self.rows * self.columns / 2);
                Ok(Some(pool.install(|| {
                    clock::seconds_of(threads, times, || {
                        if threads == 1 {
                            first.fill(std::hint::black_box(1.5));
                            second.fill(std::hint::black_box(1.5));
                        } else {
                            rayon::join(|| first.fill(1.5), || second.fill(1.5));
                        }
                    })
                })))
            },
            &mut |times| {
                let mut guard = shared.borrow_mut();
                let out: &mut [f32] = &mut guard;
                let mut result = Ok(());
                let seconds = pool.install(|| {
                    clock::seconds_of(threads, times, || {
                        result = if threads == 1 {
                            tensor.decode_rows(.., out)
                        } else {
                            tensor.par_decode_rows(.., out)
                        };
                    })
                });
                Ok(Some(result.map(|()| seconds)?))
            },
        ])?;
        let [theirs, filling, ours] = speeds[..] else { bail!("three were measured") };
        Ok([theirs, filling, ours].map(|seconds| self.bytes_per(seconds)))
    }

    fn products(
        &self,
        types: &[BlockType],
        threads: usize,
        candle: Option<&Path>,
        record: &mut Record,
    ) -> anyhow::Result<()> {
        println!("Billions of weights, and of multiply-adds, a second; {threads} threads.\n");
        println!(
            "| type | matvec: ggml | candle | Granule | packed | ratio | aim | {BATCH} vectors: \
             ggml | candle | Granule | packed | ratio | aim |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
        let mut reference = Peer::reference()?;
        let mut candle = candle.map(|program| Peer::candle(program, threads)).transpose()?;
        for ty in types.iter().copied() {
            let model = self.prepare(ty)?;
            let tensor = model.tensor("weights").context("weights")?;
            print!("| {} |", ty.name());
            for batch in [1, BATCH] {
                let found =
                    self.product(&mut reference, candle.as_mut(), tensor, batch, threads)?;
                let [plain, repacked, candle, ours, packed] = found.map(|seconds| {
                    seconds.map_or(0.0, |s| (self.rows * self.columns * batch) as f64 * 1e-9 / s)
                });
                let ggml = if repacked > plain {
                    format!("{repacked:.1} (repacked)")
                } else {
                    format!("{plain:.1}")
                };
                let (what, unit) = match batch {
                    1 => ("matvec".to_owned(), "G weights/s"),
                    _ => (format!("{batch} vectors"), "G products/s"),
                };
                let case = format!("{ty}: {what}, {}", counted(threads));
                let others = match repacked > plain {
                    true => [("ggml, repacked", repacked), ("candle", candle)],
                    false => [("ggml", plain), ("candle", candle)],
                };
                for other in others.into_iter().filter(|(_, speed)| *speed > 0.0) {
                    record.add(&case, unit, ours, Some(other));
                    record.add(&format!("{case}, packed"), unit, packed, Some(other));
                }
                let candle_text = if candle > 0.0 { format!("{candle:.1}") } else { String::new() };
                let ratio = ours.max(packed) / plain.max(repacked).max(candle);
                let aim = aim(ty)
                    .map_or(String::new(), |aim| format!("{aim}, {}", verdict(ratio >= aim)));
                print!(" {ggml} | {candle_text} | {ours:.1} | {packed:.1} | {ratio:.2} | {aim} |");
            }
            println!();
        }
        println!();
        Ok(())
    }

    /// The seconds of ggml, of ggml with weights in its own order, of candle, of Granule and of
    /// Granule with packed weights.
    fn product(
        &self,
        reference: &mut Peer,
        candle: Option<&mut Peer>,
        tensor: Tensor<'_>,
        batch: usize,
        threads: usize,
    ) -> anyhow::Result<[Option<f64>; 5]> {
        let ty = tensor.ty().known().context("a known type")?;
        let pool = pool(threads)?;
        let x = &self.x[..batch * self.columns];
        let mut y = vec![0.0; batch * self.rows];
        let packed = tensor.pack()?;
        let mut y_packed = y.clone();
        let request = |times, repacked, y: &str| {
            let mut request = self.request("product", ty, threads, times);
            request["batch"] = json!(batch);
            request["repacked"] = json!(repacked);
            request["x"] = json!(self.folder.join("x"));
            request["y"] = json!(self.folder.join(y));
            request
        };
        let reference = std::cell::RefCell::new(reference);
        let mut candle = candle;
        let found = self.compete_some(&mut [
            &mut |times| reference.borrow_mut().seconds(&request(times, false, "y0")),
            &mut |times| reference.borrow_mut().seconds(&request(times, true, "y1")),
            &mut |times| match &mut candle {
                Some(candle) => candle.seconds(&request(times, false, "y2")),
                None => Ok(None),
            },
            &mut |times| {
                let mut result = Ok(());
                let seconds = pool.install(|| {
                    clock::seconds_of(threads, times, || result = tensor.matmul(x, &mut y))
                });
                Ok(Some(result.map(|()| seconds)?))
            },
            &mut |times| {
                Ok(Some(pool.install(|| {
                    clock::seconds_of(threads, times, || packed.matmul(x, &mut y_packed))
                })))
            },
        ])?;
        let largest = y.iter().fold(0.0_f32, |largest, y| largest.max(y.abs()));
        let agrees = |theirs: &[f32]| {
            ensure!(theirs.len() == y.len(), "{ty}: {} results", theirs.len());
            let furthest = y.iter().zip(theirs).fold(0.0_f32, |f, (a, b)| f.max((a - b).abs()));
            ensure!(furthest <= 0.02 * largest, "{ty}: {furthest} apart, the largest is {largest}");
            Ok(())
        };
        for (index, _) in found[..3].iter().enumerate().filter(|(_, found)| found.is_some()) {
            agrees(&self.read(&format!("y{index}"))?)?;
        }
        agrees(&y_packed)?;
        found.try_into().map_err(|_| anyhow::anyhow!("five were measured"))
    }

    /// The median seconds of each. All must be able to run.
    fn compete(&self, contestants: &mut [Contestant<'_>]) -> anyhow::Result<Vec<f64>> {
        self.compete_some(contestants)?.into_iter().map(|s| s.context("one cannot do it")).collect()
    }

    /// The median seconds of each that can do it.
    fn compete_some(&self, contestants: &mut [Contestant<'_>]) -> anyhow::Result<Vec<Option<f64>>> {
        // once to warm up, and to see how often is enough
        let mut all = Vec::new();
        for contestant in &mut *contestants {
            contestant(1)?;
            all.push(contestant(1)?.map(|seconds| {
                ((ROUND / seconds.max(1e-9)).ceil().clamp(1.0, 1000.0) as u32, Vec::new())
            }));
        }
        for _ in 0..self.rounds {
            for (contestant, own) in contestants.iter_mut().zip(&mut all) {
                if let Some((times, seconds)) = own {
                    seconds.extend(contestant(*times)?);
                }
            }
        }
        Ok(all.into_iter().map(|own| own.map(|(_, mut seconds)| median(&mut seconds))).collect())
    }

    fn bytes_per(&self, seconds: f64) -> f64 {
        (self.rows * self.columns) as f64 * 4e-9 / seconds
    }

    fn request(&self, work: &str, ty: BlockType, threads: usize, times: u32) -> Value {
        json!({
            "work": work, "type": ty.id(), "name": ty.name(),
            "rows": self.rows, "columns": self.columns,
            "weights": self.folder.join(ty.name()), "threads": threads, "times": times,
        })
    }

    /// A matrix of weights as they are in models, in memory, and its blocks in a file.
    fn prepare(&self, ty: BlockType) -> anyhow::Result<Model> {
        let mut rng = Rng::with_seed(1);
        let values: Vec<f32> = vectors(DIFFERENT_ROWS * self.columns, &mut rng);
        let values: Vec<f32> = values.into_iter().map(|value| 0.02 * value).collect();
        let weights: Vec<f32> = (0..self.columns).map(|_| 0.5 + rng.f32()).collect();
        let encoder = encoder(ty).context("an encoder")?;
        let weights = (encoder.weighting() == Weighting::Required).then_some(&weights[..]);
        let mut blocks = vec![0; values.len() / ty.block_values() * ty.block_bytes()];
        encode_rows(Isa::detect(), ty, &values, self.columns, weights, &mut blocks)?;
        let bytes = blocks.len() / DIFFERENT_ROWS * self.rows;
        let blocks: Vec<u8> = blocks.into_iter().cycle().take(bytes).collect();
        fs::write(self.folder.join(ty.name()), &blocks)?;

        let mut draft = Draft::new(Metadata::new(), Endian::Little)?;
        let shape = Shape::new(&[self.columns as u64, self.rows as u64]).context("a shape")?;
        draft.add("weights", shape, ty.into())?;
        let mut writer = Writer::start(Vec::new(), draft)?;
        let mut data = writer.tensor("weights")?;
        data.write_all(&blocks)?;
        data.finish()?;
        Ok(Model::from_bytes(writer.finish()?)?)
    }

    fn write(&self, name: &str, values: &[f32]) -> anyhow::Result<()> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(fs::write(self.folder.join(name), bytes)?)
    }

    fn read(&self, name: &str) -> anyhow::Result<Vec<f32>> {
        let bytes = fs::read(self.folder.join(name))?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

/// Numbers like those of a normal distribution.
fn vectors(count: usize, rng: &mut Rng) -> Vec<f32> {
    let mut normal = || (0..12).map(|_| rng.f32()).sum::<f32>() - 6.0;
    (0..count).map(|_| normal()).collect()
}

fn pool(threads: usize) -> anyhow::Result<ThreadPool> {
    Ok(ThreadPoolBuilder::new().num_threads(threads).build()?)
}

/// The target of products, as a ratio to the better of the others.
fn aim(ty: BlockType) -> Option<f64> {
    use BlockType as T;
    match ty {
        T::Q4_0 | T::Q8_0 | T::Q4_K | T::Q5_K | T::Q6_K => Some(1.0),
        T::Q2_K | T::Q3_K | T::Q5_0 => Some(2.0),
        _ if ty.name().starts_with("IQ") => Some(2.0),
        _ => None,
    }
}

fn counted(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}
