//! Tokenizer settings of architectures: the kinds that they use, and facts that no file of a
//! checkpoint has.
//!
//! Both are data that can be parsed from text. Names are in lower case with dashes.

use std::borrow::Cow;

use serde::Deserialize;

/// A kind of tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TokenizerKind {
    /// `tokenizer.model`: a SentencePiece BPE model, written with its scores.
    #[serde(rename = "sentencepiece")]
    SentencePiece,
    /// `tokenizer.json`: BPE on characters with tokens for single bytes, written like a
    /// SentencePiece model.
    #[serde(alias = "hugging-face-llama")]
    ByteFallbackBpe,
    /// `tokenizer.json`: the same, written with its merges and without a pre-tokenizer, as the
    /// model `gemma4`.
    Gemma4,
    /// `tokenizer.json`, or `vocab.json` and `merges.txt`: BPE, usually on bytes that are written
    /// as characters.
    ByteLevelBpe,
    /// `tokenizer.model`, `spiece.model`, `sentencepiece.bpe.model` or `tokenizer.json`: a unigram
    /// model.
    Unigram,
    /// `tokenizer.json` or `vocab.txt`: WordPiece, as in BERT.
    WordPiece,
    /// The file that [`Quirk::Tiktoken`] names: BPE on bytes with ranks, written like byte-level
    /// BPE with the merges that follow from the ranks.
    Tiktoken,
    /// `tokenizer.json`: BPE on characters, written like a SentencePiece model without scores.
    UnscoredBpe,
    /// `rwkv_vocab_v20230424.txt`: the list of tokens of RWKV.
    Rwkv,
    /// `tokenizer.jsonl`: the list of tokens of PLaMo.
    Plamo,
    /// `tokenizer.json` of any kind, written as if it were WordPiece: every token that is not a
    /// control token gets the mark of pieces that begin a word.
    MarkedWords,
    /// None: the model has no text.
    None,
    /// `tokenizer.json` that splits text only at white space: BPE, as in some Jina Embeddings 2.
    Whitespace,
}

/// What a draft model takes from the folder of the model that it is for, its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FromTarget {
    /// The files of the tokenizer, which are read as the draft's class reads its own.
    Tokenizer,
    /// The tokenizer as the target's class reads it.
    WholeTokenizer,
}

/// A fact about the tokenizer that no file states.
///
/// If an architecture lists several, they apply in that order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Quirk {
    /// Writes `add_prefix_space` of `tokenizer_config.json` before all other entries.
    SpacePrefix,
    /// A checkpoint without `tokenizer.json` may have `tekken.json`, the tokenizer of Mistral's own
    /// library.
    Tekken,
    /// Uses the chat template in `chat_template.jinja`, whatever other files say.
    TemplateFile,
    /// Warns if there is no chat template, because the reference has one of its own.
    OwnTemplate,
    /// Writes the chat template directly after the architecture.
    EarlyTemplate,
    /// Writes `add_prefix_space` of `tokenizer_config.json` after the tokens; null counts as false.
    LateSpacePrefix,
    /// The same after all other entries.
    SpacePrefixLast,
    /// Sets `tokenizer.ggml.add_space_prefix` to false if the tokenizer is written as a
    /// SentencePiece model or as `gemma4`.
    NoSpacePrefix,
    /// Makes these tokens user-defined, whatever the files say, so that programs print them.
    Visible(Cow<'static, [Cow<'static, str>]>),
    /// Sets `tokenizer.ggml.add_space_prefix` to false for another kind of tokenizer.
    NoSpacePrefixFor(TokenizerKind),
    /// Writes the chat template for kinds of tokenizer that usually have none.
    ChatTemplate,
    /// Writes `tokenizer.ggml.token_type_count`: `type_vocab_size` of the config, or 1.
    TokenTypeCount,
    /// Sets `tokenizer.ggml.add_bos_token` to `add` if the vocabulary has this size.
    AddBos {
        /// The size in tokens; any size if it is omitted.
        #[serde(default)]
        vocabulary: Option<u64>,
        /// Only with this kind of tokenizer.
        #[serde(default)]
        tokenizer: Option<TokenizerKind>,
        /// The value.
        add: bool,
    },
    /// Writes `tokenizer.ggml.add_bos_token`, `..eos..` and `..sep..` before all other entries,
    /// with this value unless a file has another.
    AddFirst {
        /// The ones to write: `bos`, `eos`, `sep`.
        kinds: Cow<'static, [Cow<'static, str>]>,
        /// The value.
        add: bool,
    },
    /// Sets `tokenizer.ggml.eot_token_id` to `id` if the vocabulary has this size, unless a file
    /// has another id.
    EndOfTurn {
        /// The size in tokens; any size if it is omitted.
        #[serde(default)]
        vocabulary: Option<u64>,
        /// The id.
        id: u32,
    },
    /// Uses the added token with this text as the special token of this kind, unless a file has
    /// another.
    SpecialToken {
        /// `bos`, `eos`, `unk`, `eot`, `eom`.
        kind: Cow<'static, str>,
        /// The token.
        text: Cow<'static, str>,
    },
    /// Uses the special token with this text in `added_tokens_decoder` of `tokenizer_config.json`
    /// in place of the special token of this kind that the files name.
    ReplacedToken {
        /// `bos`, `eos`, `unk`, `eot`, `eom`.
        kind: Cow<'static, str>,
        /// The token.
        text: Cow<'static, str>,
    },
    /// Uses this id as the special token of this kind, whatever the files say.
    SpecialId {
        /// `bos`, `eos`, `unk`, `sep`, `pad`, `mask`, `eot`, `eom`.
        kind: Cow<'static, str>,
        /// The id.
        id: u32,
        /// Only with this kind of tokenizer.
        #[serde(default)]
        tokenizer: Option<TokenizerKind>,
    },
    /// What the Python code of the model says about its tiktoken file.
    Tiktoken(Tiktoken),
    /// What the Python code of the model adds to its SentencePiece model.
    Pieces(Pieces),
    /// Added tokens keep their texts, and are control tokens only if the tokenizer calls them
    /// special, whatever they look like.
    StatedKinds,
    /// Makes this added token a control token, whatever the files say, so that programs do not
    /// print it.
    Control(Cow<'static, str>),
    /// If `eos_token_id` of the config is a list, sets `tokenizer.ggml.eot_token_id` to the first
    /// of its ids that is not that of `bos`.
    SecondEos,
    /// Rounds the size of the vocabulary up to a multiple of the config's
    /// `pad_vocab_size_multiple`, or of this number.
    RoundVocabulary {
        /// The multiple, in tokens.
        multiple: u64,
    },
    /// A checkpoint without a tokenizer uses that of this other model. It is not downloaded; the
    /// error names it.
    BorrowedTokenizer(Cow<'static, str>),
    /// Uses the added tokens of `tokenizer.json` for SentencePiece models too, without changing
    /// their texts.
    AddedTokens,
    /// Writes `tokenizer.ggml.add_space_prefix` as the SentencePiece model has it.
    ModelSpacePrefix,
    /// In a SentencePiece model, pieces that begin with `[UNUSED` are unused, and U+0000 is written
    /// as U+1F409 because a program may take it for the end of a string.
    UnusedPieces,
    /// Tokens of `added_tokens_decoder` redefine pieces of the SentencePiece model: special ones
    /// have the score 0, others -10000. `added_tokens.json` is ignored.
    RedefinedTokens,
    /// If `tokenizer_config.json` names this class, the tokenizer is byte-level BPE, regardless of
    /// other files.
    ByteLevelClass(Cow<'static, str>),
    /// The model was trained with the ids of fairseq: `<s>`, `<pad>`, `</s>` and `<unk>` replace
    /// the first three pieces, and the last id of the vocabulary is dropped.
    FairseqIds,
    /// The last tokens of a unigram vocabulary stand for learned vectors: control tokens with the
    /// texts that the config has as a list under this key. There are no other special tokens.
    LearnedTokens(Cow<'static, str>),
    /// After the tokens of text stand those of a codec: as many control tokens as this part of the
    /// config says under `vocab_size`. Its keys that end in `_id` name some of them. There is no
    /// chat template.
    CodecTokens(Cow<'static, str>),
    /// With [`Quirk::FairseqIds`], a control token that the SentencePiece model lacks.
    ControlToken {
        /// Its id.
        id: u64,
        /// Its text.
        text: Cow<'static, str>,
    },
}

/// Facts about the vocabulary of a tiktoken file. Its special tokens have the ids after the last
/// rank; names in `added_tokens_decoder` of `tokenizer_config.json` replace these.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tiktoken {
    /// The name of the file.
    pub file: Cow<'static, str>,
    /// The name of the pre-tokenizer.
    pub pre: Cow<'static, str>,
    /// The first special tokens.
    #[serde(default)]
    pub specials: Vec<Cow<'static, str>>,
    /// The text of the others. `{n}` stands for their number, counted from 0, and `{id}` for their
    /// id.
    #[serde(default)]
    pub numbered: Cow<'static, str>,
    /// How many others there are.
    #[serde(default)]
    pub count: u64,
    /// The special token for unknown text, and around a text if the files name no special token.
    #[serde(default)]
    pub end: Option<Cow<'static, str>>,
}

/// Facts about tokens around the pieces of a SentencePiece model. Other files add no tokens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pieces {
    /// The name of the pre-tokenizer.
    pub pre: Cow<'static, str>,
    /// The texts of the first tokens.
    pub first: Vec<Cow<'static, str>>,
    /// Control tokens with the ids after the last piece.
    pub after: Vec<Cow<'static, str>>,
}
