//! Products with quantized weights by candle, as a process: each line of standard input is a
//! [`Request`] in JSON, each line of standard output an answer: `{"seconds": S}`, `{"without":
//! TYPE}` if candle has no such type, or `{"error": TEXT}`.
//!
//! Run with `RAYON_NUM_THREADS` and `CANDLE_NUM_THREADS`; compile with
//! `RUSTFLAGS=-Ctarget-cpu=native`, without which candle is slow.

use std::borrow::Cow;
use std::fs;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{Device, Module, Tensor};
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::json;

/// `y[vector * rows + row]` for `batch` vectors, `times` times.
#[derive(Deserialize)]
struct Request {
    /// Name of the type, such as `Q4_K`.
    name: String,
    rows: usize,
    columns: usize,
    /// File of the blocks.
    weights: PathBuf,
    /// File of `batch` or more vectors.
    x: PathBuf,
    /// File to write the last result to.
    y: PathBuf,
    batch: usize,
    times: u32,
    /// With one thread time is CPU time, with several that on the wall.
    threads: usize,
}

/// The weights last asked for.
struct Loaded {
    name: String,
    weights: QMatMul,
}

fn main() -> anyhow::Result<()> {
    let mut loaded = None;
    for line in stdin().lock().lines() {
        let answer = match answer(&line?, &mut loaded) {
            Ok(Some(seconds)) => json!({ "seconds": seconds }),
            Ok(None) => json!({ "without": "this type" }),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        println!("{answer}");
        stdout().flush()?;
    }
    Ok(())
}

fn answer(line: &str, loaded: &mut Option<Loaded>) -> anyhow::Result<Option<f64>> {
    let request: Request = serde_json::from_str(line)?;
    let Some(ty) = type_named(&request.name) else { return Ok(None) };
    if loaded.as_ref().is_none_or(|loaded| loaded.name != request.name) {
        *loaded = Some(Loaded { name: request.name.clone(), weights: load(&request, ty)? });
    }
    let weights = &loaded.as_ref().context("weights")?.weights;
    let x = floats(&request.x)?;
    let x = x.get(..request.batch * request.columns).context("too few vectors")?;
    let x = Tensor::from_slice(x, (request.batch, request.columns), &Device::Cpu)?;

    let begin = now(request.threads);
    let mut y = weights.forward(&x)?;
    for _ in 1..request.times {
        y = weights.forward(&x)?;
    }
    let seconds = (now(request.threads) - begin) / f64::from(request.times);
    let y: Vec<f32> = y.flatten_all()?.to_vec1()?;
    fs::write(&request.y, y.iter().flat_map(|y| y.to_le_bytes()).collect::<Vec<u8>>())?;
    Ok(Some(seconds))
}

fn load(request: &Request, ty: GgmlDType) -> anyhow::Result<QMatMul> {
    let blocks = fs::read(&request.weights)?;
    let storage = QStorage::from_data(Cow::Owned(blocks), &Device::Cpu, ty)?;
    Ok(QMatMul::from_qtensor(QTensor::new(storage, (request.rows, request.columns))?)?)
}

fn type_named(name: &str) -> Option<GgmlDType> {
    Some(match name {
        "F16" => GgmlDType::F16,
        "BF16" => GgmlDType::BF16,
        "Q4_0" => GgmlDType::Q4_0,
        "Q4_1" => GgmlDType::Q4_1,
        "Q5_0" => GgmlDType::Q5_0,
        "Q5_1" => GgmlDType::Q5_1,
        "Q8_0" => GgmlDType::Q8_0,
        "Q2_K" => GgmlDType::Q2K,
        "Q3_K" => GgmlDType::Q3K,
        "Q4_K" => GgmlDType::Q4K,
        "Q5_K" => GgmlDType::Q5K,
        "Q6_K" => GgmlDType::Q6K,
        _ => return None,
    })
}

fn floats(path: &Path) -> anyhow::Result<Vec<f32>> {
    let bytes = fs::read(path)?;
    let (values, _) = bytes.as_chunks();
    Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// Seconds: of CPU time for one thread, which is rayon's own.
fn now(threads: usize) -> f64 {
    if threads == 1 {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        return time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9;
    }
    static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed().as_secs_f64()
}
