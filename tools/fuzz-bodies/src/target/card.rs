//! What describes a model besides its config: the model card, the settings for generating text, the
//! chat template, the modules of `sentence-transformers`, and the user's own metadata.

use granule_checkpoint::CheckpointOptions;

use super::config::open_with;
use super::safetensors::{CONFIG, TOKENIZER};
use crate::parts::parts;
use crate::{folder, write};

/// The file of the user's metadata.
const OWN: &str = "own.json";

pub(super) fn run(input: &[u8]) {
    let names = ["generation_config.json", "chat_template.json", "modules.json", OWN, "README.md"];
    let files = parts::<5>(input);
    let folder = folder();
    write(&folder, "config.json", CONFIG.as_bytes());
    write(&folder, "tokenizer.model", TOKENIZER);
    let mut options = CheckpointOptions { vocabulary_only: true, ..Default::default() };
    for (name, bytes) in names.iter().zip(files) {
        if !bytes.is_empty() {
            let path = write(&folder, name, bytes);
            if *name == OWN {
                options.metadata = Some(path);
            }
        }
    }
    open_with(&folder, &options);
}
