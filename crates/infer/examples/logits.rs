//! Write the logits of a text, or the vectors of an encoder, as raw 32-bit numbers:
//! `cargo run --release -p granule-infer --example logits -- MODEL.gguf TOKENS OUT`.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;

use granule_infer::stream::{self, Observed, Observer, Options};
use granule_infer::{Mode, Model, Place, Session};
use granule_reader::GgufSource;

/// Run a model by layers, and check that it gives the same bits token by token.
#[derive(Parser)]
struct Arguments {
    /// The model, or one file of a split set
    model: PathBuf,
    /// A file of token numbers, separated by spaces or commas
    tokens: PathBuf,
    /// Where to write a row for each token, in the byte order of little-endian machines
    out: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let text = fs::read_to_string(&arguments.tokens)?;
    let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    let tokens: Vec<u32> = numbers.map(|word| Ok(word.parse()?)).collect::<Result<_>>()?;
    let source = GgufSource::open(&arguments.model)?;
    let model = Model::open(&source)?;

    let predicts = model.predicts();
    let mut rows = Rows { hidden: !predicts, rows: Vec::new() };
    let mut options = Options::default();
    options.logits_from = predicts.then_some(0);
    stream::run(&model, std::slice::from_ref(&tokens), &options, &mut rows)?;
    ensure!(rows.rows.len() == tokens.len(), "a number is not finite");
    let last = rows.rows.last().context("there are no tokens")?;
    if predicts {
        let mut session = Session::new(&model, Mode::Exact)?;
        let mut logits = Vec::new();
        for token in &tokens {
            logits = session.forward(&[*token])?;
        }
        ensure!(logits == *last, "by layers and token by token differ");
    }
    let mut out = BufWriter::new(fs::File::create(&arguments.out)?);
    for value in rows.rows.iter().flatten() {
        out.write_all(&value.to_le_bytes())?;
    }
    Ok(out.flush()?)
}

/// Keeps what is written.
struct Rows {
    /// Whether vectors are kept, not logits.
    hidden: bool,
    rows: Vec<Vec<f32>>,
}

impl Observer for Rows {
    fn fault(&mut self, fault: &stream::Fault<'_>) -> Observed {
        Err(format!("{fault:?}").into())
    }

    fn hidden(&mut self, _: Place, x: &[f32]) -> Observed {
        if self.hidden {
            self.rows.push(x.to_vec());
        }
        Ok(())
    }

    fn logits(&mut self, _: Place, logits: &[f32]) -> Observed {
        self.rows.push(logits.to_vec());
        Ok(())
    }
}
