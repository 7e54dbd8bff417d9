//! The tokenizer classes of the transformers library (4.57.6), and the changes that each makes to a
//! tokenizer read from files.

/// A tokenizer class. Its names omit the suffix `Fast`.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) names: &'static [&'static str],
    /// The values of `model_type` that imply this class if no file names one.
    pub(super) model_types: &'static [&'static str],
    /// The default special tokens.
    pub(super) specials: &'static [(&'static str, &'static str)],
    /// Additional special tokens, after those of the config.
    pub(super) additional: &'static [&'static str],
    /// The form of special tokens that the files give as plain text; all others have the default
    /// form.
    pub(super) forms: &'static [Form],
    /// The same for tokenizers made from a bare vocabulary.
    pub(super) bare_forms: &'static [Form],
    /// The tokens around a text, if the class replaces the post-processor by its own. The config
    /// can override them.
    pub(super) around: Option<Around>,
    /// The treatment of `add_prefix_space` of the pre-tokenizer.
    pub(super) prefix: Prefix,
    /// Whether `do_lower_case`, `strip_accents` and `tokenize_chinese_chars` of the config (the
    /// latter two only if true) replace the settings of the normalizer.
    pub(super) normalizer: Option<Chinese>,
    /// The tokenizer to make from a vocabulary without `tokenizer.json`.
    pub(super) bare: Bare,
}

/// The flags of tokens made from plain text.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) keys: &'static [&'static str],
    pub(super) lstrip: bool,
    pub(super) normalized: bool,
}

/// The tokens to add around a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    pub(super) bos: bool,
    pub(super) eos: bool,
}

/// Whether a space is added before a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefix {
    /// According to the config; by default no space.
    Config,
    /// According to the config; by default according to the file.
    File,
    /// According to the config; if it asks for a space, all parts of the tokenizer add it.
    Everywhere,
}

/// Whether a normalizer has a flag for Chinese characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chinese {
    Flag,
    NoFlag,
}

/// The tokenizer to make from a bare vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    /// None: the class needs `tokenizer.json`.
    Never,
    /// Byte-level BPE with the regular expression of GPT-2.
    Gpt2,
    /// The same, with RoBERTa's tokens around a text.
    Roberta,
    /// Byte-level BPE with the regular expression of Qwen2.
    Qwen2,
    /// BERT's WordPiece.
    Bert,
}

/// Finds a class by its name, with or without the suffix `Fast`.
pub(super) fn by_name(name: &str) -> Option<&'static Class> {
    let name = name.strip_suffix("Fast").unwrap_or(name);
    CLASSES.iter().find(|class| class.names.contains(&name))
}

/// Finds the class for a value of `model_type`.
pub(super) fn by_model_type(model_type: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.model_types.contains(&model_type))
}

/// The class that changes nothing.
pub(super) const PLAIN: Class = Class {
    names: &["PreTrainedTokenizer", "TokenizersBackend"],
    model_types: &[
        "bitnet",
        "falcon",
        "glm",
        "glm4",
        "glm4_moe",
        "glm4v",
        "glm4v_moe",
        "gpt_oss",
        "helium",
        "modernbert",
        "nemotron",
        "pixtral",
        "smollm3",
    ],
    specials: &[],
    additional: &[],
    forms: &[],
    bare_forms: &[],
    around: None,
    prefix: Prefix::Config,
    normalizer: None,
    bare: Bare::Never,
};

const BOS_AND_EOS: &[(&str, &str)] = &[("bos_token", "<s>"), ("eos_token", "</s>")];

const LLAMA_SPECIALS: &[(&str, &str)] = &[BOS_AND_EOS[0], BOS_AND_EOS[1], ("unk_token", "<unk>")];

const GPT2_SPECIALS: &[(&str, &str)] = &[
    ("bos_token", "<|endoftext|>"),
    ("eos_token", "<|endoftext|>"),
    ("unk_token", "<|endoftext|>"),
];

const BERT_SPECIALS: &[(&str, &str)] = &[
    ("unk_token", "[UNK]"),
    ("sep_token", "[SEP]"),
    ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"),
    ("mask_token", "[MASK]"),
];

const ROBERTA_SPECIALS: &[(&str, &str)] = &[
    BOS_AND_EOS[0],
    BOS_AND_EOS[1],
    ("unk_token", "<unk>"),
    ("sep_token", "</s>"),
    ("pad_token", "<pad>"),
    ("cls_token", "<s>"),
    ("mask_token", "<mask>"),
];

/// All special tokens except the mask.
const UNMASKED: &[&str] =
    &["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token"];

const MASK: &[&str] = &["mask_token"];

const PLAIN_WORDS: Form = Form { keys: UNMASKED, lstrip: false, normalized: true };
const MASK_AS_WORD: Form = Form { keys: MASK, lstrip: true, normalized: true };
const MASK_AS_IT_STANDS: Form = Form { keys: MASK, lstrip: true, normalized: false };

const BERT: Class = Class {
    names: &[
        "BertTokenizer",
        "ConvBertTokenizer",
        "DistilBertTokenizer",
        "ElectraTokenizer",
        "LayoutLMTokenizer",
        "MobileBertTokenizer",
        "SqueezeBertTokenizer",
    ],
    model_types: &["bert", "convbert", "distilbert", "electra", "ernie", "mobilebert", "nezha"],
    specials: BERT_SPECIALS,
    normalizer: Some(Chinese::Flag),
    bare: Bare::Bert,
    ..PLAIN
};

const ROBERTA: Class = Class {
    names: &["RobertaTokenizer"],
    model_types: &["data2vec-text", "ibert", "roberta", "roberta-prelayernorm"],
    specials: ROBERTA_SPECIALS,
    forms: &[MASK_AS_IT_STANDS],
    bare_forms: &[PLAIN_WORDS, MASK_AS_IT_STANDS],
    bare: Bare::Roberta,
    ..PLAIN
};

const LLAMA: Class = Class {
    names: &["LlamaTokenizer"],
    model_types: &[
        "arcee",
        "aria",
        "chameleon",
        "deepseek_v2",
        "deepseek_v3",
        "diffllama",
        "ernie4_5",
        "ernie4_5_moe",
        "idefics3",
        "jamba",
        "jetmoe",
        "llama",
        "llama4",
        "llama4_text",
        "llava",
        "ministral",
        "mistral",
        "mistral3",
        "mixtral",
        "mllama",
        "persimmon",
        "phi3",
        "phimoe",
        "zamba",
        "zamba2",
    ],
    specials: LLAMA_SPECIALS,
    around: Some(Around { bos: true, eos: false }),
    prefix: Prefix::File,
    ..PLAIN
};

/// The table of classes, from transformers 4.57.6.
const CLASSES: &[Class] = &[
    PLAIN,
    LLAMA,
    Class {
        names: &["CodeLlamaTokenizer"],
        model_types: &["code_llama"],
        additional: &["\u{2581}<PRE>", "\u{2581}<MID>", "\u{2581}<SUF>", "\u{2581}<EOT>"],
        prefix: Prefix::Config,
        ..LLAMA
    },
    Class {
        names: &["GemmaTokenizer"],
        model_types: &[
            "gemma",
            "gemma2",
            "gemma3",
            "gemma3_text",
            "gemma3n",
            "gemma3n_text",
            "recurrent_gemma",
            "shieldgemma2",
            "siglip2",
            "t5gemma",
        ],
        specials: &[
            ("bos_token", "<bos>"),
            ("eos_token", "<eos>"),
            ("unk_token", "<unk>"),
            ("pad_token", "<pad>"),
        ],
        around: Some(Around { bos: true, eos: false }),
        ..PLAIN
    },
    Class {
        names: &["CohereTokenizer"],
        model_types: &["aya_vision", "cohere", "cohere2"],
        specials: &[
            ("bos_token", "<BOS_TOKEN>"),
            ("eos_token", "<|END_OF_TURN_TOKEN|>"),
            ("unk_token", "<UNK>"),
        ],
        around: Some(Around { bos: true, eos: false }),
        prefix: Prefix::Everywhere,
        ..PLAIN
    },
    Class {
        names: &["GPT2Tokenizer"],
        model_types: &[
            "dbrx",
            "emu3",
            "exaone4",
            "flex_olmo",
            "gpt2",
            "gpt_bigcode",
            "gpt_neo",
            "gptj",
            "granite",
            "granitemoe",
            "granitemoehybrid",
            "granitemoeshared",
            "minimax",
            "olmo3",
            "opt",
            "starcoder2",
        ],
        specials: GPT2_SPECIALS,
        bare_forms: &[PLAIN_WORDS],
        bare: Bare::Gpt2,
        ..PLAIN
    },
    Class {
        names: &["CodeGenTokenizer"],
        model_types: &["codegen", "phi"],
        specials: GPT2_SPECIALS,
        bare_forms: &[PLAIN_WORDS],
        bare: Bare::Gpt2,
        ..PLAIN
    },
    Class {
        names: &["GPTNeoXTokenizer"],
        model_types: &[
            "falcon_mamba",
            "gpt_neox",
            "mamba",
            "mamba2",
            "mpt",
            "olmo",
            "olmo2",
            "olmoe",
            "rwkv",
            "stablelm",
            "xlstm",
        ],
        specials: GPT2_SPECIALS,
        around: Some(Around { bos: false, eos: false }),
        ..PLAIN
    },
    Class {
        names: &["Qwen2Tokenizer"],
        model_types: &[
            "colqwen2",
            "internvl",
            "qwen2",
            "qwen2_5_omni",
            "qwen2_5_vl",
            "qwen2_audio",
            "qwen2_moe",
            "qwen2_vl",
            "qwen3",
            "qwen3_moe",
            "qwen3_next",
            "qwen3_omni_moe",
            "qwen3_vl",
            "qwen3_vl_moe",
        ],
        specials: &[
            ("eos_token", "<|endoftext|>"),
            ("unk_token", "<|endoftext|>"),
            ("pad_token", "<|endoftext|>"),
        ],
        bare: Bare::Qwen2,
        ..PLAIN
    },
    Class {
        names: &["BloomTokenizer"],
        model_types: &["bloom"],
        specials: &[BOS_AND_EOS[0], BOS_AND_EOS[1], ("unk_token", "<unk>"), ("pad_token", "<pad>")],
        ..PLAIN
    },
    BERT,
    Class {
        names: &["MPNetTokenizer"],
        model_types: &["mpnet"],
        specials: &[
            BOS_AND_EOS[0],
            BOS_AND_EOS[1],
            ("unk_token", "[UNK]"),
            ("sep_token", "</s>"),
            ("pad_token", "<pad>"),
            ("cls_token", "<s>"),
            ("mask_token", "<mask>"),
        ],
        forms: &[PLAIN_WORDS, MASK_AS_WORD],
        bare_forms: &[PLAIN_WORDS, MASK_AS_WORD],
        normalizer: Some(Chinese::NoFlag),
        ..BERT
    },
    ROBERTA,
    Class {
        names: &["BartTokenizer", "LEDTokenizer", "LongformerTokenizer", "MvpTokenizer"],
        model_types: &["bart", "led", "longformer", "mvp"],
        forms: &[MASK_AS_WORD],
        ..ROBERTA
    },
    Class {
        names: &["XLMRobertaTokenizer"],
        model_types: &["xlm-roberta", "xlm-roberta-xl", "xmod"],
        forms: &[MASK_AS_WORD],
        bare: Bare::Never,
        ..ROBERTA
    },
    Class {
        names: &["CamembertTokenizer"],
        model_types: &["camembert"],
        additional: &["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"],
        bare: Bare::Never,
        ..ROBERTA
    },
    Class {
        names: &["T5Tokenizer", "MT5Tokenizer"],
        model_types: &["longt5", "mt5", "switch_transformers", "t5", "umt5"],
        specials: &[("eos_token", "</s>"), ("unk_token", "<unk>"), ("pad_token", "<pad>")],
        prefix: Prefix::File,
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_model_types_belong_to_one_class() {
        let (mut names, mut types) = (HashSet::new(), HashSet::new());
        for class in CLASSES {
            class.names.iter().for_each(|name| assert!(names.insert(name), "{name}"));
            class.model_types.iter().for_each(|ty| assert!(types.insert(ty), "{ty}"));
            assert!(class.names.iter().all(|name| !name.ends_with("Fast")));
        }
    }

    #[test]
    fn fast_or_not_is_the_same_class() {
        let of = |name| by_name(name).map(|class| class.names[0]);
        assert_eq!(of("LlamaTokenizerFast"), Some("LlamaTokenizer"));
        assert_eq!(of("PreTrainedTokenizerFast"), Some("PreTrainedTokenizer"));
        assert_eq!(of("Fast"), None);
    }
}
