//! Decodes and encodes a large array with all cores, and prints the seconds of the best of several
//! runs: what the Python package is compared with (`crates/python/benches/speed.py`).
//!
//!     cargo run --release -p granule-convert --example arrays -- FILE TENSOR TYPE
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::time::Instant;

use granule_encode::encode_rows;
use granule_format::BlockType;
use granule_reader::Model;
use granule_reader::isa::Isa;
use rayon::prelude::*;

/// Number of runs; the best counts.
const RUNS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, name, ty] = arguments.as_slice() else {
        return Err("usage: arrays FILE TENSOR TYPE".into());
    };
    let ty: BlockType = ty.parse()?;
    let model = Model::from_bytes(std::fs::read(path)?)?;
    let tensor = model.tensor(name).ok_or("no such tensor")?;
    let (rows, columns) = (tensor.rows(), tensor.row_values());

    let decode = best(|| {
        let mut values = vec![0.0; rows * columns];
        tensor.par_decode_rows(.., &mut values)?;
        Ok(values)
    })?;
    let values = tensor.to_vec()?;
    let row_bytes = columns / ty.block_values() * ty.block_bytes();
    let step = ((1 << 17) / columns).max(1);
    let encode = best(|| {
        let mut blocks = vec![0; rows * row_bytes];
        blocks
            .par_chunks_mut(step * row_bytes)
            .zip(values.par_chunks(step * columns))
            .try_for_each(|(out, rows)| encode_rows(Isa::detect(), ty, rows, columns, None, out))?;
        Ok(blocks)
    })?;
    println!("{{\"decode\": {decode}, \"encode\": {encode}}}");
    Ok(())
}

/// Seconds of the fastest run.
fn best<T>(mut work: impl FnMut() -> Result<T, Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let begin = Instant::now();
        let result = work()?;
        best = best.min(begin.elapsed().as_secs_f64());
        drop(std::hint::black_box(result));
    }
    Ok(best)
}
