//! Sentence embeddings:
//! `cargo run --release -p granule-reader --example embed -- MODEL.gguf TEXT...`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

mod bert;
#[path = "../common/mod.rs"]
mod common;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use bert::Bert;
use common::layers::dot;
use common::tokenizer::Tokenizer;

/// Embed sentences with a model of the architecture `bert`, such as MiniLM. Prints the vector of
/// one text, or the cosine similarity of every two texts.
#[derive(Parser)]
struct Arguments {
    /// The model, or one file of a split set; do not change it while the program runs
    model: PathBuf,
    /// The texts
    #[arg(required = true)]
    texts: Vec<String>,
    /// Print the vectors even for several texts, one per line, instead of the similarities
    #[arg(long)]
    vectors: bool,
    /// Print the tokens of the texts instead, one text per line; a vocabulary-only file suffices
    #[arg(long, conflicts_with = "vectors")]
    tokens: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let model = common::open(&arguments.model)?;
    let tokenizer = Tokenizer::of(model.metadata())?;
    let texts = arguments.texts.iter().map(|text| tokenizer.encode(text));
    let texts = texts.collect::<Result<Vec<_>>>()?;
    if arguments.tokens {
        texts.iter().for_each(|tokens| println!("{tokens:?}"));
        return Ok(());
    }
    let bert = Bert::load(&model, tokenizer.len())?;
    let vectors = texts.iter().map(|tokens| bert.embed(tokens)).collect::<Result<Vec<_>>>()?;
    if arguments.vectors || vectors.len() == 1 {
        vectors.iter().for_each(|vector| println!("{vector:?}"));
        return Ok(());
    }
    for vector in &vectors {
        // for vectors of length one, the dot product is the cosine
        let cosines = vectors.iter().map(|other| format!("{:7.4}", dot(vector, other)));
        println!("{}", cosines.collect::<Vec<_>>().join(" "));
    }
    Ok(())
}
