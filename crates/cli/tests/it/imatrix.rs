//! `granule imatrix`: sums over sample texts.

use std::fs;

use granule_encode::{Importance, ImportanceSums};
use granule_infer::statistics::{CollectOptions, collect};
use granule_infer::stream::Journal;
use granule_infer::{Chunks, Model};
use granule_reader::GgufSource;

use crate::common::{Folder, copy_checkpoint, edited, matrix};

/// A text of about two hundred tokens.
pub(crate) const TEXT: &str = "The lamp went out, and for a while nobody said a word. Then the \
    keeper laughed, lit a match, and counted: one, two, three ships on the water tonight, and not \
    a single one of them was late. \"Well,\" he said, \"that is a first.\"\n";

pub(crate) fn folder() -> Folder {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "ck");
    folder.write("text.txt", TEXT);
    folder
}

fn sums(folder: &Folder, name: &str) -> ImportanceSums {
    ImportanceSums::parse(&fs::read(folder.path(name)).unwrap()).unwrap()
}

#[test]
fn a_checkpoint_and_its_file_give_the_same_bytes() {
    let folder = folder();
    folder.run("convert ck --outtype bf16 -o m.gguf --quiet").ok();
    let options = "--text text.txt -c 32 --quiet";
    folder.run(&format!("imatrix ck {options} -o a.gguf")).ok();
    folder.run(&format!("imatrix m.gguf {options} -j 1 -o b.gguf")).ok();
    let [a, b] = ["a.gguf", "b.gguf"].map(|name| fs::read(folder.path(name)).unwrap());
    assert!(a == b, "the same bytes from both sources, for any number of threads");
    let sums = sums(&folder, "a.gguf");
    assert_eq!((sums.entries.len(), sums.chunk_tokens), (14, 32));
    assert_eq!(sums.datasets, ["text.txt"]);
    for (name, entry) in &sums.entries {
        assert_eq!(entry.rows, [u64::from(sums.chunks) * 32], "{name}");
        assert!(entry.squares.iter().all(|square| *square > 0.0), "{name}");
        // what is summed has both signs
        let [sum, square] = [entry.sums.as_ref().unwrap()[0].abs(), entry.squares[0]];
        assert!(sum <= (square * entry.rows[0] as f64).sqrt(), "{name}");
    }
    let queries = &sums.entries["blk.1.attn_q.weight"];
    assert_eq!(queries.squares, sums.entries["blk.1.attn_v.weight"].squares);
    let said = folder.run("convert m.gguf -t Q4_K_M --imatrix a.gguf -o q.gguf").ok();
    assert!(said.contains("q.gguf"), "{said}");
}

#[test]
fn matrices_are_added_and_described() {
    let folder = folder();
    let options = "--text text.txt -c 32 --quiet";
    folder.run(&format!("imatrix ck {options} --chunks 2 -o a.gguf")).ok();
    folder.run(&format!("imatrix ck {options} --skip-chunks 2 --chunks 1 -o b.gguf")).ok();
    folder.run(&format!("imatrix ck {options} --chunks 3 -o whole.gguf")).ok();
    folder.run("imatrix --merge a.gguf b.gguf -o ab.gguf --quiet").ok();
    let [whole, mut merged] = ["whole.gguf", "ab.gguf"].map(|name| sums(&folder, name));
    assert_eq!((merged.chunks, merged.datasets.len()), (3, 2));
    for (name, entry) in &mut merged.entries {
        assert_eq!(entry.rows, whole.entries[name].rows);
        for (a, b) in entry.squares.iter().zip(&whole.entries[name].squares) {
            assert!((a - b).abs() <= 1e-6 * b, "{name}: {a} {b}");
        }
    }
    folder.run("imatrix --merge a.gguf -o a.dat --quiet").ok();
    let [gguf, dat] = ["a.gguf", "a.dat"].map(|name| Importance::read(&folder.path(name)).unwrap());
    let name = "blk.0.ffn_down.weight";
    for (a, b) in gguf.get(name).unwrap().iter().zip(dat.get(name).unwrap()) {
        assert!((a - b).abs() <= 1e-5 * a, "{a} {b}");
    }
    let table = folder.run("imatrix --merge a.gguf --statistics --quiet").ok();
    assert_eq!(table.lines().count(), 15, "{table}");
    let json = folder.run("imatrix --merge a.gguf --statistics --json").json();
    assert_eq!((&json["tensors"], &json["chunks"]), (&14.into(), &2.into()));
    assert_eq!(json["statistics"][0]["tensor"], "blk.0.attn_k.weight");
    assert!(json["statistics"][7]["similarity"].as_f64().unwrap() > 0.1);
}

/// Machines that run a part each need nothing of each other, and no order.
#[test]
fn parts_make_the_bytes_of_a_single_run() {
    let folder = folder();
    copy_checkpoint(&folder, "Mixtral-tiny-4x100K-Instruct-v0.1", "moe");
    folder.run("convert ck --outtype f32 -o m.gguf --quiet").ok();
    // a token that costs its chunks, and with some of the parts all of them
    edited(
        &folder,
        "m.gguf",
        "some.gguf",
        |_| {},
        |name, data| {
            if name == "token_embd.weight" {
                let token = 4 * 256 * 318;
                data[token..token + 4].copy_from_slice(&f32::NAN.to_le_bytes());
            }
        },
    );
    for (model, tokens, parts, order) in [("moe", 64, 2, "2 1"), ("some.gguf", 16, 3, "3 1 2")] {
        let line = format!("imatrix {model} --text text.txt -c {tokens} --quiet");
        let of_whole = folder.run(&format!("{line} --chunks 4 -o whole.gguf --json")).json();
        for part in 1..=parts {
            let line = format!("{line} --chunks 4 --part {part}/{parts} -o {part}.part --json");
            assert_eq!(folder.run(&line).json()["part"], format!("{part}/{parts}"));
        }
        let files: Vec<String> = order.split(' ').map(|part| format!("{part}.part")).collect();
        let files = files.join(" ");
        let json = folder.run(&format!("imatrix --merge {files} -o merged.gguf --json -q")).json();
        let [whole, merged] =
            ["whole.gguf", "merged.gguf"].map(|name| fs::read(folder.path(name)).unwrap());
        assert!(whole == merged, "{model}: the bytes of a single run");
        assert_eq!(json["lost_chunks"], of_whole["lost_chunks"], "{model}");
        assert_eq!(json["lost_chunks"] == serde_json::json!([]), model != "some.gguf", "{json}");
    }
    let line = "imatrix ck --text text.txt -c 8 --chunks 3 --quiet";
    folder.run(&format!("{line} --part 2/3 --process-output -o other.part")).ok();
    folder.run(&format!("{line} --part 1/3 -o one.part")).ok();
    folder.run(&format!("{line} --part 3/3 -o three.part")).ok();
    // a model that was trained further: the header is the same
    let trained = |name: &str, data: &mut [u8]| {
        if name == "output_norm.weight" {
            data[0] ^= 1;
        }
    };
    edited(&folder, "m.gguf", "trained.gguf", |_| {}, trained);
    for (model, part) in [("m.gguf", 1), ("trained.gguf", 2)] {
        let line = format!("imatrix {model} --text text.txt -c 8 --chunks 2 --quiet");
        folder.run(&format!("{line} --part {part}/2 -o {model}.part")).ok();
    }
    let before = folder.names();
    for (line, part) in [
        ("imatrix --merge m.gguf.part trained.gguf.part", "are parts of different runs"),
        ("imatrix --merge one.part three.part", "1 of 3 parts are missing, the first is part 2/3"),
        ("imatrix --merge one.part other.part three.part", "are parts of different runs"),
        ("imatrix --merge one.part one.part", "are both part 1/3"),
        ("imatrix ck --text text.txt -c 32 --part 9/99", "so it has at most as many parts"),
        ("imatrix ck --text text.txt --part 0/3", "\"0/3\" is no part"),
        ("measure --merge one.part", "is no result of `granule measure --part`"),
    ] {
        let out = if line.starts_with("imatrix") { " -o out.gguf" } else { "" };
        let message = folder.run(&format!("{line}{out}")).failure();
        assert!(message.contains(part), "{line}: {message}");
        assert_eq!(folder.names(), before, "{line}");
    }
}

/// A number that is not finite costs its chunk, or the run if no chunk is left.
#[test]
fn not_a_number_ends_no_run() {
    let folder = folder();
    folder.run("convert ck --outtype f32 -o m.gguf --quiet").ok();
    // one token has an embedding that is no number
    edited(
        &folder,
        "m.gguf",
        "one.gguf",
        |_| {},
        |name, data| {
            if name == "token_embd.weight" {
                let token = 4 * 256 * 318;
                data[token..token + 4].copy_from_slice(&f32::NAN.to_le_bytes());
            }
        },
    );
    let ran = folder.run("imatrix one.gguf --text text.txt -c 16 -o a.gguf --json");
    assert_eq!(ran.status, 0, "{ran:?}");
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let lost = json["lost_chunks"].as_array().unwrap().len();
    assert!(lost > 0 && ran.stderr.contains("was left: NaN at token"), "{ran:?}");
    assert!(json["chunks"].as_u64().unwrap() > 0, "{json}");
    edited(
        &folder,
        "m.gguf",
        "all.gguf",
        |_| {},
        |name, data| {
            if name == "blk.1.ffn_up.weight" {
                data[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
            }
        },
    );
    for line in ["imatrix all.gguf -o b.gguf", "measure all.gguf"] {
        let message = folder.run(&format!("{line} --text text.txt -c 16 --chunks 2")).failure();
        assert!(
            message.contains("no chunk is left") && message.contains("blk.1.ffn_down"),
            "{message}"
        );
    }
    assert!(!folder.path("b.gguf").exists());
}

/// Chunks that are left in a later layer are not part of the sums of earlier ones.
#[test]
fn lost_chunks_leave_nothing() {
    let folder = folder();
    folder.run("convert ck --outtype f32 -o m.gguf --quiet").ok();
    // some tokens make a sum that single precision does not hold
    edited(
        &folder,
        "m.gguf",
        "some.gguf",
        |_| {},
        |name, data| {
            if name == "blk.0.ffn_down.weight" {
                for number in data.as_chunks_mut::<4>().0.iter_mut().take(64) {
                    *number = (f32::from_le_bytes(*number) * 3e38).to_le_bytes();
                }
            }
        },
    );
    let line = "imatrix some.gguf --text text.txt -c 8";
    let json = folder.run(&format!("{line} -o all.gguf --json --quiet")).json();
    let lost = json["lost_chunks"].as_array().unwrap().len();
    let whole = sums(&folder, "all.gguf");
    assert!(lost > 0 && whole.chunks > 0, "{json}");
    let mut parts: Option<ImportanceSums> = None;
    for chunk in 0..lost + whole.chunks as usize {
        let one = format!("{line} --skip-chunks {chunk} --chunks 1 -o one.gguf --quiet");
        if folder.run(&one).status == 0 {
            let one = sums(&folder, "one.gguf");
            match &mut parts {
                Some(parts) => parts.merge(&one).unwrap(),
                None => parts = Some(one),
            }
        }
    }
    let parts = parts.unwrap();
    assert_eq!(parts.chunks, whole.chunks);
    for (name, entry) in &whole.entries {
        assert_eq!(entry.rows, parts.entries[name].rows, "{name}");
        for (a, b) in entry.squares.iter().zip(&parts.entries[name].squares) {
            assert!((a - b).abs() <= 1e-5 * b, "{name}: {a} {b}");
        }
    }
}

/// A run that ended at any layer continues there, and gives the same sums.
#[test]
fn interrupted_runs_continue_at_a_layer() {
    let folder = folder();
    folder.run("convert ck --outtype bf16 -o m.gguf --quiet").ok();
    let source = GgufSource::open(folder.path("m.gguf")).unwrap();
    let model = Model::open(&source).unwrap();
    let tokens = (0..96).map(|i| i * 7 % 200).collect();
    let chunks = Chunks::of_tokens(tokens, 32, None).unwrap();
    let whole = collect(&model, &chunks, &CollectOptions::default(), &mut |_| Ok(())).unwrap();
    let mut options = CollectOptions::default();
    options.run.memory = 0;
    let spilled = collect(&model, &chunks, &options, &mut |_| Ok(())).unwrap();
    assert_eq!(spilled, whole);
    let journal = Journal::new(folder.path("run"), "this".to_owned());
    options.run.journal = Some(journal.clone());
    for end in [0, 1, 1, 2] {
        let mut first = usize::MAX;
        let interrupted = collect(&model, &chunks, &options, &mut |layer| {
            first = first.min(layer);
            if layer == end { Err("enough".into()) } else { Ok(()) }
        });
        assert!(interrupted.is_err() && first <= end, "{first}");
        if end == 2 {
            assert_eq!(first, 1, "layer 0 is not computed again");
        }
    }
    assert_eq!(collect(&model, &chunks, &options, &mut |_| Ok(())).unwrap(), whole);
    options.run.journal = Some(Journal::new(folder.path("run"), "that".to_owned()));
    let error = collect(&model, &chunks, &options, &mut |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("another model, other texts"), "{error}");
    journal.remove().unwrap();
    let line = "--text text.txt -c 32 --chunks 2";
    folder.run(&format!("imatrix m.gguf {line} -o a.gguf --quiet --resume run")).ok();
    folder.run(&format!("imatrix m.gguf {line} -o b.gguf --quiet --memory 0")).ok();
    assert_eq!(fs::read(folder.path("a.gguf")).unwrap(), fs::read(folder.path("b.gguf")).unwrap());
    assert!(!folder.path("run").exists());
    let found = folder.run(&format!("measure m.gguf {line} --json --resume run")).json();
    assert_eq!(found, folder.run(&format!("measure m.gguf {line} --json")).json());
    assert!(!folder.path("run").exists());
}

#[test]
fn experts_that_no_token_met() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "Mixtral-tiny-4x100K-Instruct-v0.1", "moe");
    folder.write("text.txt", TEXT);
    let options = "--text text.txt -c 4 --chunks 1";
    let ran = folder.run(&format!("imatrix moe {options} -o a.gguf"));
    assert_eq!(ran.status, 0, "{ran:?}");
    let some = sums(&folder, "a.gguf");
    let entry = &some.entries["blk.0.ffn_up_exps.weight"];
    assert_eq!((entry.rows.len(), entry.rows.iter().sum::<u64>()), (4, 8));
    let all = folder.run(&format!("imatrix moe {options} --all-experts -o b.gguf --json")).json();
    assert_eq!(all["unmet"], serde_json::json!([]));
    let all = sums(&folder, "b.gguf");
    assert_eq!(all.entries["blk.0.ffn_up_exps.weight"].rows, [4; 4]);
    // the experts change nothing but what is seen of them
    assert_eq!(all.entries["blk.1.attn_q.weight"], some.entries["blk.1.attn_q.weight"]);
}

#[test]
fn what_cannot_be_merged() {
    let folder = folder();
    folder.write("a.dat", matrix(&[("blk.0.ffn_up.weight", 256, 1.0)]));
    folder.write("b.dat", matrix(&[("blk.0.ffn_up.weight", 128, 1.0)]));
    folder.write("c.dat", "no matrix");
    let before = folder.names();
    for (line, part) in [
        ("imatrix --merge a.dat b.dat -o c.gguf", "cannot add b.dat: \"blk.0.ffn_up.weight\" has"),
        ("imatrix --merge a.dat c.dat -o c.gguf", "cannot use the importance matrix c.dat"),
        ("imatrix --merge a.dat -o d/c.gguf", "the folder d does not exist"),
        ("imatrix --merge a.dat -o c.gguf --text text.txt", "--text has no effect"),
    ] {
        let message = folder.run(line).failure();
        assert!(message.contains(part), "{line}: {message}");
        assert_eq!(folder.names(), before, "{line}");
    }
}
