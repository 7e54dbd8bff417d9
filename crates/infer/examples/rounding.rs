//! Measure what rounding the inputs of products costs:
//! `cargo run --release -p granule-infer --example rounding -- MODEL.gguf TEXT`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;

use granule_infer::stream::{self, Observed, Observer, Options};
use granule_infer::{Mode, Model, Place, Session};
use granule_reader::GgufSource;

/// Measure the mean divergence of a model's predictions from those without rounding: in fast mode,
/// with inputs rounded as llama.cpp does, and token by token.
#[derive(Parser)]
struct Arguments {
    /// The model, or one file of a split set
    model: PathBuf,
    /// A text
    text: PathBuf,
    /// Tokens of the text
    #[arg(long, default_value_t = 4096)]
    tokens: usize,
    /// Tokens that are read together
    #[arg(long, default_value_t = 512)]
    chunk: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let text = fs::read_to_string(&arguments.text)?;
    let source = GgufSource::open(&arguments.model)?;
    let model = Model::open(&source)?;
    let mut tokens = model.tokenizer()?.encode(&text)?;
    ensure!(tokens.len() >= arguments.tokens, "the text has {} tokens", tokens.len());
    tokens.truncate(arguments.tokens);
    let mut session = Session::new(&model, Mode::Fast)?;
    let mut sums = [0.0; 3];
    for tokens in tokens.chunks(arguments.chunk) {
        let exact = logits(&model, tokens, Mode::Exact)?;
        for (mode, sum) in [Mode::FastAsGgml, Mode::Fast].into_iter().zip(&mut sums) {
            let found = logits(&model, tokens, mode)?;
            *sum += exact.iter().zip(&found).map(|(p, q)| divergence(p, q)).sum::<f64>();
        }
        session.clear();
        for (token, exact) in tokens.iter().zip(&exact) {
            sums[2] += divergence(exact, &session.forward(&[*token])?);
        }
    }
    let [ggml, fast, one] = sums.map(|sum| sum / tokens.len() as f64);
    println!("as ggml {ggml:.6}, fast {fast:.6}, fast token by token {one:.6}");
    Ok(())
}

/// The logits of all tokens of a text.
fn logits(model: &Model<'_>, tokens: &[u32], mode: Mode) -> Result<Vec<Vec<f32>>> {
    let mut rows = Rows(Vec::new());
    let mut options = Options::default();
    (options.mode, options.logits_from) = (mode, Some(0));
    stream::run(model, &[tokens.to_vec()], &options, &mut rows)?;
    Ok(rows.0)
}

struct Rows(Vec<Vec<f32>>);

impl Observer for Rows {
    fn logits(&mut self, _: Place, logits: &[f32]) -> Observed {
        self.0.push(logits.to_vec());
        Ok(())
    }
}

/// The divergence of the distribution with logits `q` from that with logits `p`.
fn divergence(p: &[f32], q: &[f32]) -> f64 {
    let log_sum = |x: &[f32]| {
        let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = x.iter().map(|x| f64::from(x - largest).exp()).sum();
        f64::from(largest) + sum.ln()
    };
    let (p_sum, q_sum) = (log_sum(p), log_sum(q));
    let term = |(p, q): (&f32, &f32)| {
        let (p, q) = (f64::from(*p) - p_sum, f64::from(*q) - q_sum);
        p.exp() * (p - q)
    };
    p.iter().zip(q).map(term).sum()
}
