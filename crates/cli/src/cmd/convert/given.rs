//! The options that matter to some runs only, and what each is about.

use granule_encode::Effort;

use super::options::Args;

/// What an option is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Quantizing: has no meaning without a file type, and a plan decides it.
    Quantizing,
    /// Running the model, for `--effort 2` or a size.
    Texts,
    /// Choosing codes with `--effort 2`.
    Calibrating,
    /// Running the model for `--effort 2`.
    Running,
    /// The files of the result: a plan decides it.
    Files,
    /// Reading a checkpoint.
    Checkpoint,
    /// The tensors of a checkpoint.
    CheckpointTensors,
    /// Nothing: it is accepted because other programs have it.
    Nothing(&'static str),
}

const BOUNDED: About = About::Nothing("memory is bounded without it");
const SHOWN: About = About::Nothing("--dry-run shows what is decided for every tensor");

/// The table of options that matter to some runs only, and whether they were given.
pub(super) fn given(args: &Args) -> impl Iterator<Item = (&'static str, About)> {
    use About::*;
    let types = &args.tensor_types;
    let table = [
        ("--imatrix", Quantizing, args.imatrix.is_some()),
        ("--include-weights", Quantizing, !args.include_weights.is_empty()),
        ("--exclude-weights", Quantizing, !args.exclude_weights.is_empty()),
        ("--effort", Quantizing, args.effort != Effort::Reference),
        ("--calibrate", Texts, args.calibrate.is_given()),
        ("--statistics", Calibrating, args.calibrate.has_statistics()),
        ("--save-statistics", Running, args.calibrate.save_statistics.is_some()),
        ("--calibration-chunks", Texts, args.calibrate.calibration_chunks.is_some()),
        ("--calibration-width", Running, args.calibrate.calibration_width.is_some()),
        ("--damping", Calibrating, args.calibrate.damping.is_some()),
        ("--pure", Quantizing, args.pure),
        ("--leave-output-tensor", Quantizing, args.leave_output_tensor),
        ("--output-tensor-type", Quantizing, args.output_tensor_type.is_some()),
        ("--token-embedding-type", Quantizing, args.token_embedding_type.is_some()),
        ("--tensor-type", Quantizing, !types.patterns.is_empty() || !types.empty.is_empty()),
        ("--allow-requantize", Quantizing, args.allow_requantize),
        ("--no-fallback", Quantizing, args.no_fallback),
        ("--allow-missing", Quantizing, args.allow_missing),
        ("--prune-layers", Quantizing, args.prune_layers.is_some()),
        ("--override-kv", Quantizing, !args.override_kv.is_empty()),
        ("--keep-split", Quantizing, args.keep_split),
        ("--split-max-size", Files, args.split_max_size.is_some()),
        ("--split-max-tensors", Files, args.split_max_tensors.is_some()),
        ("--no-tensor-first-split", Files, args.no_tensor_first_split),
        ("--allow-invalid", Files, args.allow_invalid),
        ("--outtype", Checkpoint, args.outtype.is_some()),
        ("--model-name", Checkpoint, args.model_name.is_some()),
        ("--metadata", Checkpoint, args.metadata.is_some()),
        ("--arch", Checkpoint, args.arch.is_some()),
        ("--pre", Checkpoint, args.pre.is_some()),
        ("--base", CheckpointTensors, args.base.is_some()),
        ("--lora", CheckpointTensors, !args.lora.is_empty()),
        ("--mistral-format", Checkpoint, args.mistral_format),
        (
            "--disable-mistral-community-chat-template",
            Checkpoint,
            args.disable_mistral_community_chat_template,
        ),
        ("--dspark", Checkpoint, args.dspark),
        ("--target-model-dir", Checkpoint, args.target_model_dir.is_some()),
        ("--fuse-qkv", CheckpointTensors, args.fuse_qkv),
        ("--fuse-gate-up-exps", CheckpointTensors, args.fuse_gate_up_exps),
        ("--fp8-as-q8", CheckpointTensors, args.fp8_as_q8),
        ("--mtp", CheckpointTensors, args.mtp),
        ("--no-mtp", Checkpoint, args.no_mtp),
        (
            "--sentence-transformers-dense-modules",
            CheckpointTensors,
            args.sentence_transformers_dense_modules,
        ),
        ("--mmproj", Checkpoint, args.mmproj),
        ("--vocab-only", Checkpoint, args.vocab_only),
        ("--max-buffer-size", BOUNDED, args.max_buffer_size.is_some()),
        ("--use-temp-file", BOUNDED, args.use_temp_file),
        ("--no-lazy", BOUNDED, args.no_lazy),
        ("--verbose", SHOWN, args.verbose),
    ];
    table.into_iter().filter_map(|(option, about, given)| given.then_some((option, about)))
}

/// An option that was given and has no meaning for GGUF files.
pub(super) fn for_checkpoints(args: &Args) -> Option<&'static str> {
    let mut of = given(args);
    of.find_map(|(option, about)| {
        matches!(about, About::Checkpoint | About::CheckpointTensors).then_some(option)
    })
}
