//! Continue a text:
//! `cargo run --release -p granule-infer --example generate -- MODEL.gguf --prompt TEXT`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;

use granule_infer::{Mode, Model, Sampler, Session, best};
use granule_reader::GgufSource;

/// Continue a text with a model such as SmolLM2. Prints only the continuation.
#[derive(Parser)]
struct Arguments {
    /// The model, or one file of a split set
    model: PathBuf,
    /// The text to continue; it may contain special tokens
    #[arg(long)]
    prompt: String,
    /// The largest number of tokens to add
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// Sampling temperature; 0 always picks the likeliest token
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// Seed for sampling, if the temperature is not 0
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of threads [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
    /// Compute with decoded weights: the same on every machine, but slow
    #[arg(long)]
    exact: bool,
    /// Print the prompt's tokens, then the N likeliest tokens with their logits at each step
    #[arg(long, value_name = "N")]
    logits: Option<usize>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let threads = arguments.threads.unwrap_or(0); // as many as there are cores
    rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(|| generate(&arguments))
}

fn generate(arguments: &Arguments) -> Result<()> {
    let source = GgufSource::open(&arguments.model)?;
    let model = Model::open(&source)?;
    let tokenizer = model.tokenizer()?;
    let mode = if arguments.exact { Mode::Exact } else { Mode::Fast };
    let mut session = Session::new(&model, mode)?;
    let mut sampler = Sampler::new(arguments.temperature, arguments.seed);

    let prompt = tokenizer.encode(&arguments.prompt)?;
    ensure!(!prompt.is_empty(), "the prompt is empty");
    let room = model.context().saturating_sub(prompt.len());
    ensure!(room > 0, "the prompt has {} tokens, more than the model can take", prompt.len());
    if arguments.logits.is_some() {
        println!("prompt {prompt:?}");
    }

    let (mut new, mut out) = (prompt, stdout().lock());
    for _ in 0..arguments.tokens.min(room) {
        let logits = session.forward(&new)?;
        let token = sampler.choose(&logits);
        if let Some(count) = arguments.logits {
            writeln!(out, "{token} {:?}", best(&logits, count))?;
        }
        if tokenizer.is_end(token) {
            break;
        }
        if arguments.logits.is_none() {
            out.write_all(&tokenizer.decode(token))?;
            out.flush()?;
        }
        new = vec![token];
    }
    if arguments.logits.is_none() {
        writeln!(out)?;
    }
    Ok(())
}
