//! Measure tokens a second:
//! `cargo run --release -p granule-infer --example speed -- MODEL.gguf --threads 1 --rounds 5`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;

use granule_infer::{Mode, Model, Session};
use granule_reader::GgufSource;

/// Measure how fast a model reads a prompt and generates. Prints one line for each round: tokens a
/// second of the prompt, then of generation. One round before the first is not counted.
#[derive(Parser)]
struct Arguments {
    /// The model, or one file of a split set
    model: PathBuf,
    /// Tokens of the prompt
    #[arg(long, default_value_t = 512)]
    prompt: usize,
    /// Tokens that are generated after it
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// How often both are measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Number of threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Compute with decoded weights
    #[arg(long)]
    exact: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build()?;
    pool.install(|| measure(&arguments))
}

fn measure(arguments: &Arguments) -> Result<()> {
    let source = GgufSource::open(&arguments.model)?;
    let model = Model::open(&source)?;
    let mode = if arguments.exact { Mode::Exact } else { Mode::Fast };
    let mut session = Session::new(&model, mode)?;
    // any tokens do
    let vocabulary = model.vocabulary();
    let prompt: Vec<u32> = (0..arguments.prompt).map(|i| (i * 7919 % vocabulary) as u32).collect();
    for round in 0..=arguments.rounds {
        session.clear();
        let start = Instant::now();
        session.forward(&prompt)?;
        let read = prompt.len() as f64 / start.elapsed().as_secs_f64();
        let start = Instant::now();
        for token in prompt.iter().cycle().take(arguments.tokens) {
            session.forward(&[*token])?;
        }
        let written = arguments.tokens as f64 / start.elapsed().as_secs_f64();
        if round > 0 {
            println!("{read:.1} {written:.1}");
        }
    }
    Ok(())
}
