//! Throughput of the encoders, in bytes of `f32` per second: `cargo bench -p granule-encode --
//! type=Q4_0`.
#![allow(missing_docs, reason = "criterion's macro makes the public function")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use granule_encode::{Weighting, encoder};
use granule_format::BlockType;
use granule_reader::isa::Isa;

const COLUMNS: usize = 4096;

/// 64, or one where a test only runs the benchmark once: `cargo bench` alone passes `--bench`.
fn rows_of_a_matrix() -> usize {
    if std::env::args().any(|argument| argument == "--bench") { 64 } else { 1 }
}

fn encode(criterion: &mut Criterion) {
    let (rows, weights) = inputs();
    for encoder in BlockType::ALL.iter().filter_map(|ty| encoder(*ty)) {
        let ty = encoder.block_type();
        let mut out = vec![0; rows.len() / ty.block_values() * ty.block_bytes()];
        let forms: &[bool] = match encoder.weighting() {
            Weighting::Ignored => &[false],
            Weighting::Optional => &[false, true],
            Weighting::Required => &[true],
        };
        for isa in Isa::available() {
            let mut group = criterion.benchmark_group(format!("type={ty}/isa={isa}"));
            group.throughput(Throughput::Bytes(size_of_val(&rows[..]) as u64));
            group.sample_size(10);
            for weighted in forms {
                let weights = weighted.then_some(&weights[..]);
                group.bench_function(BenchmarkId::new("weights", weighted), |bencher| {
                    bencher.iter(|| encoder.encode(isa, &rows, COLUMNS, weights, &mut out));
                });
            }
            group.finish();
        }
    }
}

/// Values that resemble the weights of a model (roughly Gaussian, standard deviation 0.02), and
/// importances.
fn inputs() -> (Vec<f32>, Vec<f32>) {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let mut gaussian = || (0..12).map(|_| uniform()).sum::<f32>() - 6.0;
    let values = rows_of_a_matrix() * COLUMNS;
    let rows = (0..values).map(|_| gaussian() * 0.02).collect();
    let weights = (0..COLUMNS).map(|_| uniform() + 0.01).collect();
    (rows, weights)
}

criterion_group!(benches, encode);
criterion_main!(benches);
