//! Speed of dot products, in weights per second, of rows that stay in the cache with one vector and
//! with a batch of 64: `cargo bench -p granule-reader --bench dot -- type=Q4_K`.
#![allow(missing_docs, reason = "criterion's macro makes the public function")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use granule_reader::format::BlockType;
use granule_reader::isa::Isa;
use granule_reader::{Activations, dot_rows};

const ROWS: usize = 16;

/// 4096, or one super-block where a test only runs the benchmark once: `cargo bench` alone passes
/// `--bench`.
fn columns() -> usize {
    if std::env::args().any(|argument| argument == "--bench") { 4096 } else { 256 }
}

fn dots(criterion: &mut Criterion) {
    let columns = columns();
    for ty in BlockType::ALL.iter().copied() {
        let rows = vec![0x2a; ROWS * columns / ty.block_values() * ty.block_bytes()];
        for isa in Isa::available() {
            let mut group = criterion.benchmark_group(format!("type={ty}/isa={isa}"));
            group.sample_size(10);
            for batch in [1, 64] {
                let x: Vec<f32> =
                    (0..columns * batch).map(|i| (i * 7919 % 1013) as f32 - 500.0).collect();
                let activations = Activations::quantize_batch(ty, &x, columns);
                let mut out = vec![0.0; ROWS * batch];
                group.throughput(Throughput::Elements((ROWS * columns * batch) as u64));
                group.bench_function(BenchmarkId::new("batch", batch), |bencher| {
                    bencher.iter(|| {
                        dot_rows(isa, ty, std::hint::black_box(&rows), &activations, &mut out);
                    });
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, dots);
criterion_main!(benches);
