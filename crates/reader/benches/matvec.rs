//! Speed of products with a tensor of 2048 rows of 4096 weights, stored and packed, by one thread
//! and by all of rayon's: `cargo bench -p granule-reader --bench matvec -- type=Q4_K`. Activations
//! are prepared each time. The instruction set is that of `GRANULE_ISA`, or the best.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macro makes the public function; a benchmark"
)]

use std::io::Write;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use granule_reader::Model;
use granule_reader::format::{BlockType, Draft, Endian, Metadata, Shape, Writer};
use granule_reader::isa::Isa;
use rayon::ThreadPoolBuilder;

const TYPES: &[BlockType] = &[
    BlockType::F16,
    BlockType::Q4_0,
    BlockType::Q8_0,
    BlockType::Q2_K,
    BlockType::Q3_K,
    BlockType::Q4_K,
    BlockType::Q5_K,
    BlockType::Q6_K,
    BlockType::IQ2_XS,
    BlockType::IQ3_S,
    BlockType::IQ4_XS,
];
const COLUMNS: usize = 4096;

/// 2048, or few where a test only runs the benchmark once: `cargo bench` alone passes `--bench`.
fn rows() -> usize {
    if std::env::args().any(|argument| argument == "--bench") { 2048 } else { 32 }
}

fn products(criterion: &mut Criterion) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for ty in TYPES.iter().copied() {
        let model = model(ty);
        let tensor = model.tensor("weights").unwrap();
        let isa = Isa::detect();
        let mut group = criterion.benchmark_group(format!("type={ty}/isa={isa}"));
        group.sample_size(10);
        for (batch, threads) in [(1, 1), (1, threads), (64, 1), (64, threads)] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let x: Vec<f32> =
                (0..COLUMNS * batch).map(|i| (i * 7919 % 1013) as f32 - 500.0).collect();
            let mut y = vec![0.0; rows() * batch];
            group.throughput(Throughput::Elements((rows() * COLUMNS * batch) as u64));
            let id = BenchmarkId::new(format!("batch={batch}"), format!("threads={threads}"));
            group.bench_function(id, |bencher| {
                bencher.iter(|| pool.install(|| tensor.matmul(&x, &mut y)).unwrap());
            });
            let packed = tensor.pack().unwrap();
            let id =
                BenchmarkId::new(format!("batch={batch}/packed"), format!("threads={threads}"));
            group.bench_function(id, |bencher| {
                bencher.iter(|| pool.install(|| packed.matmul(&x, &mut y)));
            });
        }
        group.finish();
    }
}

fn model(ty: BlockType) -> Model {
    let rows = rows();
    let mut draft = Draft::new(Metadata::new(), Endian::Little).unwrap();
    draft.add("weights", Shape::new(&[COLUMNS as u64, rows as u64]).unwrap(), ty.into()).unwrap();
    let mut writer = Writer::start(Vec::new(), draft).unwrap();
    let mut data = writer.tensor("weights").unwrap();
    data.write_all(&vec![0x2a; rows * COLUMNS / ty.block_values() * ty.block_bytes()]).unwrap();
    data.finish().unwrap();
    Model::from_bytes(writer.finish().unwrap()).unwrap()
}

criterion_group!(benches, products);
criterion_main!(benches);
