//! The reference library in a process of its own; the protocol is in `tools/reference/blocks.py`.

use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use granule_format::BlockType;

/// A running reference.
pub(crate) struct Reference {
    _process: Child,
    to: BufWriter<ChildStdin>,
    from: BufReader<ChildStdout>,
}

/// The reference's result for a matrix.
pub(crate) struct Encoded {
    /// The blocks, row after row.
    pub(crate) blocks: Vec<u8>,
    /// For each row, whether the reference accepts its own blocks.
    pub(crate) valid: Vec<bool>,
    /// CPU time that the library took.
    pub(crate) elapsed: Duration,
}

impl Reference {
    /// Start it with the Python that `PYTHON` names, or `python3`.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reference/blocks.py");
        let mut process = Command::new(&python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{python} cannot be started; PYTHON names another"))?;
        let to = BufWriter::new(process.stdin.take().context("standard input is piped")?);
        let from = BufReader::new(process.stdout.take().context("standard output is piped")?);
        Ok(Self { _process: process, to, from })
    }

    /// Encode rows of `columns` values.
    pub(crate) fn encode(
        &mut self,
        ty: BlockType,
        values: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
    ) -> anyhow::Result<Encoded> {
        self.encode_often(ty, values, columns, weights, 1)
    }

    /// Encode rows of `columns` values several times; the time is the mean of one run.
    pub(crate) fn encode_often(
        &mut self,
        ty: BlockType,
        values: &[f32],
        columns: usize,
        weights: Option<&[f32]>,
        times: u32,
    ) -> anyhow::Result<Encoded> {
        let rows = values.len() / columns;
        self.ask(ty, u32::from(weights.is_some()) | (times - 1) << 8, rows, columns)?;
        for values in [values, weights.unwrap_or_default()] {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            self.to.write_all(&bytes)?;
        }
        let (answer, elapsed) = self.answer()?;
        let (valid, blocks) = answer.split_at_checked(rows).context("a flag for each row")?;
        ensure!(blocks.len() == values.len() / ty.block_values() * ty.block_bytes(), "blocks");
        let valid = valid.iter().map(|valid| *valid != 0).collect();
        Ok(Encoded { blocks: blocks.to_vec(), valid, elapsed })
    }

    /// Decode blocks; the bits of the values.
    pub(crate) fn decode(&mut self, ty: BlockType, blocks: &[u8]) -> anyhow::Result<Vec<u32>> {
        let columns = blocks.len() / ty.block_bytes() * ty.block_values();
        self.ask(ty, 2, 1, columns)?;
        self.to.write_all(blocks)?;
        let (answer, _) = self.answer()?;
        let (values, rest) = answer.as_chunks();
        ensure!(values.len() == columns && rest.is_empty(), "values");
        Ok(values.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
    }

    fn ask(&mut self, ty: BlockType, what: u32, rows: usize, columns: usize) -> anyhow::Result<()> {
        self.to.write_all(&ty.id().to_le_bytes())?;
        self.to.write_all(&what.to_le_bytes())?;
        self.to.write_all(&(rows as u64).to_le_bytes())?;
        Ok(self.to.write_all(&(columns as u64).to_le_bytes())?)
    }

    fn answer(&mut self) -> anyhow::Result<(Vec<u8>, Duration)> {
        self.to.flush()?;
        let mut word = [0; 8];
        self.from
            .read_exact(&mut word)
            .context("the reference has stopped; see its message above")?;
        let bytes = u64::from_le_bytes(word);
        self.from.read_exact(&mut word)?;
        let mut answer = vec![0; usize::try_from(bytes)?];
        self.from.read_exact(&mut answer)?;
        Ok((answer, Duration::from_secs_f64(f64::from_le_bytes(word))))
    }
}
