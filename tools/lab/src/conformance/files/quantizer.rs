//! The reference's quantizer in a process of its own; the protocol is in
//! `tools/reference/quantize.py`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, ensure};
use granule_convert::Recipe;
use granule_convert::recipe::OverrideValue;
use granule_format::FileType;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use xtask::run::root;

/// The process, started again after the library has ended it.
pub(in crate::conformance) struct Quantizer {
    running: Option<Running>,
}

struct Running {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// The reference's answer to a request.
#[derive(Deserialize)]
pub(in crate::conformance) struct Outcome {
    /// Its status; 0 if all went well.
    pub(in crate::conformance) code: i32,
    pub(in crate::conformance) seconds: f64,
    /// The types that it would choose, from a dry run.
    pub(in crate::conformance) types: BTreeMap<String, String>,
    /// The end of what it said.
    pub(in crate::conformance) log: String,
}

impl Quantizer {
    pub(in crate::conformance) const fn new() -> Self {
        Self { running: None }
    }

    /// Quantize a file, or say what would become of it.
    pub(in crate::conformance) fn quantize(
        &mut self,
        input: &Path,
        output: &Path,
        recipe: &Recipe,
        matrix: Option<&Path>,
        dry_run: bool,
    ) -> anyhow::Result<Outcome> {
        let running = match &mut self.running {
            Some(running) => running,
            None => self.running.insert(start()?),
        };
        let mut request = request(recipe);
        request["input"] = input.to_str().into();
        request["output"] = output.to_str().into();
        request["imatrix"] = matrix.and_then(Path::to_str).into();
        request["dry_run"] = dry_run.into();
        let mut answer = String::new();
        let asked = writeln!(running.to, "{request}").and_then(|()| running.to.flush());
        let read = asked.and_then(|()| running.from.read_line(&mut answer));
        if matches!(read, Ok(read) if read > 0) {
            return serde_json::from_str(&answer).with_context(|| answer.clone());
        }
        let status = running.process.wait()?;
        self.running = None;
        // the library aborts by a signal
        ensure!(status.code().is_none(), "the reference has stopped; see its message above");
        let (types, log) = (BTreeMap::new(), format!("the process ended: {status}"));
        Ok(Outcome { code: -1, seconds: 0.0, types, log })
    }
}

fn start() -> anyhow::Result<Running> {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut process = Command::new(&python)
        .arg(root().join("tools/reference/quantize.py"))
        .env("GGML_NO_BACKTRACE", "1") // it would take a debugger seconds
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{python} cannot be started; PYTHON names another"))?;
    let to = process.stdin.take().context("standard input is piped")?;
    let from = BufReader::new(process.stdout.take().context("standard output is piped")?);
    Ok(Running { process, to, from })
}

fn request(recipe: &Recipe) -> Json {
    let overrides: Vec<Json> = recipe
        .override_kv
        .iter()
        .map(|entry| match &entry.value {
            OverrideValue::Integer(number) => json!([entry.key, "int", number]),
            OverrideValue::Float(number) => json!([entry.key, "float", number]),
            OverrideValue::Bool(value) => json!([entry.key, "bool", value]),
            OverrideValue::Text(text) => json!([entry.key, "str", text]),
        })
        .collect();
    let patterns = recipe.tensor_types.iter();
    let patterns: Vec<Json> =
        patterns.map(|entry| json!([entry.pattern, entry.ty.name()])).collect();
    json!({
        "file_type": recipe.file_type.number().unwrap_or(0),
        "copy": recipe.file_type == FileType::COPY,
        "pure": recipe.pure,
        "leave_output": recipe.leave_output_tensor,
        "output_type": recipe.output_tensor_type.map(|ty| ty.name()),
        "embedding_type": recipe.token_embedding_type.map(|ty| ty.name()),
        "tensor_types": patterns,
        "prune": recipe.prune_layers,
        "keep_split": recipe.keep_split,
        "overrides": overrides,
        "requantize": recipe.allow_requantize,
        "include": recipe.include_weights,
        "exclude": recipe.exclude_weights,
    })
}
