//! Search documents by meaning, with their vectors in a GGUF file. To make that file:
//!
//!     cargo run --release -p granule-infer --example search -- \
//!         index MODEL.gguf DOCUMENTS.txt OUT.gguf
//!
//! Queries are multiplied as they are, in `f32`, with the stored vectors: only the documents are
//! quantized.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};

use granule_encode::{EncodeOptions, encode};
use granule_infer::{Mode, Model, Session, Tokenizer, best};
use granule_reader::format::{Array, BlockType, Draft, Endian, Metadata, Shape, Writer};
use granule_reader::isa::Isa;
use granule_reader::{GgufSource, Source, exact};

/// The name of the tensor with a vector for each document.
const VECTORS: &str = "documents.weight";
/// The key of the documents themselves.
const TEXTS: &str = "search.documents";
/// How many documents count as found.
const TOP: usize = 10;

/// Search documents by meaning with an encoder such as MiniLM.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the documents (one a line) and their vectors to a GGUF file
    Index {
        /// The encoder
        model: PathBuf,
        /// The documents
        documents: PathBuf,
        /// Where to write them
        out: PathBuf,
        /// The type of the vectors: F32, Q8_0, Q4_0, Q1_0 (only signs)
        #[arg(long, default_value = "Q8_0")]
        r#type: String,
    },
    /// Print the documents that are nearest to a text
    Find {
        /// The encoder
        model: PathBuf,
        /// What `index` wrote
        index: PathBuf,
        /// The text
        text: String,
    },
    /// Print what each type finds of what F32 finds, its bytes, and its speed
    Compare {
        /// The encoder
        model: PathBuf,
        /// The documents, one a line
        documents: PathBuf,
        /// The queries, one a line
        queries: PathBuf,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Index { model, documents, out, r#type } => {
            let ty = BlockType::from_name(&r#type).context("no such type")?;
            let texts = lines(&documents)?;
            let vectors = embed(&model, &texts)?;
            write(&out, &texts, &Documents::of(ty, &vectors)?)
        }
        Command::Find { model, index, text } => {
            let source = GgufSource::open(&index)?;
            let texts = source.metadata().strings(TEXTS)?.context("the file has no documents")?;
            let documents = Documents::read(&source)?;
            let vectors = embed(&model, &[text])?;
            for (document, similarity) in best(&documents.scores(&vectors.values), TOP) {
                let text = texts.get(document as usize).unwrap_or_default();
                println!("{similarity:7.4}  {}", String::from_utf8_lossy(text));
            }
            Ok(())
        }
        Command::Compare { model, documents, queries } => {
            let documents = embed(&model, &lines(&documents)?)?;
            compare(&documents, &embed(&model, &lines(&queries)?)?)
        }
    }
}

/// Vectors of one length, one after another.
struct Vectors {
    width: usize,
    values: Vec<f32>,
}

fn lines(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lines: Vec<String> =
        text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    ensure!(!lines.is_empty(), "{} is empty", path.display());
    Ok(lines)
}

/// The vectors of texts, of length one.
fn embed(model: &Path, texts: &[String]) -> Result<Vectors> {
    let source = GgufSource::open(model)?;
    let tokenizer = Tokenizer::of(source.metadata())?;
    let model = Model::open(&source)?;
    let mut session = Session::new(&model, Mode::Exact)?;
    let mut values = Vec::new();
    for text in texts {
        let mut tokens = tokenizer.encode(text)?;
        tokens.truncate(model.context());
        values.extend(session.embed(&tokens)?);
    }
    Ok(Vectors { width: model.width(), values })
}

/// Stored vectors of documents.
struct Documents {
    ty: BlockType,
    width: usize,
    blocks: Vec<u8>,
}

impl Documents {
    fn of(ty: BlockType, vectors: &Vectors) -> Result<Self> {
        let Vectors { width, values } = vectors;
        let blocks = encode(ty, values, *width, None, &EncodeOptions::default())?;
        Ok(Self { ty, width: *width, blocks })
    }

    fn read(source: &GgufSource) -> Result<Self> {
        let (index, tensor) = (0..)
            .zip(source.tensors())
            .find(|(_, tensor)| tensor.name == VECTORS)
            .context("the file has no vectors of documents")?;
        let ty = tensor.ty.known().context("the type is unknown")?;
        let rows = tensor.shape.rows().context("too many rows")?;
        let mut blocks = Vec::new();
        source.read_rows(index, 0..rows, &mut blocks)?;
        Ok(Self { ty, width: usize::try_from(tensor.shape.row())?, blocks })
    }

    fn count(&self) -> usize {
        self.blocks.len() / (self.width / self.ty.block_values() * self.ty.block_bytes())
    }

    /// The dot products of all documents with the queries, in single precision.
    fn scores(&self, queries: &[f32]) -> Vec<f32> {
        let mut scores = vec![0.0; self.count() * queries.len() / self.width];
        exact::multiply(Isa::detect(), self.ty, &self.blocks, self.width, queries, &mut scores);
        scores
    }
}

fn write(path: &Path, texts: &[String], documents: &Documents) -> Result<()> {
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "search");
    metadata.set(TEXTS, Array::String(texts.iter().collect()));
    let mut draft = Draft::new(metadata, Endian::Little)?;
    let shape = [documents.width as u64, documents.count() as u64];
    draft.add(VECTORS, Shape::new(&shape).context("a shape")?, documents.ty.into())?;
    let mut writer = Writer::start(BufWriter::new(File::create(path)?), draft)?;
    let mut tensor = writer.tensor(VECTORS)?;
    tensor.write_all(&documents.blocks)?;
    tensor.finish()?;
    writer.finish()?.flush()?;
    Ok(())
}

fn compare(documents: &Vectors, queries: &Vectors) -> Result<()> {
    if documents.width != queries.width {
        bail!("the vectors have different lengths");
    }
    let queries: Vec<&[f32]> = queries.values.chunks_exact(queries.width).collect();
    let mut right: Vec<HashSet<u32>> = Vec::new();
    println!("| type | bytes a document | recall at {TOP} | queries a second |");
    println!("|---|---|---|---|");
    for ty in [BlockType::F32, BlockType::Q8_0, BlockType::Q4_0, BlockType::Q1_0] {
        let documents = Documents::of(ty, documents)?;
        let start = Instant::now();
        let found: Vec<HashSet<u32>> = queries
            .iter()
            .map(|query| {
                best(&documents.scores(query), TOP).into_iter().map(|(found, _)| found).collect()
            })
            .collect();
        let seconds = start.elapsed().as_secs_f64();
        if right.is_empty() {
            right.clone_from(&found);
        }
        let both: usize =
            found.iter().zip(&right).map(|(found, right)| found.intersection(right).count()).sum();
        let all: usize = right.iter().map(HashSet::len).sum();
        println!(
            "| {ty} | {} | {:.4} | {:.0} |",
            documents.blocks.len() / documents.count(),
            both as f64 / all as f64,
            queries.len() as f64 / seconds
        );
    }
    Ok(())
}
