//! Recognises folders that are not checkpoints, and says what to do with them.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::folder::{Directory, Folder};
use crate::json::read_json;

/// What a folder holds instead of a checkpoint. Displayed as a description with advice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FolderKind {
    /// Nothing at all.
    Empty,
    /// An adapter: the difference to another model.
    Adapter {
        /// The kind of adapter: `LORA`.
        kind: String,
        /// The base model, if the adapter names one.
        base: Option<String>,
    },
    /// The folder of a model in the cache of the Hugging Face library.
    HubCache {
        /// `organization/model`.
        model: String,
        /// The folder of a snapshot, if there is one.
        snapshot: Option<PathBuf>,
    },
    /// Only files of another format, or in another library's layout.
    Foreign {
        /// One of them.
        file: String,
        /// A description of the files.
        what: &'static str,
        /// Advice for the user.
        remedy: &'static str,
    },
    /// A folder of folders with checkpoints.
    Parent {
        /// Names of some of them.
        folders: Vec<String>,
    },
    /// Weights under names that checkpoints do not use.
    OtherNames {
        /// One of the files.
        file: String,
    },
    /// Weights without a config.
    WeightsAlone {
        /// One of the files.
        file: String,
    },
}

/// Names of files, or of folders if they end in `/`, that identify a kind of folder; `*` matches
/// anything.
struct Mark {
    names: &'static [&'static str],
    what: &'static str,
    remedy: &'static str,
}

const SAVE_AGAIN: &str =
    "load the model with its own library and save it with `save_pretrained` (safetensors)";

/// The table of formats and layouts; the first match wins.
const MARKS: &[Mark] = &[
    Mark {
        names: &["*.incomplete", "*.crdownload", "*.part", "*.aria2", "*.!qB"],
        what: "a download that has not finished",
        remedy: "continue the download",
    },
    Mark {
        names: &["model_index.json"],
        what: "a pipeline of diffusers, which generates images, not text",
        remedy: "if it has a language model (text_encoder), name the folder of that",
    },
    Mark {
        names: &["zero_to_fp32.py", "global_step*/", "zero_*", "bf16_zero_*", "mp_rank_*"],
        what: "a sharded training state of DeepSpeed",
        remedy: "join the shards with its `zero_to_fp32.py` and save the model as a checkpoint",
    },
    Mark {
        names: &["pytorch_model_fsdp*", "*.distcp", "__0_0.distcp"],
        what: "a sharded training state of PyTorch FSDP",
        remedy: "join the shards (`accelerate merge-weights`) and save the model as a checkpoint",
    },
    Mark {
        names: &["consolidated*.pth"],
        what: "a model in the layout of Llama's own code",
        remedy: "use the model's checkpoint for the transformers library",
    },
    Mark {
        names: &["consolidated*", "params.json"],
        what: "a model in Mistral's own layout",
        remedy: "convert it with `--mistral-format`",
    },
    Mark { names: &["weights.npz", "weights.*.npz"], what: "an MLX model", remedy: SAVE_AGAIN },
    Mark {
        names: &["tf_model.h5", "*.h5", "*.ckpt.index", "saved_model.pb", "*.tflite"],
        what: "a TensorFlow model",
        remedy: "load it with `from_pretrained(.., from_tf=True)` of transformers and save it",
    },
    Mark {
        names: &["flax_model*.msgpack", "*.msgpack"],
        what: "a Flax model",
        remedy: "load it with `from_pretrained(.., from_flax=True)` of transformers and save it",
    },
    Mark {
        names: &["*.onnx", "*.onnx_data", "onnx/"],
        what: "an ONNX model",
        remedy: "use the checkpoint that it was exported from",
    },
    Mark {
        names: &["openvino_*.xml", "openvino_*.bin", "openvino/"],
        what: "an OpenVINO model",
        remedy: "use the checkpoint that it was exported from",
    },
    Mark {
        names: &["*.mlpackage/", "*.mlmodel", "*.mlmodelc/"],
        what: "a Core ML model",
        remedy: "use the checkpoint that it was exported from",
    },
    Mark {
        names: &["*.nemo", "model_weights/", "model_config.yaml"],
        what: "a NeMo model",
        remedy: "export it for the transformers library first",
    },
    Mark { names: &["rust_model.ot"], what: "a rust-bert model", remedy: SAVE_AGAIN },
];

/// Tried last, because converted files often lie next to their sources.
const GGUF: Mark =
    Mark { names: &["*.gguf"], what: "a folder with GGUF files", remedy: "name the file" };

/// Weights under any name.
const WEIGHTS: &[&str] = &["*.safetensors", "*.bin", "*.pth", "*.pt", "*.ckpt"];

/// The most folders to search and list.
const MOST_FOLDERS: usize = 1000;
const NAMED_FOLDERS: usize = 4;

/// Recognises a folder without config or weights; `None` if nothing matches.
pub(super) fn survey(folder: &Path) -> Option<FolderKind> {
    let (files, folders) = list(folder)?;
    if files.is_empty() && folders.is_empty() {
        return Some(FolderKind::Empty);
    }
    if files.contains("adapter_config.json") {
        return Some(adapter(folder));
    }
    if folders.contains("snapshots") {
        return Some(hub_cache(folder));
    }
    let fits = |name: &&str| match name.strip_suffix('/') {
        Some(name) => folders.iter().find(|folder| like(folder, name)),
        None => files.iter().chain(&folders).find(|file| like(file, name)),
    };
    let foreign = |mark: &Mark| {
        let file = mark.names.iter().find_map(&fits)?.clone();
        Some(FolderKind::Foreign { file, what: mark.what, remedy: mark.remedy })
    };
    let known = MARKS.iter().find_map(foreign).or_else(|| parent(folder, &folders));
    known.or_else(|| foreign(&GGUF)).or_else(|| {
        let weights = |file: &&String| WEIGHTS.iter().any(|name| like(file, name));
        let file = files.iter().find(weights)?.clone();
        Some(if files.contains("config.json") {
            FolderKind::OtherNames { file }
        } else {
            FolderKind::WeightsAlone { file }
        })
    })
}

/// Lists the names of files and of folders.
fn list(folder: &Path) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
    let (mut files, mut folders) = (BTreeSet::new(), BTreeSet::new());
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let to = if entry.path().is_dir() { &mut folders } else { &mut files };
        to.insert(name);
    }
    Some((files, folders))
}

/// Returns whether a name matches a pattern, in which one `*` stands for anything.
fn like(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

/// Reads the adapter's description of itself.
pub(super) fn adapter(folder: &Path) -> FolderKind {
    let config = read_json(&(&Directory::new(folder) as &dyn Folder).at("adapter_config.json"))
        .unwrap_or_default();
    let text = |key: &str| config[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    FolderKind::Adapter {
        kind: text("peft_type").unwrap_or_else(|| "PEFT".to_owned()),
        base: text("base_model_name_or_path"),
    }
}

/// Describes a model's folder in the cache. It has a folder for each commit under `snapshots`, and
/// `refs/main` names the newest.
fn hub_cache(folder: &Path) -> FolderKind {
    let named = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let named = named.unwrap_or_default();
    let model = named.strip_prefix("models--").unwrap_or(&named).replacen("--", "/", 1);
    let snapshots = folder.join("snapshots");
    let newest =
        granule_reader::file::read_to_string(&folder.join("refs/main")).unwrap_or_default();
    let newest = newest.trim();
    let present = list(&snapshots).map(|(_, folders)| folders).unwrap_or_default();
    let snapshot = present.get(newest).or_else(|| present.first());
    FolderKind::HubCache { model, snapshot: snapshot.map(|name| snapshots.join(name)) }
}

fn parent(folder: &Path, folders: &BTreeSet<String>) -> Option<FolderKind> {
    let checkpoint = |name: &&String| {
        let inner = folder.join(name);
        inner.join("config.json").is_file() || inner.join("snapshots").is_dir()
    };
    let inner = folders.iter().take(MOST_FOLDERS).filter(checkpoint);
    let folders: Vec<String> = inner.take(NAMED_FOLDERS).cloned().collect();
    (!folders.is_empty()).then_some(FolderKind::Parent { folders })
}

impl fmt::Display for FolderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the folder is empty"),
            Self::Adapter { kind, base } => {
                let to = base.as_ref().map(|base| format!(" for {base:?}")).unwrap_or_default();
                write!(
                    f,
                    "this is an adapter ({kind}){to}, not a model: convert that model with --lora \
                     and this folder to merge the adapter; or pass --base DIR, the folder of that \
                     model, to convert the adapter alone"
                )
            }
            Self::HubCache { model, snapshot } => {
                write!(f, "this is the cache folder of {model:?}")?;
                match snapshot {
                    Some(snapshot) => {
                        write!(
                            f,
                            ", whose checkpoint is in {}: name that folder",
                            snapshot.display()
                        )
                    }
                    None => write!(f, " without a snapshot: download the model"),
                }
            }
            Self::Foreign { file, what, remedy } => write!(f, "this is {what} ({file}): {remedy}"),
            Self::Parent { folders } => {
                let names: Vec<String> = folders.iter().map(|name| format!("{name:?}")).collect();
                write!(
                    f,
                    "the checkpoints are in its subfolders: name one of them ({})",
                    names.join(", ")
                )
            }
            Self::OtherNames { file } => write!(
                f,
                "{file:?} is not a name of weights: if the file holds the model's weights, \
                 rename it to model.safetensors or pytorch_model.bin"
            ),
            Self::WeightsAlone { file } => write!(
                f,
                "the weights ({file}) alone are not enough: put config.json and the tokenizer's \
                 files (tokenizer.json, tokenizer_config.json, ...) next to them"
            ),
        }
    }
}
