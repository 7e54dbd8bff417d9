//! Running the program in a temporary folder, and files to run it on.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use granule_format::{Array, BlockType, Draft, Endian, Metadata, Shape, Value, Writer};
use granule_reader::{GgufSource, Source};
use tempfile::TempDir;

/// What a run of the program gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The run must have succeeded; what it wrote to standard output.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "{self:?}");
        self.stdout
    }

    /// As [`ok`](Self::ok), as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.ok()).expect("JSON")
    }

    /// The run must have failed with exit status 2 and nothing on standard output; the message.
    #[track_caller]
    pub(crate) fn failure(self) -> String {
        assert_eq!((self.status, self.stdout.as_str()), (2, ""), "{self:?}");
        assert!(self.stderr.starts_with("granule: error: "), "{self:?}");
        assert!(self.stderr.lines().count() <= 2, "{self:?}");
        self.stderr
    }
}

/// A temporary folder in which the program runs.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("the file can be written");
    }

    /// The names of everything in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .expect("the folder can be read")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    }

    /// The program with this command line (split at blanks), about to run here.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_granule"));
        command.args(line.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// Run the program with this command line (split at blanks) here.
    pub(crate) fn run(&self, line: &str) -> Ran {
        ran(self.command(line).output().expect("the program starts"))
    }
}

pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        status: output.status.code().expect("no signal"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Compare with `tests/golden/<name>`. With `GRANULE_UPDATE=1` the file is written instead.
#[track_caller]
pub(crate) fn assert_golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("GRANULE_UPDATE").is_some() {
        return fs::write(&path, found).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&path).expect("the golden file exists");
    assert_eq!(found, expected, "differs from {name}");
}

/// Metadata with a value of each kind, a long array, and text that must not reach the terminal as
/// it is.
pub(crate) fn metadata() -> Metadata {
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "llama");
    metadata.set("general.name", "Tiny \x1b[31mred\nname");
    metadata.set("general.description", "long ".repeat(40));
    metadata.set("llama.block_count", 1_u32);
    metadata.set("llama.rope.freq_base", 10_000.0_f32);
    metadata.set("test.small", 0.1_f32);
    metadata.set("test.bad", f32::NAN);
    metadata.set("test.double", 1e300_f64);
    metadata.set("test.negative", -5_i64);
    metadata.set("test.large", u64::MAX);
    metadata.set("test.flag", true);
    let tokens = (0..300).map(|i| match i {
        3 => b"\xff\xfe".to_vec(),
        _ => format!("token {i}").into_bytes(),
    });
    metadata.set("tokenizer.ggml.tokens", Array::String(tokens.collect()));
    metadata.set("test.nested", Array::Array(vec![Array::U8(vec![1, 2]), Array::Bool(vec![])]));
    metadata.set("test.empty", Array::I16(vec![]));
    metadata
}

/// Tensors of a known type and, if wanted, one of a type of tomorrow.
pub(crate) fn gguf(metadata: Metadata, endian: Endian, tomorrow: bool) -> Vec<u8> {
    let mut draft = Draft::new(metadata, endian).expect("a legal alignment");
    for (name, dimensions, ty) in [
        ("token_embd.weight", &[256, 4][..], BlockType::Q4_K),
        ("blk.0.attn_q.weight", &[64, 3, 2], BlockType::Q4_0),
        ("blk.0.attn_norm.weight", &[64], BlockType::F32),
        ("output_norm.weight", &[7], BlockType::F32),
    ] {
        draft.add(name, shape(dimensions), ty.into()).expect("a legal tensor");
    }
    let mut file = write(draft);
    if tomorrow {
        // the type of the first tensor follows its name and dimensions
        let name = b"token_embd.weight";
        let at = file.windows(name.len()).position(|bytes| bytes == name).expect("the name");
        let at = at + name.len() + 4 + 2 * 8;
        file[at..at + 4].copy_from_slice(&999_u32.to_le_bytes());
    }
    file
}

/// A small language model of F32 values: one block, rows of 256 but for `ffn_down`, whose rows of
/// 320 are not whole super-blocks.
pub(crate) fn model() -> Vec<u8> {
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "llama");
    metadata.set("general.name", "Tiny");
    for (key, value) in [
        ("block_count", 1_u32),
        ("context_length", 64),
        ("embedding_length", 256),
        ("feed_forward_length", 320),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
    ] {
        metadata.set(&format!("llama.{key}"), value);
    }
    metadata.set("llama.attention.layer_norm_rms_epsilon", 1e-5_f32);
    let mut draft = Draft::new(metadata, Endian::Little).expect("a legal alignment");
    for (name, dimensions) in [
        ("token_embd.weight", &[256, 40][..]),
        ("blk.0.attn_norm.weight", &[256]),
        ("blk.0.attn_q.weight", &[256, 256]),
        ("blk.0.attn_v.weight", &[256, 128]),
        ("blk.0.ffn_down.weight", &[320, 256]),
        ("output.weight", &[256, 40]),
    ] {
        draft.add(name, shape(dimensions), BlockType::F32.into()).expect("a legal tensor");
    }
    let mut state = 1_u32;
    write_with(draft, |bytes| {
        for value in bytes.chunks_exact_mut(4) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let number = (state >> 8) as f32 / 16_777_216.0 - 0.5;
            value.copy_from_slice(&number.to_le_bytes());
        }
    })
}

/// A split set of `count` files named `<stem>-NNNNN-of-NNNNN.gguf`, each with one tensor.
pub(crate) fn write_split_set(folder: &Folder, stem: &str, count: u16) {
    for number in 0..count {
        let mut metadata = Metadata::new();
        if number == 0 {
            metadata.set("general.architecture", "llama");
        }
        metadata.set("split.no", number);
        metadata.set("split.count", count);
        metadata.set("split.tensors.count", i32::from(count));
        let mut draft = Draft::new(metadata, Endian::Little).expect("a legal alignment");
        let name = format!("blk.{number}.attn_norm.weight");
        draft.add(&name, shape(&[8]), BlockType::F32.into()).expect("a legal tensor");
        folder.write(&format!("{stem}-{:05}-of-{count:05}.gguf", number + 1), write(draft));
    }
}

pub(crate) fn shape(dimensions: &[u64]) -> Shape {
    Shape::new(dimensions).expect("at most four dimensions")
}

/// The draft as a file whose data are zeros.
pub(crate) fn write(draft: Draft) -> Vec<u8> {
    write_with(draft, |_| {})
}

/// The draft as a file with the data of each tensor filled in.
pub(crate) fn write_with(draft: Draft, mut fill: impl FnMut(&mut [u8])) -> Vec<u8> {
    let tensors = draft.tensors().to_vec();
    let mut writer = Writer::start(Vec::new(), draft).expect("memory");
    for tensor in tensors {
        let mut out = writer.tensor(&tensor.name).expect("the order of the draft");
        let mut bytes = vec![0; tensor.bytes().expect("a known type") as usize];
        fill(&mut bytes);
        out.write_all(&bytes).expect("memory");
        out.finish().expect("all bytes");
    }
    writer.finish().expect("all tensors")
}

/// A file of version 1: 32-bit lengths and counts.
pub(crate) fn version_1() -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    let string = |file: &mut Vec<u8>, text: &str| {
        file.extend((text.len() as u32).to_le_bytes());
        file.extend(text.as_bytes());
    };
    for number in [1_u32, 1, 1] {
        file.extend(number.to_le_bytes());
    }
    string(&mut file, "general.architecture");
    file.extend(8_u32.to_le_bytes());
    string(&mut file, "llama");
    string(&mut file, "a");
    // dimensions, length, type F32, offset
    for number in [1_u32, 8, 0] {
        file.extend(number.to_le_bytes());
    }
    file.extend(0_u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32) + 32, 0);
    file
}

/// Metadata of one entry.
pub(crate) fn one_entry(key: &str, value: impl Into<Value>) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.set(key, value);
    metadata
}

/// An importance matrix in the older form with equal weights.
pub(crate) fn matrix(entries: &[(&str, usize, f32)]) -> Vec<u8> {
    let mut bytes = (entries.len() as i32).to_le_bytes().to_vec();
    for (name, values, weight) in entries {
        bytes.extend((name.len() as i32).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(1_i32.to_le_bytes());
        bytes.extend((*values as i32).to_le_bytes());
        bytes.extend(weight.to_le_bytes().repeat(*values));
    }
    bytes
}

/// Copy a checkpoint of the collection to `to` in the folder: its files, without what is expected
/// of it.
pub(crate) fn copy_checkpoint(folder: &Folder, name: &str, to: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints").join(name);
    fs::create_dir_all(folder.path(to)).expect("a folder");
    for entry in fs::read_dir(from).expect("the checkpoint") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let name = path.file_name().expect("a name");
            fs::copy(&path, folder.path(to).join(name)).expect("the file can be copied");
        }
    }
}

/// Write a changed copy of a GGUF file: other metadata, other bytes of its tensors.
pub(crate) fn edited(
    folder: &Folder,
    from: &str,
    to: &str,
    metadata: impl FnOnce(&mut Metadata),
    mut data: impl FnMut(&str, &mut [u8]),
) {
    let source = GgufSource::open(folder.path(from)).expect("a GGUF file");
    let mut changed = source.metadata().clone();
    metadata(&mut changed);
    let mut draft = Draft::new(changed, Endian::Little).expect("a legal alignment");
    for tensor in source.tensors() {
        draft.add(&tensor.name, tensor.shape, tensor.ty).expect("a legal tensor");
    }
    let mut tensors = source.tensors().iter().enumerate();
    let file = write_with(draft, |bytes| {
        let (index, tensor) = tensors.next().expect("as many tensors");
        let mut rows = Vec::new();
        let count = tensor.shape.rows().expect("a legal tensor");
        source.read_rows(index, 0..count, &mut rows).expect("the data");
        bytes.copy_from_slice(&rows);
        data(&tensor.name, bytes);
    });
    folder.write(to, file);
}
