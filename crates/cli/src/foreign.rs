//! Options and commands of other programs, and what their users do in Granule instead.
//!
//! A name in this table gets its own answer instead of a suggestion of a similar name.

use Answer::{Instead, Planned};

/// The answer.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Granule cannot do it yet; what to do until then.
    Planned(&'static str),
    /// Granule does it in another way; how.
    Instead(&'static str),
}

/// Options of one command that have the same answer.
#[derive(Debug)]
struct Row {
    command: &'static str,
    options: &'static [&'static str],
    answer: Answer,
}

const fn row(command: &'static str, options: &'static [&'static str], answer: Answer) -> Row {
    Row { command, options, answer }
}

/// The table of options.
const OPTIONS: &[Row] = &[
    // convert_hf_to_gguf.py
    row("convert", &["--remote"], Instead("name the model as hf://ORG/NAME")),
    row(
        "convert",
        &["--base-model-id", "--lora-base", "--lora-path", "--lora-scaled"],
        Instead("--lora DIR[=SCALE] merges an adapter, --base DIR converts an adapter alone"),
    ),
    row(
        "convert",
        &["--ctx"],
        Instead("--override-kv ARCH.context_length=int:COUNT with -t TYPE sets the context length"),
    ),
    row(
        "convert",
        &["--pad-vocab", "--vocab-type", "--vocab-dir"],
        Instead("the tokenizer is read from the checkpoint's folder, and padded where needed"),
    ),
    // ik_llama.cpp's llama-quantize
    row("convert", &["--hide-imatrix"], Planned("the name of the matrix is always recorded")),
    row(
        "convert",
        &["--ignore-imatrix-rules"],
        Planned("mixtures that depend on a matrix follow llama.cpp; --tensor-type overrides them"),
    ),
    row(
        "convert",
        &["--per-layer-token-embedding-type"],
        Instead("pass --tensor-type per_layer_token_embd=TYPE"),
    ),
    row("convert", &["--extra-output-tensor"], Planned("the output matrix is written once")),
    row("convert", &["--ffn-gate-inp-type"], Planned("routers always keep their type")),
    row(
        "convert",
        &["--custom-q"],
        Instead("pass each REGEX=TYPE with a --tensor-type of its own"),
    ),
    row("convert", &["--attn-q-type"], Instead("pass --tensor-type attn_q=TYPE")),
    row("convert", &["--attn-k-type"], Instead("pass --tensor-type attn_k=TYPE")),
    row("convert", &["--attn-v-type"], Instead("pass --tensor-type attn_v=TYPE")),
    row("convert", &["--attn-qkv-type"], Instead("pass --tensor-type attn_qkv=TYPE")),
    row("convert", &["--attn-output-type"], Instead("pass --tensor-type attn_output=TYPE")),
    row("convert", &["--ffn-gate-type"], Instead("pass --tensor-type ffn_gate=TYPE")),
    row("convert", &["--ffn-down-type"], Instead("pass --tensor-type ffn_down=TYPE")),
    row("convert", &["--ffn-up-type"], Instead("pass --tensor-type ffn_up=TYPE")),
    row(
        "convert",
        &["--repack", "--repack-pattern", "--slow-iq2ks", "--symmetric-q40", "--partial-requant"],
        Planned("only the types and encoders of llama.cpp are written"),
    ),
    // llama-imatrix
    row("imatrix", &["-m", "--model"], Instead("name the model without an option")),
    row("imatrix", &["-f", "--file", "-p", "--prompt"], Instead("pass --text FILE")),
    row("imatrix", &["--in-file"], Instead("pass --merge FILE...")),
    row("imatrix", &["--show-statistics"], Instead("pass --merge FILE --statistics")),
    row("imatrix", &["--ctx-size"], Instead("pass --chunk-tokens COUNT")),
    row("imatrix", &["--chunk", "--from-chunk"], Instead("pass --skip-chunks COUNT")),
    row("imatrix", &["--output-format"], Instead("the name decides: .dat is the older form")),
    row("imatrix", &["--no-ppl", "--ppl"], Instead("`granule measure` gives the perplexity")),
    row(
        "imatrix",
        &["--output-frequency", "--save-frequency"],
        Instead("all chunks go through one layer after another, so there is one result"),
    ),
    // llama-perplexity
    row("measure", &["-m", "--model"], Instead("name the model without an option")),
    row("measure", &["-f", "--file", "-p", "--prompt"], Instead("pass --text FILE")),
    row("measure", &["--ctx-size"], Instead("pass --chunk-tokens COUNT")),
    row(
        "measure",
        &["--kl-divergence-base", "--save-all-logits", "--kl-divergence"],
        Instead("pass --save-base FILE to write the original's predictions, --base to read them"),
    ),
    row(
        "measure",
        &["--hellaswag", "--winogrande", "--multiple-choice", "--ppl-stride"],
        Planned("perplexity and divergence are measured, choices among answers are not"),
    ),
    // llama-gguf-split
    row(
        "convert",
        &["--split"],
        Instead("pass --split-max-size SIZE; `granule split FILE` splits a file as it is"),
    ),
    row(
        "convert",
        &["--merge"],
        Instead("name one file of the set; `granule join FILE` joins a set as it is"),
    ),
    row("convert", &["--delete-splits"], Instead("`granule join FILE --consume` does this")),
    row("split", &["--split"], Instead("leave it out")),
    row("split", &["--merge", "--delete-splits"], Instead("`granule join FILE` joins a set")),
    row("join", &["--merge"], Instead("leave it out")),
    row("join", &["--split"], Instead("`granule split FILE` splits a file")),
    row("join", &["--delete-splits"], Instead("pass --consume, which can be continued")),
    // gguf_set_metadata, gguf_new_metadata
    row(
        "convert",
        &["--force"],
        Instead("leave it out: a complete result replaces a file of its name without asking"),
    ),
    row("convert", &["--general-name"], Instead("pass --override-kv general.name=str:NAME")),
    row(
        "convert",
        &["--general-description"],
        Instead("pass --override-kv general.description=str:TEXT"),
    ),
    row(
        "convert",
        &["--chat-template", "--chat-template-config", "--chat-template-file"],
        Instead("`granule edit FILE --chat-template TEMPLATE` changes the result"),
    ),
    row(
        "convert",
        &["--pre-tokenizer"],
        Instead("pass --pre NAME, or --override-kv tokenizer.ggml.pre=str:NAME for a GGUF file"),
    ),
    row("convert", &["--remove-metadata"], Instead("`granule edit FILE --remove KEY` does this")),
    row(
        "edit",
        &["--force"],
        Instead("leave it out: what would be invalid is refused, the rest is done without asking"),
    ),
    row(
        "edit",
        &["--special-token-by-id"],
        Instead("pass its key, such as --set tokenizer.ggml.eos_token_id=u32:ID"),
    ),
    row("edit", &["--override-kv"], Instead("pass --set KEY=TYPE:VALUE")),
    row("edit", &["--verbose"], Instead("every change is shown unless --quiet is given")),
    row(
        "convert",
        &["--special-token", "--special-token-by-id"],
        Instead("pass its key, such as --override-kv tokenizer.ggml.eos_token_id=int:ID"),
    ),
    row("convert", &["--model", "-m"], Instead("name the source without an option")),
    // gguf_dump
    row("inspect", &["--no-tensors"], Instead("pass --metadata to show the metadata alone")),
    row("inspect", &["--json-array"], Instead("pass --json --full to get every array whole")),
    row(
        "inspect",
        &["--data-offset", "--data-alignment"],
        Instead("the first line tells both, and so do the files of --json"),
    ),
    row("inspect", &["--markdown"], Planned("--json has everything to make a page of")),
    row("inspect", &["--verbose"], Instead("pass --full to show long strings and arrays whole")),
    row("check", &["--verbose"], Instead("every finding is shown; `granule explain` says more")),
    row("check", &["--check-tensors"], Instead("it is done unless --structure-only is given")),
    // llama-gguf-hash
    row("inspect", HASHES, Instead("`granule hash FILE` has this option")),
    row("check", HASHES, Instead("`granule hash FILE` has this option")),
    row("hash", &["--manifest"], Instead("pass --check MANIFEST, or -o MANIFEST to write one")),
    row(
        "hash",
        &["--progressbar", "--verbose"],
        Instead("the bar is shown unless --quiet is given"),
    ),
    // the converter's names, on the way back
    row("export", &["--outfile"], Instead("pass the folder to write to with -o DIR")),
    row("export", &["--outtype"], Instead("pass F32, F16 or BF16 with -t TYPE")),
    row("export", &["--split-max-size"], Instead("pass --max-shard-size SIZE")),
    row("export", &["--split-max-tensors"], Planned("--max-shard-size limits the bytes of a file")),
];

const HASHES: &[&str] = &[
    "--all",
    "--check",
    "--manifest",
    "--no-layer",
    "--sha1",
    "--sha256",
    "--uuid",
    "--xxh64",
    "-c",
];

/// The table of commands.
const COMMANDS: &[(&[&str], Answer)] = &[
    (
        &["gguf-split"],
        Instead("`granule split FILE` splits a file, `granule join FILE` joins a set"),
    ),
    (&["merge"], Instead("`granule join FILE` joins the split set of FILE")),
    (&["dump", "info", "list", "ls", "show"], Instead("`granule inspect FILE` shows a file")),
    (&["lint", "validate", "verify"], Instead("`granule check FILE` checks a file")),
    (&["gguf-hash", "manifest"], Instead("`granule hash FILE` prints the hashes of tensors")),
    (&["compare", "cmp"], Instead("`granule diff A B` compares two models")),
    (
        &["new-metadata", "set-metadata", "set"],
        Instead("`granule edit FILE --set KEY=VALUE` sets metadata"),
    ),
    (
        &["convert-endian"],
        Instead("`granule convert FILE -t COPY --bigendian -o FILE` turns the byte order"),
    ),
    (
        &["perplexity"],
        Instead(
            "`granule measure FILE --text FILE` prints the perplexity, and more with --against",
        ),
    ),
    (&["chat", "cli", "run"], Instead("`granule generate FILE --prompt TEXT` continues a text")),
    (
        &["bench", "serve", "server"],
        Planned("Granule continues a text (`granule generate`) and measures; it serves nobody"),
    ),
    (
        &["export-lora", "lora", "merge-lora"],
        Instead("`granule convert DIR --lora ADAPTER_DIR` merges an adapter into the model"),
    ),
];

/// The answer to an option that `command` lacks, if another program has it.
pub(crate) fn option(command: &str, option: &str) -> Option<String> {
    let row = OPTIONS.iter().find(|row| row.command == command && row.options.contains(&option))?;
    Some(sentence(&format!("{option} of `granule {command}`"), row.answer))
}

/// The answer to a command that does not exist, if another program has it.
pub(crate) fn command(name: &str) -> Option<String> {
    let (_, answer) = COMMANDS.iter().find(|(names, _)| names.contains(&name))?;
    Some(sentence(&format!("`granule {name}`"), *answer))
}

/// Options of `convert` and commands that other programs have and Granule lacks: names, and what to
/// do until it has them.
#[cfg(test)]
pub(crate) fn planned() -> impl Iterator<Item = (&'static [&'static str], &'static str)> {
    let of_convert = OPTIONS.iter().filter(|row| row.command == "convert");
    let options = of_convert.map(|row| (row.options, row.answer));
    options.chain(COMMANDS.iter().copied()).filter_map(|(names, answer)| match answer {
        Planned(meanwhile) => Some((names, meanwhile)),
        Instead(_) => None,
    })
}

fn sentence(what: &str, answer: Answer) -> String {
    match answer {
        Planned(meanwhile) => format!("{what} is not supported yet: {meanwhile}"),
        Instead(way) => format!("{what} does not exist: {way}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;
    use crate::usage;

    /// Every row is what the program says, and nothing is suggested besides.
    #[test]
    fn every_option_is_answered() {
        for row in OPTIONS {
            for option in row.options {
                for arguments in [
                    vec!["granule", row.command, "x", option],
                    vec!["granule", row.command, option, "value", "x"],
                ] {
                    let said = usage::message_for(&arguments);
                    let (Planned(part) | Instead(part)) = row.answer;
                    assert!(said.contains(option) && said.contains(part), "{arguments:?}: {said}");
                    assert!(!said.contains("did you mean"), "{arguments:?}: {said}");
                    assert_eq!(said.lines().count(), 1, "{said}");
                }
            }
        }
        for (names, answer) in COMMANDS {
            for name in *names {
                let said = usage::message_for(&["granule", name, "x", "--option"]);
                let (Planned(part) | Instead(part)) = answer;
                assert!(said.contains(name) && said.contains(part), "{name}: {said}");
                assert!(!said.contains("did you mean"), "{name}: {said}");
            }
        }
    }

    /// A row for something that exists would never be found.
    #[test]
    fn nothing_that_exists_is_foreign() {
        let program = Cli::command();
        for row in OPTIONS {
            let command = program.find_subcommand(row.command).expect("a command of the program");
            for option in row.options {
                let name = option.trim_start_matches('-');
                let exists = command.get_arguments().any(|argument| {
                    let names = argument.get_long_and_visible_aliases().unwrap_or_default();
                    let shorts = argument.get_short_and_visible_aliases().unwrap_or_default();
                    names.contains(&name)
                        || shorts.iter().any(|short| *option == format!("-{short}"))
                });
                assert!(!exists, "{} {option}", row.command);
            }
        }
        for (names, _) in COMMANDS {
            assert!(names.iter().all(|name| program.find_subcommand(name).is_none()), "{names:?}");
        }
    }
}
