//! The source of a conversion: a checkpoint or a GGUF file.

use anyhow::bail;
use granule_checkpoint::{
    Checkpoint, CheckpointOptions, Exactness, FurtherTokens, Layout, OutType,
};
use granule_convert::encode_blocks;
use granule_format::FileType;
use granule_reader::GgufSource;
use granule_reader::Source;

use super::given;
use super::name::{self, Hub};
use super::options::{Args, Wanted, built_in_arch};
use crate::source;

/// An open source.
#[derive(Debug)]
pub(super) enum Input {
    Checkpoint(Box<Checkpoint>),
    Gguf(Box<GgufSource>),
}

impl Input {
    /// Open a folder, or a file of a checkpoint, as a checkpoint, anything else as a GGUF file.
    pub(super) fn open(args: &Args, wanted: &Wanted) -> anyhow::Result<Self> {
        if !source::is_checkpoint(&args.source)? {
            if let Some(option) = given::for_checkpoints(args) {
                bail!("{}: {option} is for the folder of a checkpoint", args.source.display());
            }
            return Ok(Self::Gguf(Box::new(source::gguf(&args.source)?)));
        }
        let (arch_file, arch_name) = match args.arch.as_deref().and_then(built_in_arch) {
            Some(name) => (None, Some(name)),
            None => (args.arch.clone(), None),
        };
        // As in the reference, adapters keep full precision unless a type is given.
        let full =
            (args.base.is_some() && args.outtype.is_none()).then(|| OutType::from_name("f32"));
        let out_type = full.flatten().unwrap_or(wanted.out_type);
        let named_template = !args.disable_mistral_community_chat_template;
        if !args.mistral_format && !named_template {
            bail!("--disable-mistral-community-chat-template is for --mistral-format");
        }
        let layout = match args.mistral_format {
            true => Layout::Mistral { named_template },
            false => Layout::HuggingFace,
        };
        let options = CheckpointOptions {
            layout,
            out_type,
            model_name: args.model_name.clone(),
            metadata: args.metadata.clone(),
            pre_tokenizer: args.pre.clone(),
            arch_file,
            arch_name,
            draft: args.dspark,
            base: args.base.clone(),
            target: args.target_model_dir.clone(),
            adapters: args.lora.clone(),
            fuse_qkv: args.fuse_qkv,
            fuse_gate_up_experts: args.fuse_gate_up_exps,
            float8_as_q8: args.fp8_as_q8,
            further_tokens: match (args.mtp, args.no_mtp) {
                (true, _) => FurtherTokens::Only,
                (_, true) => FurtherTokens::LeaveOut,
                _ => FurtherTokens::Keep,
            },
            dense_modules: args.sentence_transformers_dense_modules,
            projector: args.mmproj,
            vocabulary_only: args.vocab_only,
            encoder: Some(encode_blocks),
        };
        Ok(Self::Checkpoint(Box::new(source::checkpoint(&args.source, &options)?)))
    }

    pub(super) fn source(&self) -> &dyn Source {
        match self {
            Self::Checkpoint(source) => source.as_ref(),
            Self::Gguf(source) => source.as_ref(),
        }
    }

    /// The model's name.
    pub(super) fn model(&self, args: &Args) -> String {
        let hub = Hub::holds(&args.source);
        match (self, hub) {
            // the folder of a checkpoint in the cache is named after a commit
            (Self::Checkpoint(source), Some(Hub { model: Some(model), .. }))
                if args.model_name.is_none() =>
            {
                let stem = source.file_stem();
                format!("{model}-{}", stem.rsplit('-').next().unwrap_or(stem))
            }
            (Self::Checkpoint(source), _) => source.file_stem().to_owned(),
            (Self::Gguf(_), Some(Hub { model: Some(model), is_blob: true })) => model,
            (Self::Gguf(_), _) => name::model_of(&args.source),
        }
    }

    /// A GGUF file needs a type to be converted to; a checkpoint has one.
    ///
    /// # Errors
    /// If it is a GGUF file.
    pub(super) fn has_a_type(&self, args: &Args) -> anyhow::Result<()> {
        match self {
            Self::Checkpoint(_) => Ok(()),
            Self::Gguf(_) => bail!(
                "{}: no file type given: pass -t TYPE (for example -t Q4_K_M; --help lists them)",
                args.source.display()
            ),
        }
    }

    /// The name of the result's type: what it is quantized to, or the type of the checkpoint.
    pub(super) fn type_name(&self, quantized: Option<FileType>) -> &'static str {
        match (self, quantized) {
            (_, Some(file_type)) => file_type.name(),
            (Self::Checkpoint(source), None) => source.mixture(),
            (Self::Gguf(_), None) => FileType::COPY.name(),
        }
    }

    /// Which tensors are in types of blocks that hold them exactly, if these were looked for.
    pub(super) fn exactness(&self) -> &[Exactness] {
        match self {
            Self::Checkpoint(source) => source.exactness(),
            Self::Gguf(_) => &[],
        }
    }

    /// What is odd about the source without being an error.
    pub(super) fn warnings(&self) -> &[String] {
        match self {
            Self::Checkpoint(source) => source.warnings(),
            Self::Gguf(_) => &[],
        }
    }
}
