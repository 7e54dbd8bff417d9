//! No option is silently ignored: every option of every command, and what is said where it has no
//! effect.

mod table;
mod tools;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::common::{Folder, copy_checkpoint, matrix, model, one_entry, shape, write};
use granule_format::{BlockType, Draft, Endian};
use table::Case::{Always, Refused, Warned};
use table::{HIDDEN, OPTIONS};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("model.gguf", model());
    let architecture = one_entry("general.architecture", "llama");
    let mut draft = Draft::new(architecture, Endian::Little).unwrap();
    draft.add("blk.0.ffn_up.weight", shape(&[32, 4]), BlockType::F32.into()).unwrap();
    folder.write("one.gguf", write(draft));
    let names = ["blk.0.attn_q.weight", "blk.0.attn_v.weight", "blk.0.ffn_down.weight"];
    let entries: Vec<_> =
        names.into_iter().zip([256, 256, 320]).map(|(n, c)| (n, c, 1.0)).collect();
    folder.write("all.dat", matrix(&entries));
    folder.write("empty.txt", " \n");
    folder.write("text.txt", "a few words of text");
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../checkpoint/src/arch/models");
    fs::copy(models.join("gpt2.toml"), folder.path("gpt2.toml")).unwrap();
    folder.write("p.json", folder.run("convert model.gguf -t Q4_0 --dry-run --json").ok());
    folder
}

#[test]
fn an_option_without_effect_says_so() {
    let folder = folder();
    let before = folder.names();
    for (command, option, case) in OPTIONS.iter().chain(tools::OPTIONS) {
        match case {
            Refused(line, part) => {
                let message = folder.run(line).failure();
                let named = message.contains(option) || *option == "--type";
                assert!(message.contains(part) && named, "{line}: {message}");
            }
            Warned(line, part) => {
                let ran = folder.run(line);
                let status = i32::from(*option == "--filter");
                assert_eq!(ran.status, status, "{line}: {ran:?}");
                let names = ran.stderr.contains(option) || *option == "--threads";
                assert!(names && ran.stderr.contains(part), "{line}: {ran:?}");
                assert!(ran.stderr.starts_with("granule: warning: "), "{line}: {ran:?}");
                let times = ran.stderr.matches(part).count();
                assert_eq!(times, 1, "{line}: {ran:?}");
                if *command != "inspect" {
                    assert_eq!(folder.run(&format!("{line} --quiet")).stderr, "", "{line}");
                }
            }
            Always(why) => assert!(!why.is_empty()),
        }
        assert_eq!(folder.names(), before, "{option}");
    }
}

/// The table has every option of every command.
#[test]
fn the_table_is_complete() {
    let folder = Folder::new();
    let program = folder.run("--help").ok();
    let commands = program.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    for command in commands.lines().filter_map(|line| line.split_whitespace().next()) {
        if command == "help" {
            continue;
        }
        let help = folder.run(&format!("{command} -h")).ok();
        let mut options: BTreeSet<&str> = help
            .split(|c: char| !(c == '-' || c.is_ascii_alphanumeric()))
            .filter(|word| word.starts_with("--") && word.len() > 2 && *word != "--help")
            .collect();
        if command == "convert" {
            options.extend(HIDDEN);
        }
        let listed: BTreeSet<&str> = OPTIONS
            .iter()
            .chain(tools::OPTIONS)
            .filter(|(of, ..)| *of == command)
            .map(|(_, option, _)| *option)
            .collect();
        let missing: Vec<_> = options.difference(&listed).collect();
        assert!(missing.is_empty(), "{command}: {missing:?}");
        let unknown: Vec<_> = listed.difference(&options).collect();
        assert!(unknown.is_empty(), "{command}: {unknown:?}");
    }
}

/// What names something that is not there is an error, and a warning where that is allowed.
#[test]
fn what_matches_nothing_can_be_allowed() {
    let folder = folder();
    for (options, part) in [
        ("--prune-layers 99", "--prune-layers 99 has no effect"),
        ("--tensor-type nosuch=q8_0", "--tensor-type \"nosuch\" matches no tensor name"),
        ("--include-weights ffn", "--include-weights \"ffn\" has no effect"),
        (
            "--imatrix all.dat --include-weights nosuch",
            "--include-weights \"nosuch\" has no effect",
        ),
        (
            "--imatrix all.dat --exclude-weights nosuch",
            "--exclude-weights \"nosuch\" has no effect",
        ),
    ] {
        let line = format!("convert model.gguf -t Q4_0 -o out.gguf {options}");
        let message = folder.run(&line).failure();
        assert!(message.contains(part) && message.contains("--allow-missing"), "{message}");
        assert!(!folder.path("out.gguf").exists(), "{options}");
        let ran = folder.run(&format!("{line} --allow-missing"));
        assert!(ran.status == 0 && ran.stderr.contains(part), "{ran:?}");
        fs::remove_file(folder.path("out.gguf")).unwrap();
    }
    // all of them are used
    folder
        .run(
            "convert model.gguf -t Q4_0 -o out.gguf --imatrix all.dat --exclude-weights ffn \
             --quiet",
        )
        .ok();
}

/// With several types, an option that matters to one of them is silent.
#[test]
fn an_option_for_one_of_several_types() {
    let folder = folder();
    folder.run("convert model.gguf -t F16 -t Q4_0 --pure --dry-run").ok();
    folder
        .run(
            "convert model.gguf -t COPY -t Q8_0 --no-fallback --tensor-type ffn=q8_0 \
             --allow-missing --dry-run --quiet",
        )
        .ok();
    folder.run("convert model.gguf -t Q8_0 -t Q4_K_M --imatrix all.dat --dry-run").ok();
}

/// A plan that was made with --outtype is run with it.
#[test]
fn a_plan_of_a_checkpoint_in_another_type() {
    let folder = folder();
    folder.run("convert ck --outtype f32 -t Q8_0 -o one.out").ok();
    folder.write("p.json", folder.run("convert ck --outtype f32 -t Q8_0 --dry-run --json").ok());
    folder.run("convert ck --outtype f32 --plan p.json -o two.out").ok();
    assert!(fs::read(folder.path("one.out")).unwrap() == fs::read(folder.path("two.out")).unwrap());
}

#[test]
fn to_resume_without_anything_left() {
    let folder = folder();
    let line = "convert model.gguf -t Q4_0 -o x.gguf --resume";
    let ran = folder.run(line);
    let part = "--resume has no effect: no interrupted run has left anything";
    assert!(ran.status == 0 && ran.stderr.contains(part), "{ran:?}");
    assert_eq!(folder.run(&format!("{line} --quiet")).stderr, "");
}
