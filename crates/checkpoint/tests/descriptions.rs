//! Converts a small checkpoint for every description of an architecture and compares the result
//! with the reference's: `fixtures/descriptions` has a case for each, with checksums.
//!
//! Weights are not stored. They follow from the names of the tensors, both here and in
//! `tools/reference/descriptions.py`, which made the cases.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its fixture has failed")]

#[path = "it/common/encoding.rs"]
mod encoding;
#[path = "it/common/logits.rs"]
mod logits;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use granule_checkpoint::arch::{self, Arch};
use granule_checkpoint::export::{Export, ExportOptions};
use granule_checkpoint::{Checkpoint, CheckpointOptions, FurtherTokens, Layout, OutType};
use granule_format::{Draft, Endian, Writer};
use granule_reader::Source;
use half::{bf16, f16};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// A checkpoint and the reference's results for it.
#[derive(Debug, Deserialize)]
struct Case {
    /// Name of the checkpoint's folder, which determines names in the result.
    folder: String,
    /// Folder in `fixtures/` that has the tokenizer.
    tokenizer: String,
    /// The content of `config.json`; a string if it is not strict JSON, null if there is none.
    config: Value,
    /// The content of the `config.json` of a draft model's target, which has the tokenizer.
    target: Option<Value>,
    /// Additional files by their path in the folder: JSON, or a string for text.
    files: BTreeMap<String, Value>,
    /// Names, types and shapes of the tensors.
    tensors: Vec<Tensor>,
    /// The same for the weights in further folders.
    #[serde(default)]
    modules: BTreeMap<String, Vec<Tensor>>,
    /// Options of the conversion.
    #[serde(default)]
    options: Vec<String>,
    /// The pre-tokenizer's name in the reference's results.
    pre: Option<String>,
    /// SHA-256 of the result in each type.
    expected: BTreeMap<String, String>,
}

/// Name, type and shape.
type Tensor = (String, String, Vec<usize>);

/// The files of tokenizers.
const TOKENIZER_FILES: &[&str] = &[
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "rwkv_vocab_v20230424.txt",
    "tokenizer.jsonl",
];

fn main() {
    let cases = cases();
    let mut trials: Vec<Trial> = cases
        .iter()
        .map(|(name, path)| {
            let path = path.clone();
            Trial::test(name.as_str(), move || convert(&path).map_err(Failed::from))
        })
        .collect();
    for name in BACK {
        let path = fixtures().join(format!("descriptions/{name}.json"));
        let name = format!("{name}_comes_back");
        trials.push(Trial::test(name, move || comes_back(&path).map_err(Failed::from)));
    }
    for (name, why) in LOST {
        let path = fixtures().join(format!("descriptions/{name}.json"));
        let lost = move || match comes_back(&path) {
            Err(error) if error.contains(why) => Ok(()),
            other => Err(Failed::from(format!("expected {why:?}, found {other:?}"))),
        };
        trials.push(Trial::test(format!("{name}_is_lost"), lost));
    }
    for (name, key, value) in REFUSED {
        let refused = move || refused(name, key, value).map_err(Failed::from);
        trials.push(Trial::test(format!("{name}_with_{key}_{value}"), refused));
    }
    trials.extend(logits::trials());
    trials.push(Trial::test("every_description_has_a_case", move || covers_all(&cases)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// Returns the names and files of all cases.
fn cases() -> Vec<(String, PathBuf)> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(fixtures().join("descriptions")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            cases.push((path.file_stem().unwrap().to_string_lossy().into_owned(), path));
        }
    }
    cases.sort();
    cases
}

/// Converts a case to every type of its table.
fn convert(path: &Path) -> Result<(), String> {
    let case = Case::read(path);
    let work = tempfile::tempdir().unwrap();
    let folder = case.make(work.path());
    let mut wrong = Vec::new();
    for (ty, expected) in &case.expected {
        let options = options(&case, work.path(), ty);
        let checkpoint = Checkpoint::open(&folder, &options).map_err(|error| error.to_string())?;
        if hash(&checkpoint) != *expected {
            wrong.push(ty.as_str());
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("differs as {}", wrong.join(", "))) }
}

/// Cases for each way in which an export inverts a rule that `crates/cli/tests/it/export.rs` has no
/// checkpoint for: parts rearranged one by one, signs of some rows and a number of one value, parts
/// of a tensor, layers with another prefix, and tensors that several layers share.
const BACK: &[&str] = &[
    "dots3",
    "exaone-moe",
    "exaone45-shared",
    "glm4v",
    "glm4v-whole",
    "hrm-text",
    "lfm25-audio",
    "nemotron-h-mtp",
    "talkie",
];

/// Cases that have no inverse, and what the error says.
const LOST: &[(&str, &str)] =
    &[("bitnet", "rounded to three"), ("qwen3tts", "what rows became in matrices")];

/// Cases, and values of a key of their configs with which they are refused.
const REFUSED: &[(&str, &str, &str)] = &[
    ("granite-vision", "deepstack_layer_map", "[[1]]"),
    ("granite-vision", "deepstack_layer_map", "[[1, 6]]"),
    ("granite-vision", "deepstack_layer_map", "[[1, -7]]"),
    ("granite-vision", "spatial_target_layers", "[6]"),
];

/// Checks that a case is refused with this value; the error names the key.
fn refused(name: &str, key: &str, value: &str) -> Result<(), String> {
    let mut case = Case::read(&fixtures().join(format!("descriptions/{name}.json")));
    case.config[key] = serde_json::from_str(value).unwrap();
    let work = tempfile::tempdir().unwrap();
    let folder = case.make(work.path());
    match Checkpoint::open(&folder, &options(&case, work.path(), "f16")) {
        Err(error) if error.to_string().contains(key) => Ok(()),
        Err(error) => Err(format!("{key} is not named: {error}")),
        Ok(_) => Err("accepted".to_owned()),
    }
}

/// Converts a case to F16, exports the file and converts the result, which must be the same file.
fn comes_back(path: &Path) -> Result<(), String> {
    let case = Case::read(path);
    let work = tempfile::tempdir().unwrap();
    let folder = case.make(work.path());
    let options = CheckpointOptions {
        out_type: OutType::from_name("f16").unwrap(),
        pre_tokenizer: case.pre.clone(),
        ..CheckpointOptions::default()
    };
    let open = |folder: &Path| Checkpoint::open(folder, &options).map_err(|why| why.to_string());
    let file = work.path().join("model.gguf");
    write(&open(&folder)?, &mut fs::File::create(&file).unwrap());
    let config = Some(folder.join("config.json"));
    let export = work.path().join("export");
    let plan = Export::plan(&file, &export, &ExportOptions { config, ..ExportOptions::default() });
    let plan = plan.map_err(|why| why.to_string())?;
    fs::remove_file(folder.join("model.safetensors")).unwrap();
    for (index, (path, bytes)) in plan.files().enumerate() {
        let file = Mutex::new(vec![0; bytes as usize]);
        let write = |start: u64, bytes: &[u8]| {
            let start = start as usize;
            file.lock().unwrap()[start..start + bytes.len()].copy_from_slice(bytes);
            Ok(())
        };
        let written = plan.write_file(index, &write, (&AtomicU64::new(0), None), &|_| {});
        written.map_err(|why| why.to_string())?;
        let name = path.file_name().unwrap();
        fs::write(folder.join(name), file.into_inner().unwrap()).unwrap();
    }
    for (name, text) in plan.texts().into_iter().filter(|(name, _)| *name != "config.json") {
        fs::write(folder.join(name), text).unwrap();
    }
    if hash(&open(&folder)?) == case.expected["f16"] {
        return Ok(());
    }
    Err("another file comes back".to_owned())
}

/// The options of a case for a type.
fn options(case: &Case, work: &Path, ty: &str) -> CheckpointOptions {
    CheckpointOptions {
        out_type: OutType::from_name(ty).unwrap(),
        encoder: Some(encoding::encode),
        dense_modules: case.has("--sentence-transformers-dense-modules"),
        pre_tokenizer: case.pre.clone(),
        projector: case.has("--mmproj"),
        target: case.target(work),
        layout: case.layout(),
        draft: case.has("--dspark"),
        further_tokens: case.further_tokens(),
        ..CheckpointOptions::default()
    }
}

/// Descriptions without a case, by a class: the reference converts only models of one size, and
/// that is too large.
const TOO_LARGE: &[&str] = &["StepVLForConditionalGeneration"];

/// Checks that every built-in description has a case.
fn covers_all(cases: &[(String, PathBuf)]) -> Result<(), Failed> {
    let mut missing: Vec<&Arc<Arch>> = arch::all().iter().chain(arch::projectors()).collect();
    missing.retain(|arch| !arch.classes.iter().any(|class| TOO_LARGE.contains(&class.as_str())));
    for (_, path) in cases {
        let case = Case::read(path);
        let work = tempfile::tempdir().unwrap();
        let folder = case.make(work.path());
        let options = CheckpointOptions {
            pre_tokenizer: case.pre.clone(),
            projector: case.has("--mmproj"),
            target: case.target(work.path()),
            layout: case.layout(),
            draft: case.has("--dspark"),
            ..CheckpointOptions::default()
        };
        let checkpoint = Checkpoint::open(&folder, &options).map_err(|error| error.to_string())?;
        missing.retain(|arch| !std::ptr::eq(Arc::as_ptr(arch), checkpoint.arch()));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> =
        missing.iter().map(|arch| format!("{} ({})", arch.name, arch.classes.join(", "))).collect();
    Err(Failed::from(format!(
        "no case in fixtures/descriptions for {}: add a row to tools/reference/tiny_checkpoints.py \
         and run tools/reference/descriptions.py",
        missing.join("; ")
    )))
}

impl Case {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes the checkpoint into a folder of its own.
    fn make(&self, work: &Path) -> PathBuf {
        let folder = work.join(&self.folder);
        fs::create_dir(&folder).unwrap();
        let target = self.target(work);
        if let (Some(target), Some(config)) = (&target, &self.target) {
            fs::create_dir(target).unwrap();
            fs::write(target.join("config.json"), config.to_string()).unwrap();
        }
        for file in TOKENIZER_FILES {
            let from = fixtures().join(&self.tokenizer).join(file);
            if from.is_file() {
                fs::copy(from, target.as_ref().unwrap_or(&folder).join(file)).unwrap();
            }
        }
        let config = match &self.config {
            Value::String(text) => text.clone(),
            config => config.to_string(),
        };
        let (config_name, weights_name) = match self.layout() {
            Layout::HuggingFace => ("config.json", "model.safetensors"),
            _ => ("params.json", "consolidated.safetensors"),
        };
        if !self.config.is_null() {
            fs::write(folder.join(config_name), config).unwrap();
        }
        for (path, content) in &self.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
            fs::write(path, text).unwrap();
        }
        fs::write(folder.join(weights_name), weights(&self.tensors)).unwrap();
        for (module, tensors) in &self.modules {
            fs::create_dir_all(folder.join(module)).unwrap();
            fs::write(folder.join(module).join("model.safetensors"), weights(tensors)).unwrap();
        }
        folder
    }

    /// Returns whether the conversion has an option.
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|given| given == option)
    }

    /// Returns which layers that predict further tokens are converted.
    fn further_tokens(&self) -> FurtherTokens {
        match (self.has("--mtp"), self.has("--no-mtp")) {
            (true, _) => FurtherTokens::Only,
            (_, true) => FurtherTokens::LeaveOut,
            _ => FurtherTokens::Keep,
        }
    }

    /// Returns the layout of the folder.
    fn layout(&self) -> Layout {
        match self.has("--mistral-format") {
            true => Layout::Mistral { named_template: true },
            false => Layout::HuggingFace,
        }
    }

    /// Returns the folder of a draft model's target.
    fn target(&self, work: &Path) -> Option<PathBuf> {
        self.target.as_ref().map(|_| work.join(format!("{}-target", self.folder)))
    }
}

/// Makes a safetensors file with tensors.
fn weights(tensors: &[Tensor]) -> Vec<u8> {
    let mut header = Map::new();
    let mut data = Vec::new();
    for (name, ty, shape) in tensors {
        let start = data.len();
        write_values(name, ty, shape.iter().product(), &mut data);
        let range = [start, data.len()];
        let entry = json!({ "dtype": ty, "shape": shape, "data_offsets": range });
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string().into_bytes();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], &header, &data].concat()
}

/// Parts of the names of tensors that are multiplied with each other while they are converted.
const FOLDED: &[&str] = &[
    "flow_lm.bos_emb",
    "flow_lm.input_linear",
    "talker.model.text_embedding",
    "talker.text_projection",
];

/// Generates the values of a tensor: SplitMix64 seeded with the FNV-1a hash of its name. The upper
/// 24 bits make a number from -1/8 to 1/8, and the lowest byte a code that is never NaN.
fn write_values(name: &str, ty: &str, count: usize, out: &mut Vec<u8>) {
    if name == "d2t" {
        out.extend((0..count as u64).flat_map(|step| (step / 4).to_le_bytes()));
        return;
    }
    let mut state = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let mut next = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    };
    // products of these are summed, and the sums must be exact
    let folded = FOLDED.iter().any(|part| name.contains(part));
    let is_variance = name.ends_with("running_var");
    let number = |bits: u64| match (is_variance, folded) {
        (true, _) => 0.25,
        (_, true) => ((bits >> 61) as i32 - 4) as f32 / 8.0,
        _ => ((bits >> 40) as i32 - (1 << 23)) as f32 * (1.0 / (1 << 26) as f32),
    };
    let is_scale = name.ends_with("_scales") || name.ends_with("_scale");
    // one loop a type: millions of values are generated without optimization
    macro_rules! values {
        ($one:expr) => {{
            let one = $one;
            for _ in 0..count {
                out.extend_from_slice(&one(next()));
            }
        }};
    }
    match ty {
        "U8" if is_scale => values!(|bits| [110 + bits as u8 % 20]),
        "U8" | "I8" => values!(|bits| [bits as u8]),
        "F8_E8M0" => values!(|bits| [118 + bits as u8 % 6]),
        "BOOL" => out.extend((0..count).map(|step| u8::from(step % 2 == 0))),
        "I64" => values!(|bits| i64::from(bits as u8 % 4).to_le_bytes()),
        "F8_E4M3" => values!(|bits| {
            let code = bits as u8;
            [if code & 0x7F == 0x7F { code & 0xFE } else { code }]
        }),
        "F32" => values!(|bits| number(bits).to_le_bytes()),
        "F16" => values!(|bits| f16::from_f32(number(bits)).to_le_bytes()),
        "BF16" => values!(|bits| bf16::from_f32(number(bits)).to_le_bytes()),
        _ => panic!("{name}: no values of type {ty}"),
    }
}

/// Computes the SHA-256 of the GGUF file of a checkpoint.
fn hash(checkpoint: &Checkpoint) -> String {
    let mut hasher = Hasher(Sha256::new());
    write(checkpoint, &mut hasher);
    hasher.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the GGUF file of a checkpoint.
fn write(checkpoint: &Checkpoint, out: &mut impl Write) {
    let mut draft = Draft::new(checkpoint.metadata().clone(), Endian::Little).unwrap();
    for tensor in checkpoint.tensors() {
        draft.add(&tensor.name, tensor.shape, tensor.ty).unwrap();
    }
    let mut writer = Writer::start(out, draft).unwrap();
    let mut rows = Vec::new();
    for (index, tensor) in checkpoint.tensors().iter().enumerate() {
        checkpoint.read_rows(index, 0..tensor.shape.rows().unwrap(), &mut rows).unwrap();
        let mut to = writer.tensor(&tensor.name).unwrap();
        to.write_all(&rows).unwrap();
        to.finish().unwrap();
    }
    writer.finish().unwrap();
}

struct Hasher(Sha256);

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}
