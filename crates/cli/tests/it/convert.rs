//! `granule convert`, from GGUF files

use std::fs;

use crate::common::{Folder, assert_golden, model, one_entry, shape, write_split_set, write_with};
use granule_format::{BlockType, Draft, Endian, FileType};
use serde_json::{Value, json};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("model-F32.gguf", model());
    folder
}

/// Tensor types by name, as `inspect` shows them.
fn types(folder: &Folder, file: &str) -> Vec<(String, String)> {
    let json = folder.run(&format!("inspect {file} --json --tensors")).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    json["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tensor| (text(&tensor["name"]), text(&tensor["type"])))
        .collect()
}

fn type_of(folder: &Folder, file: &str, name: &str) -> String {
    types(folder, file).into_iter().find(|(other, _)| other == name).unwrap().1
}

#[test]
fn the_name_beside_the_source_and_a_summary() {
    let folder = folder();
    let text = folder.run("convert model-F32.gguf -t Q4_K_M").ok();
    assert_eq!(folder.names(), ["model-F32.gguf", "model-Q4_K_M.gguf"]);
    // what depends on the clock
    let (text, time) = text.trim_end().rsplit_once('\n').unwrap();
    assert_golden("convert.txt", text);
    assert!(time.contains("weights/s") && time.contains("B/s read"), "{time}");
    assert!(folder.run("check model-Q4_K_M.gguf --strict").ok().ends_with(": valid\n"));
    assert_eq!(type_of(&folder, "model-Q4_K_M.gguf", "blk.0.attn_q.weight"), "Q4_K");
}

#[test]
fn the_ways_to_say_the_same() {
    let folder = folder();
    folder.run("convert model-F32.gguf -o a.gguf -t Q4_K_M").ok();
    let expected = fs::read(folder.path("a.gguf")).unwrap();
    for line in [
        "quantize model-F32.gguf b.gguf Q4_K_M",
        "quantize model-F32.gguf b.gguf q4_k_m 1",
        "quantize model-F32.gguf b.gguf 15 2",
        "quantize --output b.gguf model-F32.gguf Q4_K",
        "convert model-F32.gguf b.gguf -t Q4_K_M",
        "convert model-F32.gguf b.gguf 2 -t Q4_K_M",
        "convert model-F32.gguf -t Q4_K_M -o b.gguf 2",
        "convert model-F32.gguf b.gguf -t Q4_K_M -j 0",
        "convert model-F32.gguf --outfile b.gguf --type q4_k_m --threads 2 --quiet",
        "convert -t Q4_K_M -j 1 model-F32.gguf -o b.gguf --json",
    ] {
        folder.run(line).ok();
        assert_eq!(fs::read(folder.path("b.gguf")).unwrap(), expected, "{line}");
        fs::remove_file(folder.path("b.gguf")).unwrap();
    }
    folder.run("quantize model-F32.gguf Q8_0 1").ok();
    assert_eq!(folder.names(), ["a.gguf", "model-F32.gguf", "model-Q8_0.gguf"]);
}

#[test]
fn positions_that_make_no_sense() {
    let folder = folder();
    for (line, part) in [
        ("convert model-F32.gguf", "no file type given: pass -t TYPE"),
        ("quantize model-F32.gguf out.gguf", "no file type given: pass -t TYPE"),
        ("quantize model-F32.gguf out.gguf Q4_9", "\"Q4_9\" is not a file type; did you mean Q4_0"),
        (
            "quantize model-F32.gguf Q4_KM",
            "\"Q4_KM\" is not a file type; did you mean Q4_K_M or Q4_K?",
        ),
        ("quantize model-F32.gguf best", "\"best\" is not a file type; `granule convert --help`"),
        ("convert model-F32.gguf -t Q4_0 Q8_0", "two file types: Q4_0 and Q8_0"),
        ("convert model-F32.gguf -t Q4_0 out.gguf Q8_0", "two file types: Q4_0 and Q8_0"),
        (
            "convert model-F32.gguf --plan p.json Q8_0",
            "two file types: that of the plan or size, and Q8_0",
        ),
        ("quantize model-F32.gguf Q4_0 many", "\"many\" is not a number of threads"),
        ("quantize model-F32.gguf out.gguf -o x.gguf -t Q4_0", "two outputs"),
        ("quantize model-F32.gguf Q4_0 2 -j 3", "given twice"),
        ("convert model-F32.gguf -t Q8_0 a.gguf 2 b", "one word too many"),
    ] {
        let message = folder.run(line).failure();
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
    let ran = folder.run("convert model-F32.gguf -t Q4_9");
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("Q4_9"), "{ran:?}");
    assert_eq!(folder.names(), ["model-F32.gguf"]);
}

#[test]
fn every_file_type_without_importance() {
    let folder = folder();
    for file_type in FileType::ALL {
        let needs = matches!(
            file_type.name(),
            "IQ1_S"
                | "IQ1_M"
                | "IQ2_XXS"
                | "IQ2_XS"
                | "IQ2_S"
                | "IQ2_M"
                | "IQ3_XXS"
                | "IQ3_XS"
                | "Q2_K_S"
        );
        // rows of 320 are not whole blocks of Q1_0, and nothing takes its place
        let options = "--tensor-type ffn_down=q8_0 --allow-missing --quiet";
        let ran =
            folder.run(&format!("convert model-F32.gguf -o out.gguf -t {file_type} {options}"));
        if needs {
            let message = ran.failure();
            assert!(message.contains("--imatrix"), "{file_type}: {message}");
            assert!(!folder.path("out.gguf").exists(), "{file_type}");
            continue;
        }
        ran.ok();
        assert_eq!(folder.run("check out.gguf").status, 0, "{file_type}");
        fs::remove_file(folder.path("out.gguf")).unwrap();
    }
}

#[test]
fn several_types_in_one_run_are_the_files_of_several_runs() {
    let folder = folder();
    let json = folder.run("convert model-F32.gguf -t Q4_0 -t Q8_0 -t Q4_K_M --json").json();
    let results = json["results"].as_array().unwrap();
    for (result, name) in results.iter().zip(["Q4_0", "Q8_0", "Q4_K_M"]) {
        assert_eq!(result["type"], name);
        assert_eq!(result["files"][0]["path"], format!("model-{name}.gguf"));
        folder.run(&format!("convert model-F32.gguf -o alone.gguf -t {name}")).ok();
        let [one, other] = [format!("model-{name}.gguf"), "alone.gguf".to_owned()]
            .map(|name| fs::read(folder.path(&name)).unwrap());
        assert_eq!(one, other, "{name}");
        assert_eq!(result["files"][0]["bytes"], one.len());
    }
    let message = folder.run("convert model-F32.gguf -t Q4_0 -t Q8_0 -o x.gguf").failure();
    assert!(message.contains("several types need a folder"), "{message}");
    let message = folder.run("convert model-F32.gguf -t Q4_0 -t Q8_0 -o {ftype}/x.gguf").failure();
    assert!(message.contains("the folder {ftype} does not exist"), "{message}");
    folder.run("convert model-F32.gguf -t Q4_0 -t Q8_0 -o x-{ftype}.{FTYPE}").ok();
    for (name, other) in [("x-q4_0.Q4_0", "model-Q4_0.gguf"), ("x-q8_0.Q8_0", "model-Q8_0.gguf")] {
        assert!(fs::read(folder.path(name)).unwrap() == fs::read(folder.path(other)).unwrap());
    }
    let message = folder.run("convert model-F32.gguf -t Q4_0 -o x-{ftpye}.gguf").failure();
    assert!(message.contains("x-{ftpye}.gguf") && message.contains("{ftype}"), "{message}");
    assert!(!folder.path("x-{ftpye}.gguf").exists());
    fs::create_dir(folder.path("out")).unwrap();
    folder.run("convert model-F32.gguf -t Q4_0 -t Q8_0 -o out").ok();
    assert!(folder.path("out/model-Q8_0.gguf").exists());
}

#[test]
fn json_summary() {
    let folder = folder();
    let json = folder.run("convert model-F32.gguf -t Q4_K_M --json").json();
    let result = &json["results"][0];
    assert_eq!(result["weights"], 40 * 256 * 2 + 256 + 256 * 256 + 256 * 128 + 320 * 256);
    assert_eq!(json["weights_read"], result["weights"]);
    assert_eq!(json["source_bytes"], result["weights"].as_u64().unwrap() * 4);
    assert_eq!(result["fallbacks"][0]["tensor"], "blk.0.ffn_down.weight");
    assert!(result["fallbacks"][0]["extra_bytes"].as_i64().unwrap() > 0);
    assert_eq!(result["tensors_by_type"]["F32"], 1);
    let bits = result["data_bytes"].as_f64().unwrap() * 8.0 / result["weights"].as_f64().unwrap();
    assert_eq!(result["bits_per_weight"], bits);
    assert!(json["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(json["warnings"], json!([]));
    assert_eq!(json["schema"], 1);
}

#[test]
fn options_choose_the_types() {
    let folder = folder();
    fs::write(folder.path("types.txt"), "attn_v=q5_0\nattn_=q4_1\n").unwrap();
    for (options, name, expected) in [
        ("", "output.weight", "Q6_K"),
        ("--pure", "output.weight", "Q4_K"),
        ("--leave-output-tensor", "output.weight", "F32"),
        ("--output-tensor-type q8_0", "output.weight", "Q8_0"),
        ("--token-embedding-type BF16", "token_embd.weight", "BF16"),
        ("--tensor-type attn_q=Q8_0", "blk.0.attn_q.weight", "Q8_0"),
        ("--tensor-type attn_q=Q8_0 --tensor-type attn=Q5_K", "blk.0.attn_v.weight", "Q5_K"),
        // the first that matches wins, a file's entries stand where it is named
        (
            "--tensor-type-file types.txt --tensor-type attn_v=q8_0 --allow-missing",
            "blk.0.attn_v.weight",
            "Q5_0",
        ),
        (
            "--tensor-type attn_v=q8_0 --tensor-type-file types.txt --allow-missing",
            "blk.0.attn_v.weight",
            "Q8_0",
        ),
        ("--tensor-type-file types.txt", "blk.0.attn_q.weight", "Q4_1"),
    ] {
        folder.run(&format!("convert model-F32.gguf -o out.gguf -t Q4_K_M --quiet {options}")).ok();
        assert_eq!(type_of(&folder, "out.gguf", name), expected, "{options}");
        fs::remove_file(folder.path("out.gguf")).unwrap();
    }
}

#[test]
fn options_change_metadata_and_blocks() {
    let folder = folder();
    folder
        .run(
            "convert model-F32.gguf -o out.gguf -t Q8_0 --override-kv a.b=int:7 --override-kv \
             general.name=str:New",
        )
        .ok();
    let json = folder.run("inspect out.gguf --json --metadata").json();
    let value = |key: &str| {
        let entries = json["metadata"].as_array().unwrap();
        entries.iter().find(|entry| entry["key"] == key).unwrap()["value"].clone()
    };
    assert_eq!((value("a.b"), value("general.name")), (json!(7), json!("New")));
    assert_eq!(value("general.file_type"), 7);
    write_split_set(&folder, "two", 2);
    folder.run("convert two-00001-of-00002.gguf -o cut.gguf -t COPY --prune-layers 0").ok();
    assert_eq!(
        types(&folder, "cut.gguf"),
        [("blk.0.attn_norm.weight".to_owned(), "F32".to_owned())]
    );
    // nothing would be left
    let all = folder.run("convert model-F32.gguf -o none.gguf -t Q8_0 --prune-layers 0");
    assert!(all.failure().contains("S016"));
}

#[test]
fn results_are_split_on_the_way() {
    let folder = folder();
    folder.run("convert model-F32.gguf -t Q4_K_M -o one.gguf --quiet").ok();
    let one = fs::read(folder.path("one.gguf")).unwrap();
    for (options, tensors) in [
        ("--split-max-tensors 2", &[2, 2, 2][..]),
        ("--split-max-size 40K", &[3, 1, 1, 1]),
        ("--split-max-tensors 4 --no-tensor-first-split", &[0, 4, 2]),
        ("--split-max-tensors 100", &[6]),
    ] {
        let text =
            folder.run(&format!("convert model-F32.gguf -t Q4_K_M --dry-run {options}")).ok();
        assert_eq!(text.contains(&format!("{} files", tensors.len())), tensors.len() > 1, "{text}");
        let line = format!("convert model-F32.gguf -t Q4_K_M -o s.gguf --json {options}");
        let json = folder.run(&line).json();
        let files = json["results"][0]["files"].as_array().unwrap();
        assert_eq!(files.len(), tensors.len(), "{options}");
        let name = |file: &Value| file["path"].as_str().unwrap().to_owned();
        for (number, (file, tensors)) in (1..).zip(files.iter().zip(tensors)) {
            let expected = match files.len() {
                1 => "s.gguf".to_owned(),
                count => format!("s-{number:05}-of-{count:05}.gguf"),
            };
            assert_eq!(name(file), expected, "{options}");
            let bytes = fs::read(folder.path(&name(file))).unwrap();
            let header = granule_format::Header::parse(&bytes).unwrap();
            assert_eq!(header.tensors().len(), *tensors, "{options}");
        }
        // together they are the same file
        let first = name(&files[0]);
        assert_eq!(folder.run(&format!("check --strict {first}")).status, 0, "{options}");
        folder.run(&format!("convert {first} -t COPY -o joined.gguf --quiet")).ok();
        assert!(fs::read(folder.path("joined.gguf")).unwrap() == one, "{options}");
        files.iter().for_each(|file| fs::remove_file(folder.path(&name(file))).unwrap());
    }
}

#[test]
fn parts_are_the_files_of_one_run() {
    let folder = folder();
    for part in ["whole", "parts"] {
        fs::create_dir(folder.path(part)).unwrap();
    }
    let line =
        |to: &str| format!("convert model-F32.gguf -t Q4_K_M --split-max-tensors 1 -o {to}/s.gguf");
    folder.run(&format!("{} --quiet", line("whole"))).ok();
    let list = folder.run(&format!("{} --part list --json", line("parts"))).json();
    let list = list["parts"].as_array().unwrap();
    assert_eq!(list.len(), 6);
    assert_eq!(folder.run(&format!("{} --part list", line("parts"))).ok().lines().count(), 8);
    // any order
    for part in ["3/4", "1/4", "4/4", "2/4"] {
        let whole = folder.run("check parts --strict --quiet").status;
        assert_ne!(whole, 0, "before part {part}");
        let ran = folder.run(&format!("{} --part {part} --verify", line("parts")));
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(ran.stderr.contains(&format!("part {part}: file")), "{ran:?}");
    }
    assert_eq!(folder.run("check parts --strict --quiet").status, 0);
    for part in list {
        let path = part["path"].as_str().unwrap();
        let bytes = fs::read(folder.path(path)).unwrap();
        let expected = fs::read(folder.path(&path.replace("parts/", "whole/"))).unwrap();
        assert!(bytes == expected, "{path}");
        assert_eq!(part["bytes"].as_u64(), Some(bytes.len() as u64));
    }
    let refused = |options: &str| folder.run(&format!("{} {options}", line("parts"))).failure();
    assert!(refused("--part 1/7").contains("at most as many parts"));
    assert!(refused("--part 0/2").contains("NUMBER/COUNT"));
    let two = "convert model-F32.gguf -t F16 -t Q8_0 --split-max-tensors 1 -o parts --part 1/2";
    assert!(folder.run(two).failure().contains("one type"));
    assert!(folder.run("check whole/none --quiet").status == 2);
}

/// A folder with a model, a plan for three files, an empty folder for them, and a file to compare.
#[cfg(unix)]
fn planned() -> Folder {
    let folder = folder();
    folder.run("convert model-F32.gguf -t Q8_0 -o whole.gguf -q").ok();
    let plan = "convert model-F32.gguf -t Q8_0 --split-max-tensors 2 --dry-run --json";
    folder.write("plan.json", folder.run(plan).ok().into_bytes());
    fs::create_dir(folder.path("out")).unwrap();
    folder
}

/// Runs a script and looks at the files in `out`.
#[cfg(unix)]
fn writes_the_parts(folder: &Folder, script: &str, variables: &[(&str, String)], is_last: bool) {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-ec", script]).current_dir(folder.path(""));
    let path = std::env::var("PATH").unwrap();
    shell.env("PATH", format!("{}:{path}", folder.path("bin").display()));
    shell.envs(variables.iter().map(|(name, value)| (name, value)));
    assert!(shell.status().unwrap().success(), "{script}");
    if is_last {
        folder.run("check out --strict").ok();
        folder.run("convert out/model-00001-of-00003.gguf -t COPY -o joined.gguf -q").ok();
        let read = |name: &str| fs::read(folder.path(name)).unwrap();
        assert!(read("joined.gguf") == read("whole.gguf"));
    }
}

/// The lines of a block of docs/scale.md in which the first words are, with this program and model.
#[cfg(unix)]
fn example(words: &str) -> String {
    let page = include_str!("../../../../docs/scale.md");
    let block = page.split("\n\n").find(|block| block.contains(words)).unwrap();
    let lines: Vec<&str> =
        block.lines().skip_while(|line| !line.starts_with(' ')).map(str::trim).collect();
    lines
        .join("\n")
        .replace("MODEL", "model-F32.gguf")
        .replace("granule", env!("CARGO_BIN_EXE_granule"))
}

#[cfg(unix)]
#[test]
fn xargs_writes_the_parts() {
    let line = example("| xargs -P").replace("seq 16", "seq 3").replace("/16", "/3");
    writes_the_parts(&planned(), &line, &[], true);
}

/// GNU parallel takes the place of xargs; where it is not installed, a script hands on the numbers.
#[cfg(unix)]
#[test]
fn parallel_writes_the_parts() {
    let line = example("| parallel").replace("seq 16", "seq 3").replace("/16", "/3");
    let folder = planned();
    let has_parallel = std::process::Command::new("parallel").arg("--version").output();
    if !has_parallel.is_ok_and(|found| found.stdout.starts_with(b"GNU parallel")) {
        println!("GNU parallel is not installed: a script takes its place");
        fs::create_dir(folder.path("bin")).unwrap();
        let script = "#!/bin/sh\nshift 2\nexec xargs -P 2 -I{} \"$@\"\n";
        executable(&folder, "bin/parallel", script);
    }
    writes_the_parts(&folder, &line, &[], true);
}

/// The script of docs/scale.md, once for each number of the array, as Slurm does.
#[cfg(unix)]
#[test]
fn an_array_of_slurm_jobs_writes_the_parts() {
    let script = example("#SBATCH --array");
    assert!(script.starts_with("#!/bin/sh\n"), "{script}");
    let folder = planned();
    fs::create_dir(folder.path("bin")).unwrap();
    executable(&folder, "bin/srun", "#!/bin/sh\nexec \"$@\"\n");
    for task in [2, 3, 1] {
        let variables = [
            ("MODEL", "model-F32.gguf".to_owned()),
            ("OUT", "out".to_owned()),
            ("SLURM_ARRAY_TASK_ID", task.to_string()),
            ("SLURM_ARRAY_TASK_COUNT", "3".to_owned()),
            ("SLURM_CPUS_PER_TASK", "1".to_owned()),
        ];
        let script = script.replace("$model-F32.gguf", "$MODEL");
        writes_the_parts(&folder, &script, &variables, task == 1);
    }
}

#[cfg(unix)]
fn executable(folder: &Folder, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    folder.write(name, script);
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(name), mode).unwrap();
}

#[test]
fn a_split_set_stays_one_if_wanted() {
    let folder = Folder::new();
    write_split_set(&folder, "set", 3);
    folder.run("convert set-00002-of-00003.gguf -t COPY --keep-split -o out.gguf --quiet").ok();
    let json = folder.run("inspect out-00001-of-00003.gguf --json").json();
    assert_eq!(json["files"].as_array().unwrap().len(), 3);
    folder.run("convert set-00002-of-00003.gguf -t COPY -o one.gguf --quiet").ok();
    let json = folder.run("inspect one.gguf --json").json();
    assert_eq!(json["files"].as_array().unwrap().len(), 1);
    assert_eq!(json["tensors"].as_array().unwrap().len(), 3);
}

#[test]
fn a_dry_run_writes_nothing_and_its_plan_can_be_run() {
    let folder = folder();
    let text = folder.run("convert model-F32.gguf -t Q4_K_M --dry-run").ok();
    assert_golden("dry_run.txt", &text);
    let plan = folder.run("convert model-F32.gguf -t Q4_K_M --dry-run --json").ok();
    assert_eq!(folder.names(), ["model-F32.gguf"]);
    folder.write("plan.json", plan.replace("\"Q6_K\"", "\"Q5_K\""));
    folder.run("convert model-F32.gguf --plan plan.json -o planned.gguf").ok();
    assert_eq!(type_of(&folder, "planned.gguf", "output.weight"), "Q5_K");
    folder.write("plan.json", "{}");
    let message = folder.run("convert model-F32.gguf --plan plan.json").failure();
    assert!(message.contains("plan.json") && message.contains("not a saved plan"), "{message}");
}

#[test]
fn a_dry_run_tells_every_problem() {
    let folder = folder();
    let ran = folder.run("convert model-F32.gguf -t IQ2_XXS --tensor-type nothing=q8_0 --dry-run");
    assert_eq!(ran.status, 2);
    assert!(ran.stdout.contains("token_embd.weight"), "{ran:?}");
    assert!(ran.stderr.contains("--imatrix") && ran.stderr.contains("nothing"), "{ran:?}");
}

#[test]
fn an_unknown_architecture_is_a_warning() {
    let folder = Folder::new();
    let mut draft =
        Draft::new(one_entry("general.architecture", "new\x1b[31m"), Endian::Little).unwrap();
    draft.add("a.weight", shape(&[32, 4]), BlockType::F32.into()).unwrap();
    folder.write("new.gguf", write_with(draft, |_| {}));
    let ran = folder.run("convert new.gguf -t Q4_0");
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stderr.starts_with("granule: warning: "), "{ran:?}");
    assert!(ran.stderr.contains("architecture") && !ran.stderr.contains('\x1b'), "{ran:?}");
    // no bar where standard error is no terminal; nothing at all if quiet
    assert!(!ran.stderr.contains('%'), "{ran:?}");
    assert_eq!(folder.run("convert new.gguf -t Q4_0 --quiet").ok(), "");
}
