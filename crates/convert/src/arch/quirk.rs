//! Kinds of tokenizer, and facts about a tokenizer that no file of a checkpoint states.
//!
//! Descriptions name both, in kebab case.

use std::borrow::Cow;

use serde::Deserialize;

/// A kind of tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TokenizerKind {
    /// `tokenizer.model`: a SentencePiece model of BPE, written with its scores.
    #[serde(rename = "sentencepiece")]
    SentencePiece,
    /// `tokenizer.json`: BPE on characters with tokens for single bytes, written like
    /// `SentencePiece`.
    #[serde(alias = "hugging-face-llama")]
    ByteFallbackBpe,
    /// `tokenizer.json`, or `vocab.json` and `merges.txt`: BPE, usually on bytes that are written
    /// as characters.
    ByteLevelBpe,
    /// `tokenizer.model`, `spiece.model`, `sentencepiece.bpe.model` or `tokenizer.json`: a unigram
    /// model.
    Unigram,
    /// `tokenizer.json` or `vocab.txt`: pieces of words, as BERT has them.
    WordPiece,
}

/// A fact about the tokenizer that no file states.
///
/// If an architecture has several, they are applied in order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Quirk {
    /// `add_prefix_space` of `tokenizer_config.json` is written, before everything else.
    SpacePrefix,
    /// `tokenizer.ggml.add_space_prefix` is false if the tokenizer is a SentencePiece model.
    NoSpacePrefix,
    /// `tokenizer.ggml.token_type_count` is written: `type_vocab_size` of the config, or 1.
    TokenTypeCount,
    /// `tokenizer.ggml.add_bos_token` is set to `add` if the vocabulary has this size.
    AddBos {
        /// The size in tokens; any if omitted.
        #[serde(default)]
        vocabulary: Option<u64>,
        /// The value.
        add: bool,
    },
    /// `tokenizer.ggml.add_bos_token`, `..eos..` and `..sep..` come first of all, with this value
    /// unless a file has another.
    AddFirst {
        /// Which of them are written: `bos`, `eos`, `sep`.
        kinds: Cow<'static, [Cow<'static, str>]>,
        /// The value.
        add: bool,
    },
    /// `tokenizer.ggml.eot_token_id` is `id` if the vocabulary has this size, unless a file has
    /// another.
    EndOfTurn {
        /// The size in tokens; any if omitted.
        #[serde(default)]
        vocabulary: Option<u64>,
        /// The id.
        id: u32,
    },
    /// The special token of this kind is the added token with this text, unless a file has another.
    SpecialToken {
        /// `bos`, `eos`, `unk`, `eot`, `eom`.
        kind: Cow<'static, str>,
        /// The token.
        text: Cow<'static, str>,
    },
    /// The size of the vocabulary is rounded up to a multiple of `pad_vocab_size_multiple` in the
    /// config, or of this number.
    RoundVocabulary {
        /// The multiple, in tokens.
        multiple: u64,
    },
    /// A checkpoint without a tokenizer uses that of this other model, which is not fetched; the
    /// error says so.
    BorrowedTokenizer(Cow<'static, str>),
    /// Added tokens of `tokenizer.json` are used for SentencePiece models too, with their texts
    /// unchanged.
    AddedTokens,
    /// If `tokenizer_config.json` names this class, the tokenizer is byte-level BPE, whatever other
    /// files there are.
    ByteLevelClass(Cow<'static, str>),
    /// The model was trained with the ids of fairseq: `<s>`, `<pad>`, `</s>`, `<unk>` come first,
    /// replacing the first three pieces, and the last id of the vocabulary is dropped.
    FairseqIds,
    /// With [`Quirk::FairseqIds`]: a control token that the SentencePiece model lacks.
    ControlToken {
        /// Its id.
        id: u64,
        /// Its text.
        text: Cow<'static, str>,
    },
}
