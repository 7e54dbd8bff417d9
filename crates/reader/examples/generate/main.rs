//! Continue a text: `cargo run --release -p granule-reader --example generate -- MODEL.gguf --prompt TEXT`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

#[path = "../common/mod.rs"]
mod common;
mod llama;
mod rope;
mod sample;

use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;

use common::tokenizer::Tokenizer;
use llama::{Cache, Llama};
use sample::{Sampler, best};

/// Continue a text with a model of the architecture `llama`, such as SmolLM2. Prints the continuation alone.
#[derive(Parser)]
struct Arguments {
    /// The model, or one file of a split set; it must not be changed meanwhile
    model: PathBuf,
    /// The text to continue; special tokens may be written in it
    #[arg(long)]
    prompt: String,
    /// The largest number of tokens to add
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// How far to stray from the likeliest token, which 0 always takes
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// Another number gives another text, if there is a temperature
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of threads [default: one for each core]
    #[arg(long)]
    threads: Option<usize>,
    /// Bring the weights into a faster order first, which takes about as much memory as the file is long
    #[arg(long)]
    pack: bool,
    /// Print the prompt's tokens, then for each new token the N likeliest with their logits
    #[arg(long, value_name = "N")]
    logits: Option<usize>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let threads = arguments.threads.unwrap_or(0); // as many as there are cores
    rayon::ThreadPoolBuilder::new().num_threads(threads).build()?.install(|| generate(&arguments))
}

fn generate(arguments: &Arguments) -> Result<()> {
    let model = common::open(&arguments.model)?;
    let tokenizer = Tokenizer::of(model.metadata())?;
    let llama = Llama::load(&model, tokenizer.len(), arguments.pack)?;
    let mut sampler = Sampler::new(arguments.temperature, arguments.seed);

    let prompt = tokenizer.encode(&arguments.prompt)?;
    ensure!(!prompt.is_empty(), "the prompt is empty");
    let room = llama.context().saturating_sub(prompt.len());
    ensure!(room > 0, "the prompt has {} tokens, more than the model can take", prompt.len());
    if arguments.logits.is_some() {
        println!("prompt {prompt:?}");
    }

    let (mut cache, mut new, mut out) = (Cache::default(), prompt, stdout().lock());
    for _ in 0..arguments.tokens.min(room) {
        let logits = llama.forward(&new, &mut cache)?;
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
