//! Sample texts and their chunks, as options of commands give them.

use std::path::PathBuf;

use anyhow::{Context, bail};
use granule_convert::calibration;
use granule_convert::run::Part;
use granule_infer::{Chunks, Tokenizer};

/// Tokens of a chunk, as the reference's programs have it.
const CHUNK_TOKENS: usize = 512;

/// Options about texts.
#[derive(Debug, clap::Args)]
pub(crate) struct TextArgs {
    /// Text files in UTF-8, one after another [default: texts of the program]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    text: Vec<PathBuf>,
    /// Cut the texts into chunks of this many tokens
    ///
    /// [default: 512]
    #[arg(short = 'c', long, value_name = "TOKENS")]
    chunk_tokens: Option<usize>,
    /// Use this many chunks only [default: all]
    #[arg(long, value_name = "COUNT")]
    chunks: Option<usize>,
    /// Leave out the first COUNT chunks
    #[arg(long, value_name = "COUNT")]
    skip_chunks: Option<usize>,
    /// Take the names of special tokens in the texts (e.g. <|im_start|>) for these tokens
    #[arg(long)]
    parse_special: bool,
}

/// Texts with their names.
#[derive(Debug)]
pub(crate) struct Texts(Vec<(String, String)>);

impl TextArgs {
    /// Whether files are named.
    pub(crate) fn are_given(&self) -> bool {
        !self.text.is_empty()
    }

    /// Check that no option is given, where there is no text.
    ///
    /// # Errors
    /// With the first option that is given and `why` it has no effect.
    pub(crate) fn refuse(&self, why: &str) -> anyhow::Result<()> {
        let options = [
            ("--text", self.are_given()),
            ("--chunk-tokens", self.chunk_tokens.is_some()),
            ("--chunks", self.chunks.is_some()),
            ("--skip-chunks", self.skip_chunks.is_some()),
            ("--parse-special", self.parse_special),
        ];
        match options.iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => bail!("{option} has no effect: {why}"),
            None => Ok(()),
        }
    }

    /// Read the texts.
    ///
    /// # Errors
    /// If a file cannot be read, is not in UTF-8 or is empty.
    pub(crate) fn read(&self) -> anyhow::Result<Texts> {
        Texts::read(&self.text)
    }

    /// Cut texts into chunks.
    ///
    /// # Errors
    /// If they are too short.
    pub(crate) fn cut(&self, tokenizer: &Tokenizer<'_>, texts: &Texts) -> anyhow::Result<Chunks> {
        let parts = texts.0.iter().map(|(_, text)| text.as_str());
        let tokens = self.chunk_tokens.unwrap_or(CHUNK_TOKENS);
        let mut chunks = Chunks::of(tokenizer, parts, tokens, self.parse_special)?;
        let most = self.chunks.unwrap_or(usize::MAX);
        chunks.select(self.skip_chunks.unwrap_or_default(), most)?;
        Ok(chunks)
    }
}

/// Leaves the chunks of a part, if there is one. Returns the number of the first.
///
/// # Errors
/// If there are fewer chunks than parts.
pub(crate) fn only(part: Option<Part>, chunks: &mut Chunks) -> anyhow::Result<usize> {
    let Some(part) = part else { return Ok(0) };
    let (all, own) = (chunks.len(), part.share(chunks.len()));
    if part.count() as usize > all {
        bail!("--part {part}: the text has {all} chunks, so it has at most as many parts");
    }
    chunks.select(own.start, own.len())?;
    Ok(own.start)
}

impl Texts {
    /// Read texts; without any, those of the program.
    ///
    /// # Errors
    /// If a file cannot be read, is not in UTF-8 or is empty.
    pub(crate) fn read(files: &[PathBuf]) -> anyhow::Result<Self> {
        if files.is_empty() {
            let own = calibration::TEXTS.iter();
            return Ok(Self(
                own.map(|(name, text)| (name.to_string(), text.to_string())).collect(),
            ));
        }
        let mut texts = Vec::new();
        for path in files {
            let name = path.display().to_string();
            let bytes = granule_reader::file::read(path)
                .with_context(|| format!("cannot read the text {name}"))?;
            let text = match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => bail!(
                    "{name}: the text is not in UTF-8 (byte {} cannot be decoded); convert it, for \
                     example with iconv",
                    error.utf8_error().valid_up_to()
                ),
            };
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
            if text.trim().is_empty() {
                bail!("{name}: the text is empty");
            }
            texts.push((name, text));
        }
        Ok(Self(texts))
    }

    /// Cut the texts into chunks of the usual length, and leave out all after the `most` first.
    ///
    /// # Errors
    /// If they are too short.
    pub(crate) fn chunks(&self, tokenizer: &Tokenizer<'_>, most: usize) -> anyhow::Result<Chunks> {
        let parts = self.0.iter().map(|(_, text)| text.as_str());
        let mut chunks = Chunks::of(tokenizer, parts, CHUNK_TOKENS, false)?;
        chunks.select(0, most)?;
        Ok(chunks)
    }

    /// The names of the texts.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }
}
