//! Sentence embeddings:
//! `cargo run --release -p granule-infer --example embed -- MODEL.gguf TEXT...`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use granule_infer::{Mode, Model, Session, Tokenizer};
use granule_reader::{GgufSource, Source};

/// Embed sentences with a model of the architecture `bert`, such as MiniLM. Prints the vector of
/// one text, or the cosine similarity of every two texts.
#[derive(Parser)]
struct Arguments {
    /// The model, or one file of a split set
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
    let source = GgufSource::open(&arguments.model)?;
    let tokenizer = Tokenizer::of(source.metadata())?;
    let texts: Vec<Vec<u32>> =
        arguments.texts.iter().map(|text| tokenizer.encode(text)).collect::<Result<_, _>>()?;
    if arguments.tokens {
        texts.iter().for_each(|tokens| println!("{tokens:?}"));
        return Ok(());
    }
    let model = Model::open(&source)?;
    let mut session = Session::new(&model, Mode::Exact)?;
    let vectors: Vec<Vec<f32>> =
        texts.iter().map(|tokens| session.embed(tokens)).collect::<Result<_, _>>()?;
    if arguments.vectors || vectors.len() == 1 {
        vectors.iter().for_each(|vector| println!("{vector:?}"));
        return Ok(());
    }
    for vector in &vectors {
        // for vectors of length one, the dot product is the cosine
        let cosine =
            |other: &Vec<f32>| -> f32 { vector.iter().zip(other).map(|(x, y)| x * y).sum() };
        let cosines = vectors.iter().map(|other| format!("{:7.4}", cosine(other)));
        println!("{}", cosines.collect::<Vec<_>>().join(" "));
    }
    Ok(())
}
