//! Checkpoints read like the files that the reference's converter writes, byte for byte.

use crate::common::encoding;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use granule_checkpoint::{Checkpoint, CheckpointOptions, OutType};
use granule_encode::encoder;
use granule_format::{Draft, Endian, TensorType, Writer};
use granule_reader::Source;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A writer that counts and hashes its input.
#[derive(Default)]
struct Hasher {
    sha256: Sha256,
    bytes: u64,
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints")
}

fn read_json(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes a checkpoint a few rows at a time, also from the middle of tensors.
fn write(checkpoint: &Checkpoint, endian: Endian, out: &mut dyn Write) {
    let mut draft = Draft::new(checkpoint.metadata().clone(), endian).unwrap();
    for tensor in checkpoint.tensors() {
        draft.add(&tensor.name, tensor.shape, tensor.ty).unwrap();
    }
    let mut writer = Writer::start(out, draft).unwrap();
    let mut rows = Vec::new();
    for (index, tensor) in checkpoint.tensors().iter().enumerate() {
        let TensorType::Known(ty) = tensor.ty else { panic!("{}", tensor.name) };
        let mut to = writer.tensor(&tensor.name).unwrap();
        let all = tensor.shape.rows().unwrap();
        for start in (0..all).step_by(37) {
            checkpoint.read_rows(index, start..all.min(start + 37), &mut rows).unwrap();
            if endian == Endian::Big {
                ty.swap_bytes(&mut rows);
            }
            to.write_all(&rows).unwrap();
        }
        to.finish().unwrap();
    }
    writer.finish().unwrap();
}

/// Translates arguments of the reference's converter to options; `None` if they concern something
/// other than the checkpoint.
fn options(folder: &Path, args: &[Value]) -> Option<(CheckpointOptions, Endian)> {
    let mut options =
        CheckpointOptions { encoder: Some(encoding::encode), ..CheckpointOptions::default() };
    let mut endian = Endian::Little;
    let mut args = args.iter().map(|arg| arg.as_str().unwrap());
    while let Some(arg) = args.next() {
        match arg {
            "--outtype" => options.out_type = OutType::from_name(args.next()?).unwrap(),
            "--model-name" => options.model_name = Some(args.next()?.to_owned()),
            "--metadata" => options.metadata = Some(folder.join(args.next()?)),
            "--arch" => options.arch_file = Some(args.next()?.into()),
            "--vocab-only" => options.vocabulary_only = true,
            "--bigendian" => endian = Endian::Big,
            _ => return None,
        }
    }
    Some((options, endian))
}

/// Compares a case. Returns a description of the difference.
fn check(folder: &Path, args: &[Value], expected: &Value) -> Option<Result<(), String>> {
    let (options, endian) = options(folder, args)?;
    let case = || -> Result<(), String> {
        let checkpoint = Checkpoint::open(folder, &options).map_err(|error| error.to_string())?;
        let mut hasher = Hasher::default();
        write(&checkpoint, endian, &mut hasher);
        if let Ok(keep) = std::env::var("GRANULE_KEEP") {
            let path = Path::new(&keep).join(expected["name"].as_str().unwrap());
            write(
                &checkpoint,
                endian,
                &mut std::io::BufWriter::new(fs::File::create(path).unwrap()),
            );
        }
        let hash: String = hasher.sha256.finalize().iter().map(|b| format!("{b:02x}")).collect();
        let found = (format!("{}.gguf", checkpoint.file_stem()), hasher.bytes, hash);
        let text = |key: &str| expected[key].as_str().unwrap().to_owned();
        let expected = (text("name"), expected["size"].as_u64().unwrap(), text("sha256"));
        if found == expected { Ok(()) } else { Err(format!("{found:?}, expected {expected:?}")) }
    };
    // Types without an encoder cannot be compared.
    let probe = Checkpoint::open(folder, &options);
    let types = probe.iter().flat_map(|checkpoint| checkpoint.tensors().iter());
    let mut quantized = types.filter_map(|tensor| tensor.ty.known()).filter(|ty| ty.is_quantized());
    quantized.all(|ty| encoder(ty).is_some()).then(case)
}

/// Compares all cases of an index. Returns the number of cases and the differences.
fn check_index(folder: &Path, index: &Value) -> (usize, Vec<String>) {
    let mut compared = 0;
    let mut wrong = Vec::new();
    for case in index["cases"].as_array().unwrap() {
        let file = if case["files"].is_array() { &case["files"][0] } else { case };
        if let Some(result) = check(folder, case["args"].as_array().unwrap(), file) {
            compared += 1;
            if let Err(text) = result {
                wrong.push(format!("{} {}: {text}", folder.display(), case["case"]));
            }
        }
    }
    (compared, wrong)
}

#[test]
fn checkpoints_become_the_references_files() {
    let mut compared = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(fixtures()).unwrap() {
        let folder = entry.unwrap().path();
        if folder.join("expected").is_dir() {
            let index = read_json(&folder.join("expected/index.json"));
            let (more, differences) = check_index(&folder, &index);
            compared += more;
            wrong.extend(differences);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared >= 20, "only {compared} cases were compared");
}
