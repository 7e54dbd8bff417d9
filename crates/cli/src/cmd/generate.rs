//! `granule generate`: continue a text, to look at a model.

use std::io::{self, IsTerminal, Write, stdout};
use std::process::ExitCode;

use anyhow::{Context, bail};
use granule_infer::{Mode, Sampler, Session};
use serde_json::json;

use crate::source::{self, Place};
use crate::{model, output, threads};

/// Continue a text with a model, for a quick look at a file
///
/// The tokens are printed as they come. With the same seed they are the same, on one machine and
/// with --exact on every machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The model: a GGUF file of any type, or the folder of a checkpoint
    source: Place,
    /// The text to continue; special tokens such as <|im_start|> are recognised
    #[arg(short, long, value_name = "TEXT")]
    prompt: String,
    /// Add at most COUNT tokens
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 64)]
    tokens: usize,
    /// Sample at this temperature; 0 always picks the likeliest token
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0, value_parser = temperature)]
    temp: f32,
    /// Seed of the random numbers
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Sample from the COUNT likeliest tokens [default: all]
    #[arg(long, value_name = "COUNT")]
    top_k: Option<usize>,
    /// Sample from the likeliest tokens that have this probability together (e.g. 0.9)
    #[arg(long, value_name = "NUMBER")]
    top_p: Option<f32>,
    /// Compute with decoded weights and unrounded activations: the same on every machine, but slow
    #[arg(long)]
    exact: bool,
    /// Work with COUNT threads [default, and 0: one for each core]
    #[arg(short = 'j', long, value_name = "COUNT", value_parser = threads::parse)]
    threads: Option<usize>,
    /// Show nothing but errors and the text (with --json the JSON)
    #[arg(short, long)]
    quiet: bool,
    /// Print JSON: the tokens and the text
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.temp == 0.0 {
        let options = [("--seed", args.seed.is_some()), ("--top-k", args.top_k.is_some())];
        let options = options.into_iter().chain([("--top-p", args.top_p.is_some())]);
        if let Some((option, _)) = options.into_iter().find(|(_, given)| *given) {
            bail!("{option} has no effect at temperature 0: pass --temp (for example --temp 0.8)");
        }
    }
    let threads = threads::bounded(args.threads, args.quiet);
    threads::pool(threads)?.install(|| generate(args))?;
    Ok(ExitCode::SUCCESS)
}

fn generate(args: &Args) -> anyhow::Result<()> {
    let name = || args.source.display().to_string();
    let source = source::open(&args.source)?;
    let model = model::predicting(&args.source, source.as_ref())?;
    let tokenizer = model::tokenizer(&args.source, &model)?;
    let prompt = tokenizer.encode(&args.prompt).with_context(name)?;
    if prompt.is_empty() {
        bail!("the prompt has no tokens: give --prompt a text");
    }
    let room = model.context().saturating_sub(prompt.len());
    if room < args.tokens && !args.quiet {
        output::warn(&format!(
            "--tokens {} is cut to {room}: the model was trained for {} positions, and the prompt \
             has {}",
            args.tokens,
            model.context(),
            prompt.len()
        ));
    }
    let mode = if args.exact { Mode::Exact } else { Mode::Fast };
    let mut session = Session::new(&model, mode).with_context(name)?;
    let mut sampler = Sampler::new(args.temp, args.seed.unwrap_or(0))
        .top_k(args.top_k.unwrap_or(0))
        .top_p(args.top_p.unwrap_or(1.0));

    let is_terminal = stdout().is_terminal() && !args.json;
    let (mut out, mut tokens, mut bytes) = (stdout().lock(), Vec::new(), Vec::new());
    let mut new = prompt.clone();
    for _ in 0..args.tokens.min(room) {
        let logits = session.forward(&new).with_context(name)?;
        if let Some(logit) = logits.iter().find(|logit| logit.is_nan()) {
            bail!(
                "{}: a logit after token {} is {logit}: the weights hold values that are not \
                 finite (`granule check` finds them)",
                name(),
                session.positions()
            );
        }
        let token = sampler.choose(&logits);
        if tokenizer.is_end(token) {
            break;
        }
        let mut text = tokenizer.decode(token);
        if is_terminal {
            // what a model says must not control the terminal
            text.retain(|byte| !byte.is_ascii_control() || b"\n\t".contains(byte));
        }
        if !args.json && !write(&mut out, &text)? {
            return Ok(());
        }
        bytes.extend(text);
        tokens.push(token);
        new = vec![token];
    }
    if args.json {
        let text = String::from_utf8_lossy(&bytes);
        let document = json!({
            "schema": output::SCHEMA,
            "prompt": prompt,
            "tokens": tokens,
            "text": text,
        });
        return output::print_json(&document);
    }
    write(&mut out, b"\n")?;
    Ok(())
}

/// Writes text at once. Returns whether there is still someone who reads.
fn write(out: &mut impl Write, text: &[u8]) -> anyhow::Result<bool> {
    match out.write_all(text).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}

fn temperature(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err(format!("{text:?} is not a temperature: give a number such as 0.8")),
    }
}
