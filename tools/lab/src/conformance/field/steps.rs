//! The table of commands and what is right.

use super::{Step, Then};

const DONE: &[i32] = &[0];
const FINDINGS: &[i32] = &[1];
const REFUSED: &[i32] = &[2];

/// A conversion to 16 bits that succeeds.
const fn converts(
    situation: &'static str,
    command: &'static str,
    says: &'static [&'static str],
    then: &'static [Then],
) -> Step {
    Step { situation, command, exit: DONE, says, lacks: &[], then }
}

/// A command that fails before any work.
const fn refused(
    situation: &'static str,
    command: &'static str,
    says: &'static [&'static str],
    lacks: &'static [&'static str],
) -> Step {
    Step { situation, command, exit: REFUSED, says, lacks, then: &[Then::Nothing] }
}

/// A check that finds something.
const fn found(
    situation: &'static str,
    command: &'static str,
    says: &'static [&'static str],
    lacks: &'static [&'static str],
) -> Step {
    Step { situation, command, exit: FINDINGS, says, lacks, then: &[] }
}

/// All steps, by situation.
pub(super) const STEPS: &[Step] = &[
    Step {
        situation: "added-token-repeats-piece",
        command: "convert {in}/model --outtype f16 -o {out}",
        exit: &[0, 2],
        says: &["500", "300"],
        lacks: &[],
        then: &[],
    },
    converts(
        "card-yaml",
        "convert {in}/model -t Q8_0 -o {out}",
        &["README.md", "line 3", "warning"],
        &[Then::Clean],
    ),
    found("check-concatenated-splits", "check {in}/cat.gguf", &["1 of 3", "-t COPY"], &[]),
    found(
        "check-concatenated-splits",
        "check {in}/sha256-0123456789abcdef",
        &["-00001-of-00003.gguf"],
        &[],
    ),
    refused("check-concatenated-splits", "inspect {in}/cat.gguf", &["-t COPY"], &[]),
    found("check-missing-merges", "check {in}/no-merges.gguf", &["merges"], &[]),
    found("check-missing-tensors", "check {in}/hole.gguf", &["blk.1.ffn_up.weight"], &[]),
    found("check-missing-tensors", "check {in}/block-count-3.gguf", &["block_count"], &[]),
    Step {
        situation: "check-missing-tensors",
        command: "convert {in}/hole.gguf -t Q8_0 -o {out}",
        exit: &[0, 2],
        says: &["blk.1.ffn_up.weight"],
        lacks: &[],
        then: &[],
    },
    refused(
        "f16-overflow",
        "convert {in}/bf16-big -t F16 -o {out}",
        &["mlp.up_proj.weight", "65504", "BF16"],
        &["damaged"],
    ),
    refused(
        "f16-overflow",
        "convert {in}/bf16-big -t Q8_0 --outtype f16 -o {out}",
        &["mlp.up_proj.weight", "65504", "bf16"],
        &["damaged"],
    ),
    converts("f16-overflow", "convert {in}/bf16-big -t Q8_0 -o {out}", &[], &[Then::Clean]),
    converts(
        "file-of-checkpoint-named",
        "convert {in}/one/model.safetensors -t Q8_0 -o {out}",
        &[],
        &[Then::Clean, Then::SameTensors("convert {in}/one -t Q8_0 -o {out}")],
    ),
    converts(
        "file-of-checkpoint-named",
        "convert {in}/sharded/model.safetensors.index.json -t Q8_0 -o {out}",
        &[],
        &[Then::Clean, Then::SameTensors("convert {in}/sharded -t Q8_0 -o {out}")],
    ),
    converts(
        "five-dimensions",
        "inspect {in}/wan.gguf --tensors",
        &["patch_embedding.weight", "blocks.0.self_attn.q.weight"],
        &[],
    ),
    found("five-dimensions", "check {in}/wan.gguf", &["T006"], &["O004"]),
    refused(
        "five-dimensions",
        "convert {in}/wan.gguf -t Q8_0 -o {out}",
        &["patch_embedding.weight", "5 dimensions"],
        &[],
    ),
    converts(
        "fp8-static-scales",
        "convert {in}/ct-kv-scales -t Q8_0 -o {out}",
        &[],
        &[Then::Clean, Then::SameTensors("convert {in}/ct-plain -t Q8_0 -o {out}")],
    ),
    converts(
        "fp8-static-scales",
        "convert {in}/ct-input-scales -t Q8_0 -o {out}",
        &[],
        &[Then::Clean, Then::SameTensors("convert {in}/ct-plain -t Q8_0 -o {out}")],
    ),
    converts(
        "fp8-static-scales",
        "convert {in}/fp8-weight-scale -t Q8_0 -o {out}",
        &[],
        &[Then::Clean, Then::SameTensors("convert {in}/ct-plain -t Q8_0 -o {out}")],
    ),
    converts(
        "gemma3-json-only",
        "convert {in}/gemma3-padded --outtype f16 -o {out}",
        &[],
        &[Then::Clean, Then::Shape("token_embd.weight", &[64, 704])],
    ),
    converts(
        "gemma3-json-only",
        "convert {in}/gemma3-1b-like --outtype f16 -o {out}",
        &["<image_soft_token>"],
        &[Then::Clean, Then::Shape("token_embd.weight", &[64, 640])],
    ),
    headless("convert {in}/headless-Qwen3-tiny-bpe --outtype f16 -o {out}", HEADLESS[0]),
    headless("convert {in}/headless-llama2-spm-256 --outtype f16 -o {out}", HEADLESS[1]),
    headless("convert {in}/headless-qwen2-tiny --outtype f16 -o {out}", HEADLESS[2]),
    headless("convert {in}/headless-mistral-fast-tok --outtype f16 -o {out}", HEADLESS[3]),
    headless("convert {in}/headless-gemma2-tiny --outtype f16 -o {out}", HEADLESS[4]),
    headless("convert {in}/headless-gemma-3-tiny-it --outtype f16 -o {out}", HEADLESS[5]),
    headless("convert {in}/headless-stablelm2-tiny --outtype f16 -o {out}", HEADLESS[6]),
    converts(
        "jinja-file-loses",
        "convert {in}/model --outtype f16 -o {out}",
        &["chat_template.jinja", "tokenizer_config.json", "warning"],
        &[Then::Clean, Then::Reference("model")],
    ),
    Step {
        situation: "output-device-or-link",
        command: "convert {in}/model -t Q8_0 -o {in}/special/null",
        exit: REFUSED,
        says: &["device"],
        lacks: &[],
        then: &[Then::Nothing, Then::Device("special/null")],
    },
    converts(
        "output-device-or-link",
        "convert {in}/model -t Q8_0 -o {in}/special/link.gguf",
        &[],
        &[Then::LinkToModel("special/link.gguf")],
    ),
    converts(
        "qwen3-reranker",
        "convert {in}/Qwen3-Reranker-0.6B --outtype f16 -o {out}",
        &[],
        &[
            Then::Clean,
            Then::Reference("Qwen3-Reranker-0.6B"),
            Then::Shape("cls.output.weight", &[32, 2]),
        ],
    ),
    converts(
        "qwen3-reranker",
        "convert {in}/my-finetune --outtype f16 -o {out}",
        &[],
        &[Then::Clean, Then::Reference("my-finetune")],
    ),
    converts(
        "stale-quantization-config",
        "convert {in}/merged-16bit -t Q8_0 -o {out}",
        &["warning", "bitsandbytes", "ignored"],
        &[Then::Clean],
    ),
    converts(
        "trailing-one-dimension",
        "convert {in}/sd3.gguf -t Q4_K_M -o {out}",
        &[],
        &[Then::Shape("pos_embed", &[64, 128, 1])],
    ),
    converts(
        "trailing-one-dimension",
        "convert {in}/sd3.gguf -t COPY -o {out}",
        &[],
        &[Then::Shape("pos_embed", &[64, 128, 1])],
    ),
    wrapped("convert {in}/torch-compile -t Q8_0 -o {out}", &["_orig_mod."]),
    wrapped("convert {in}/ddp -t Q8_0 -o {out}", &["module."]),
    wrapped("convert {in}/peft -t Q8_0 -o {out}", &["base_model.model."]),
    refused(
        "wrapper-prefixes",
        "convert {in}/peft-unmerged -t Q8_0 -o {out}",
        &["LoRA", "merge_and_unload"],
        &["architecture llama has no such tensor"],
    ),
    converts("yarn-minimal", "convert {in}/model -t Q8_0 -o {out}", &[], &[Then::Clean]),
];

/// The reference's results for checkpoints whose names lack the prefix `model.`.
const HEADLESS: [&[Then]; 7] = [
    &[Then::Clean, Then::Reference("headless-Qwen3-tiny-bpe")],
    &[Then::Clean, Then::Reference("headless-llama2-spm-256")],
    &[Then::Clean, Then::Reference("headless-qwen2-tiny")],
    &[Then::Clean, Then::Reference("headless-mistral-fast-tok")],
    &[Then::Clean, Then::Reference("headless-gemma2-tiny")],
    &[Then::Clean, Then::Reference("headless-gemma-3-tiny-it")],
    &[Then::Clean, Then::Reference("headless-stablelm2-tiny")],
];

const fn headless(command: &'static str, then: &'static [Then]) -> Step {
    converts("headless-qwen3-embedding", command, &[], then)
}

/// A checkpoint whose names begin with a wrapper's prefix.
const fn wrapped(command: &'static str, says: &'static [&'static str]) -> Step {
    const SAME: &[Then] = &[Then::Clean, Then::SameTensors("convert {in}/m -t Q8_0 -o {out}")];
    converts("wrapper-prefixes", command, says, SAME)
}
