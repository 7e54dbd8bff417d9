//! Conversions that are killed at random moments, while other commands write to the same file.

mod files;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Map, Value, json};

use crate::faults::permissions;
use xtask::run::{cargo, program_of_release, root};

/// How often a run is killed, unless an argument says another number.
const KILLS: usize = 200;

/// Commands for the same output that make different files, but for the first and the second.
const COMMANDS: &[&[&str]] = &[
    &["-t", "Q2_K"],
    &["-t", "Q2_K", "--verify"],
    &["-t", "Q3_K_S"],
    &["-t", "Q2_K", "--arch", "arch.toml"],
    &["-t", "Q2_K", "--imatrix", "one.dat"],
    &["-t", "Q2_K", "--imatrix", "two.dat"],
    &["-t", "Q2_K", "--fuse-qkv"],
    &["-t", "Q2_K", "--token-embedding-type", "Q8_0"],
];

/// The contents of a file before any command.
const OLD: &[u8] = b"old";

/// The mode of the file, which every run keeps.
const MODE: u32 = 0o640;

/// Kill runs at random moments: `kills [convert|edit|join] [COUNT [SEED]]`.
///
/// Conversions have changing commands for one output. After each the file is what it was before, or
/// the whole file that the command makes; a run without `--restart` continues only what the same
/// command has left. Edits and joins: see [`files`].
pub(crate) fn kills(arguments: &[String]) -> anyhow::Result<()> {
    let what = arguments.first().map_or("convert", String::as_str);
    let is_named = ["convert", "edit", "join"].contains(&what);
    let arguments = &arguments[usize::from(is_named)..];
    let number = |index: usize| arguments.get(index).map(|text| text.parse::<u64>()).transpose();
    let kills = number(0)?.map_or(KILLS, |kills| kills as usize);
    fastrand::seed(number(1)?.unwrap_or_else(|| fastrand::u64(..)));
    println!("seed {}", fastrand::get_seed());
    cargo(&["build", "--release", "-p", "granule"], &[])?;
    let folder = std::env::temp_dir().join(format!("granule-kills-{}", std::process::id()));
    let granule = program_of_release();
    let result = match what {
        "edit" | "join" => {
            fs::create_dir_all(&folder)?;
            let run = if what == "edit" { files::edits } else { files::joins };
            run(&granule, &folder, kills)
        }
        _ => {
            fs::create_dir_all(folder.join("disk"))?;
            make_inputs(&folder).and_then(|()| Bench { granule, folder: folder.clone() }.run(kills))
        }
    };
    fs::remove_dir_all(&folder)?;
    result
}

struct Bench {
    granule: PathBuf,
    folder: PathBuf,
}

/// Counts of how the runs ended.
#[derive(Default)]
struct Counts {
    killed: usize,
    completed: usize,
    continued: usize,
    refused: usize,
}

impl Bench {
    fn run(&self, kills: usize) -> anyhow::Result<()> {
        let begin = Instant::now();
        let mut expected = HashMap::new();
        for (index, command) in COMMANDS.iter().enumerate() {
            self.set_file(OLD)?;
            let output = self.command(command, &["--restart"]).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            expected.insert(index, fs::read(self.real())?);
        }
        ensure!(expected[&0] == expected[&1], "--verify changes nothing");
        for other in 2..COMMANDS.len() {
            ensure!(expected[&0] != expected[&other], "{:?} makes another file", COMMANDS[other]);
        }
        let time = begin.elapsed() / COMMANDS.len() as u32;

        let mut counts = Counts::default();
        let mut command = 0;
        while counts.killed < kills {
            // often the same command, so that there is something to continue
            if fastrand::bool() {
                command = fastrand::usize(..COMMANDS.len());
            }
            if fastrand::u8(..8) == 0 {
                self.set_file(OLD)?;
            }
            let restart: &[&str] = if fastrand::u8(..3) == 0 { &["--restart"] } else { &[] };
            let moment = time.mul_f64(fastrand::f64() * 1.2);
            self.once(command, restart, moment, &expected[&command], &mut counts).with_context(
                || format!("{:?} {restart:?} killed after {moment:?}", COMMANDS[command]),
            )?;
        }
        // in the end every command makes its file
        for (index, command) in COMMANDS.iter().enumerate() {
            let output = self.command(command, &["--restart"]).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            ensure!(fs::read(self.real())? == expected[&index], "{command:?}");
        }
        let Counts { killed, completed, continued, refused } = counts;
        println!(
            "{killed} runs were killed (of {time:?} on average): never another file. Besides, \
             {completed} were completed, {refused} refused because another command had left \
             something; {continued} of all continued what the same command had left."
        );
        Ok(())
    }

    /// Run a command for a while, and look at what there is.
    fn once(
        &self,
        command: usize,
        restart: &[&str],
        moment: Duration,
        expected: &[u8],
        counts: &mut Counts,
    ) -> anyhow::Result<()> {
        let before = fs::read(self.real())?;
        let log = self.folder.join("log");
        let mut child =
            self.command(COMMANDS[command], restart).stderr(File::create(&log)?).spawn()?;
        sleep(moment);
        let ended = child.try_wait()?.is_some();
        end(&mut child)?;
        let status = child.wait()?;
        let message = fs::read_to_string(&log)?;
        let after = fs::read(self.real())?;
        ensure!(!message.contains("panicked"), "{message}");
        ensure!(after == before || after == expected, "a wrong file: {message}");
        let link = fs::symlink_metadata(self.folder.join("out.gguf"))?;
        ensure!(link.is_symlink(), "the link was replaced: {message}");
        let mode = permissions::of(&self.real())?;
        ensure!(mode == MODE, "mode {mode:o}: {message}");
        counts.continued += usize::from(message.contains("continuing: "));
        if status.success() {
            ensure!(after == expected, "success with another file: {message}");
            counts.completed += 1;
        } else if ended {
            ensure!(message.contains("--restart discards it"), "{message}");
            ensure!(restart.is_empty() && after == before, "{message}");
            counts.refused += 1;
        } else {
            counts.killed += 1;
        }
        Ok(())
    }

    fn command(&self, options: &[&str], more: &[&str]) -> Command {
        let mut command = Command::new(&self.granule);
        command.args(["convert", "model", "-o", "out.gguf", "-j", "1"]).args(options).args(more);
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// The file that the output is a link to.
    fn real(&self) -> PathBuf {
        self.folder.join("disk/real.gguf")
    }

    fn set_file(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let link = self.folder.join("out.gguf");
        if fs::symlink_metadata(&link).is_err() {
            permissions::link("disk/real.gguf", &link)?;
        }
        fs::write(self.real(), bytes)?;
        Ok(permissions::set(&self.real(), MODE)?)
    }
}

/// End a program, one way or another.
fn end(child: &mut Child) -> anyhow::Result<()> {
    if fastrand::u8(..4) == 0 {
        let id = child.id().to_string();
        // it may have ended by now
        Command::new("kill").args(["-TERM", &id]).stderr(Stdio::null()).status()?;
        return Ok(());
    }
    Ok(child.kill()?)
}

const LAYERS: usize = 16;
const HIDDEN: usize = 512;
const INNER: usize = 1024;
/// Heads of queries, of keys and values, and their length.
const HEADS: [usize; 3] = [8, 4, 64];
const TOKENS: usize = 512;

/// A checkpoint with random weights, another description of its architecture, and two importance
/// matrices.
fn make_inputs(folder: &Path) -> anyhow::Result<()> {
    let fixture = root().join("fixtures/checkpoints/llama2-spm-256");
    let model = folder.join("model");
    fs::create_dir_all(&model)?;
    for entry in fs::read_dir(&fixture)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_file() && name != "model.safetensors" {
            fs::copy(&path, model.join(name))?;
        }
    }
    let mut config: Value = serde_json::from_slice(&fs::read(fixture.join("config.json"))?)?;
    for (key, value) in [
        ("hidden_size", HIDDEN),
        ("intermediate_size", INNER),
        ("num_hidden_layers", LAYERS),
        ("num_attention_heads", HEADS[0]),
        ("num_key_value_heads", HEADS[1]),
        ("head_dim", HEADS[2]),
        ("vocab_size", TOKENS),
    ] {
        config[key] = value.into();
    }
    fs::write(model.join("config.json"), config.to_string())?;
    write_weights(&model.join("model.safetensors"))?;

    let arch = fs::read_to_string(root().join("crates/checkpoint/src/arch/models/llama.toml"))?;
    let other = arch.replace("\"attention-in-pairs\"", "\"attention\"");
    ensure!(other != arch, "the description of llama has another form");
    fs::write(folder.join("arch.toml"), other)?;
    for (name, seed) in [("one.dat", 1), ("two.dat", 2)] {
        fs::write(folder.join(name), matrix(&mut fastrand::Rng::with_seed(seed)))?;
    }
    Ok(())
}

/// The matrices of a layer: names in a checkpoint and in a GGUF file, rows, columns.
const MATRICES: [(&str, &str, usize, usize); 7] = [
    ("self_attn.q_proj", "attn_q", HEADS[0] * HEADS[2], HIDDEN),
    ("self_attn.k_proj", "attn_k", HEADS[1] * HEADS[2], HIDDEN),
    ("self_attn.v_proj", "attn_v", HEADS[1] * HEADS[2], HIDDEN),
    ("self_attn.o_proj", "attn_output", HIDDEN, HEADS[0] * HEADS[2]),
    ("mlp.gate_proj", "ffn_gate", INNER, HIDDEN),
    ("mlp.up_proj", "ffn_up", INNER, HIDDEN),
    ("mlp.down_proj", "ffn_down", HIDDEN, INNER),
];

fn write_weights(path: &Path) -> anyhow::Result<()> {
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), vec![TOKENS, HIDDEN]),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
    ];
    for layer in 0..LAYERS {
        let mut add = |name: &str, shape| {
            tensors.push((format!("model.layers.{layer}.{name}.weight"), shape));
        };
        add("input_layernorm", vec![HIDDEN]);
        add("post_attention_layernorm", vec![HIDDEN]);
        for (name, _, rows, columns) in MATRICES {
            add(name, vec![rows, columns]);
        }
    }
    let (mut header, mut start) = (Map::new(), 0);
    for (name, shape) in &tensors {
        let end = start + 2 * shape.iter().product::<usize>();
        let entry = json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, end]});
        header.insert(name.clone(), entry);
        start = end;
    }
    let header = Value::Object(header).to_string();
    let mut random = fastrand::Rng::with_seed(0);
    let values = (0..start / 2).flat_map(|_| {
        let value = random.f32() - 0.5;
        ((value.to_bits() >> 16) as u16).to_le_bytes()
    });
    let mut file = File::create(path)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    Ok(file.write_all(&values.collect::<Vec<u8>>())?)
}

/// An importance matrix in the older form.
fn matrix(random: &mut fastrand::Rng) -> Vec<u8> {
    let layers = (0..LAYERS).flat_map(|layer| {
        MATRICES.map(|(_, name, _, columns)| (format!("blk.{layer}.{name}.weight"), columns))
    });
    let entries: Vec<_> = layers.chain([("token_embd.weight".to_owned(), HIDDEN)]).collect();
    let mut bytes = (entries.len() as i32).to_le_bytes().to_vec();
    for (name, columns) in entries {
        bytes.extend((name.len() as i32).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(1_i32.to_le_bytes());
        bytes.extend((columns as i32).to_le_bytes());
        bytes.extend((0..columns).flat_map(|_| (0.1 + random.f32()).to_le_bytes()));
    }
    bytes
}
