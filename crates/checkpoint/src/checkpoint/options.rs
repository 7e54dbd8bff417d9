//! What a checkpoint is to become.

use std::path::PathBuf;

use granule_format::BlockType;

use super::{FurtherTokens, OutType};
use crate::Layout;
use crate::lora::Adapter;

/// Options for reading a checkpoint.
#[derive(Clone, Debug, Default)]
pub struct CheckpointOptions {
    /// The layout of the folder.
    pub layout: Layout,
    /// The type of the tensors. Those that every program needs in full precision stay F32.
    pub out_type: OutType,
    /// `general.name`, replacing the name from the folder.
    pub model_name: Option<String>,
    /// A JSON file whose keys (`general.author`, ...) replace the values from the folder.
    pub metadata: Option<PathBuf>,
    /// A description of an architecture, tried before the built-in ones.
    pub arch_file: Option<PathBuf>,
    /// The name of a built-in description to use whatever the checkpoint's class.
    pub arch_name: Option<String>,
    /// The name of the pre-tokenizer, replacing the one that is recognised.
    pub pre_tokenizer: Option<String>,
    /// The folder of the model that a draft model is for.
    pub target: Option<PathBuf>,
    /// Whether to read only the draft model that the checkpoint holds next to its target.
    pub draft: bool,
    /// The folder of the base model, if the folder to open is that of an adapter (LoRA).
    pub base: Option<PathBuf>,
    /// Adapters to merge into the weights, one after the other.
    pub adapters: Vec<Adapter>,
    /// Whether to join the queries, keys and values of a layer to one tensor.
    pub fuse_qkv: bool,
    /// Whether to join the two inner matrices of every expert.
    pub fuse_gate_up_experts: bool,
    /// Whether weights in FP8 become Q8_0, whatever `out_type` is.
    pub float8_as_q8: bool,
    /// What becomes of layers that predict further tokens.
    pub further_tokens: FurtherTokens,
    /// Whether to include the dense layers that `sentence-transformers` applies after the model, if
    /// the architecture has them.
    pub dense_modules: bool,
    /// Whether to make the file of the projector, which turns images or sound into vectors for the
    /// model of text.
    pub projector: bool,
    /// Whether to read only metadata and tokenizer.
    pub vocabulary_only: bool,
    /// Encodes rows if `out_type` is a quantized type. Without it such a type is an error.
    pub encoder: Option<BlockEncoder>,
}

/// Encodes rows of finite values to blocks. The arguments are the type, the values, the values per
/// row and the room for all blocks.
pub type BlockEncoder =
    fn(BlockType, &[f32], usize, &mut [u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
