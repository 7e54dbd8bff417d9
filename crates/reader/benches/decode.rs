//! Speed of decoding, in bytes of `f32` per second, one row at a time into a buffer that stays in
//! the cache: `cargo bench -p granule-reader --bench decode -- type=Q4_K`.
#![allow(missing_docs, reason = "criterion's macro makes the public function")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use granule_reader::decode_blocks;
use granule_reader::format::BlockType;
use granule_reader::isa::Isa;

const COLUMNS: usize = 4096;

fn rows(criterion: &mut Criterion) {
    let mut out = vec![0.0; COLUMNS];
    for ty in BlockType::ALL.iter().copied() {
        // every byte the same: scales are ordinary numbers
        let row = vec![0x2a; COLUMNS / ty.block_values() * ty.block_bytes()];
        for isa in Isa::available() {
            let mut group = criterion.benchmark_group(format!("type={ty}/isa={isa}"));
            group.throughput(Throughput::Bytes(size_of_val(&out[..]) as u64));
            group.sample_size(10);
            group.bench_function("decode", |bencher| {
                bencher.iter(|| decode_blocks(isa, ty, std::hint::black_box(&row), &mut out));
            });
            group.finish();
        }
    }
}

criterion_group!(benches, rows);
criterion_main!(benches);
