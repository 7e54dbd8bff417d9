//! Conversions of GGUF files that are refused: what is said, and that nothing is written.

use std::fs;

use granule_format::{BlockType, Draft, Endian};

use crate::common::{Folder, matrix, model, one_entry, shape, write_split_set, write_with};

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("model-F32.gguf", model());
    folder
}

#[test]
fn failures_before_any_work() {
    let folder = folder();
    folder.run("convert model-F32.gguf -o q.gguf -t Q4_0").ok();
    folder.write("noise.gguf", "noise and more noise");
    fs::create_dir(folder.path("folder")).unwrap();
    let before = folder.names();
    for (line, parts) in [
        ("missing.gguf -t Q4_0", &["missing.gguf", "No such file"][..]),
        ("noise.gguf -t Q4_0", &["noise.gguf", "not a GGUF file"]),
        ("model-F32.gguf -t F32", &["model-F32.gguf", "output is also an input"]),
        ("model-F32.gguf -t Q4_0 -o ./folder/../model-F32.gguf", &["output is also an input"]),
        ("model-F32.gguf -t Q4_0 -o nowhere/a.gguf", &["nowhere", "does not exist"]),
        ("q.gguf -t Q8_0 -o a.gguf", &["already quantized", "--allow-requantize"]),
        ("model-F32.gguf -t Q4_K_M -o a.gguf --no-fallback", &["ffn_down", "320", "--no-fallback"]),
        (
            "model-F32.gguf -t Q4_0 -o a.gguf --tensor-type nothing=q8_0",
            &["nothing", "--allow-missing"],
        ),
        ("model-F32.gguf -t Q4_0 -o a.gguf --imatrix none.gguf", &["none.gguf", "No such file"]),
        ("model-F32.gguf -t Q4_0 -o a.gguf --imatrix noise.gguf", &["noise.gguf"]),
        ("model-F32.gguf --plan none.json", &["none.json", "No such file"]),
    ] {
        let message = folder.run(&format!("convert {line}")).failure();
        for part in parts {
            assert!(message.contains(part), "{part:?} in {message:?}");
        }
        assert_eq!(folder.names(), before, "{line}");
    }
    folder.run("convert q.gguf -t Q8_0 -o a.gguf --allow-requantize").ok();
}

#[test]
fn wrong_values_of_options_are_wrong_usage() {
    let folder = folder();
    folder.write("bad.txt", "attn=q8_0 attn");
    for options in [
        "--tensor-type attn",
        "--tensor-type a(=q8_0",
        "--tensor-type-file bad.txt",
        "--tensor-type-file none.txt",
        "--output-tensor-type q9",
        "--prune-layers 1-2",
        "--override-kv a=b",
        "--threads many",
        "--include-weights a --exclude-weights b",
        "--split-max-size 0",
        "--split-max-size 1.5G",
        "--split-max-tensors 0",
        "--split-max-tensors 2 --keep-split",
        "--resume --dry-run",
        "--tensor-type a=q8_1",
        "--override-kv a=int:1.5",
    ] {
        let ran = folder.run(&format!("convert model-F32.gguf -o a.gguf -t Q4_0 {options}"));
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{options}: {ran:?}");
        assert!(ran.stderr.starts_with("granule: error: "), "{options}: {ran:?}");
    }
    assert!(!folder.path("a.gguf").exists());
}

#[test]
fn importance_matrices_that_do_not_fit() {
    let folder = folder();
    let (q, v, down) = ("blk.0.attn_q.weight", "blk.0.attn_v.weight", "blk.0.ffn_down.weight");
    let all = [(q, 256, 1.0), (v, 256, 2.0), (down, 320, 3.0)];
    folder.write("all.dat", matrix(&all));
    folder.write("short.dat", matrix(&[(q, 128, 1.0), all[1], all[2]]));
    folder.write("lacks.dat", matrix(&all[..1]));
    folder.write("rest.dat", matrix(&all[1..]));
    folder.write("nan.dat", matrix(&[(q, 256, f32::NAN)]));
    folder.write("below.dat", matrix(&[(q, 256, -1.0)]));
    let zero = [all[0], (v, 256, 0.0), all[2]];
    folder.write("zero.dat", matrix(&zero));
    folder.write("none.dat", matrix(&[]));
    folder.write("cut.dat", &matrix(&all)[..1000]);
    folder.write("another.gguf", model());
    for (line, parts) in [
        ("-t Q4_K_M --imatrix short.dat", &["128 weights", q, "256"][..]),
        (
            "-t Q4_K_M --imatrix lacks.dat",
            &["no entry for \"blk", "tensors affected: 1", v, "--allow-missing"],
        ),
        ("-t IQ2_XXS --imatrix rest.dat --allow-missing", &["no entry", "needs one", q]),
        ("-t IQ2_XXS --imatrix all.dat --exclude-weights attn_q", &["no entry", "needs one", q]),
        ("-t Q4_K_M --imatrix nan.dat", &["nan.dat", q, "not finite"]),
        ("-t Q4_K_M --imatrix below.dat", &["below.dat", q, "negative"]),
        ("-t Q4_K_M --imatrix zero.dat", &["only zeros", v, "--allow-missing"]),
        ("-t Q4_K_M --imatrix none.dat", &["none.dat", "no entries"]),
        ("-t Q4_K_M --imatrix cut.dat", &["cut.dat", "cannot be read at byte"]),
        ("-t Q4_K_M --imatrix another.gguf", &["another.gguf", "imatrix.datasets"]),
    ] {
        let message = folder.run(&format!("convert model-F32.gguf -o out.gguf {line}")).failure();
        for part in parts {
            assert!(message.contains(part), "{line}: {part:?} in {message:?}");
        }
        assert!(!folder.path("out.gguf").exists(), "{line}");
    }
    let q4 = "convert model-F32.gguf -t Q4_K_M --quiet --allow-missing --imatrix";
    folder.write("ones.dat", matrix(&[all[0], (v, 256, 1.0), all[2]]));
    for name in ["ones", "zero"] {
        folder.run(&format!("{q4} {name}.dat -o {name}.gguf")).ok();
    }
    let read = |name: &str| fs::read(folder.path(name)).unwrap();
    let [ones, zero] = ["ones.gguf", "zero.gguf"].map(read);
    // the names of the matrices are in the metadata, equally long
    assert!(
        ones.len() == zero.len() && ones.ends_with(&zero[zero.len() / 2..]),
        "not equal weights"
    );
    folder.run("convert model-F32.gguf -o out.gguf -t IQ2_XXS --imatrix all.dat --quiet").ok();
    let json = folder.run("inspect out.gguf --json --metadata").json();
    let entries = json["metadata"].as_array().unwrap();
    let value = |key: &str| &entries.iter().find(|entry| entry["key"] == key).unwrap()["value"];
    assert_eq!(value("quantize.imatrix.file"), "all.dat");
    assert_eq!(value("quantize.imatrix.entries_count"), 3);
}

#[test]
fn sources_and_plans_that_do_not_fit() {
    let folder = folder();
    let whole = fs::read(folder.path("model-F32.gguf")).unwrap();
    folder.write("cut.gguf", &whole[..whole.len() - 4096]);
    folder.write("head.gguf", &whole[..100]);
    let draft = Draft::new(one_entry("general.architecture", "llama"), Endian::Little).unwrap();
    folder.write("empty.gguf", write_with(draft, |_| {}));
    write_split_set(&folder, "set", 3);
    fs::remove_file(folder.path("set-00002-of-00003.gguf")).unwrap();
    folder.write("plan.json", folder.run("convert model-F32.gguf -t Q4_0 --dry-run --json").ok());
    folder.write("noise.json", "{}");
    for (line, parts) in [
        ("cut.gguf -t Q4_0", &["cut.gguf"][..]),
        ("head.gguf -t Q4_0", &["head.gguf"]),
        ("set-00001-of-00003.gguf -t Q4_0", &["set-00002-of-00003.gguf"]),
        ("empty.gguf --plan plan.json", &["plan.json", "another source"]),
        ("model-F32.gguf --plan noise.json", &["noise.json", "not a saved plan"]),
        (
            "model-F32.gguf -t Q4_0 --override-kv general.alignment=int:48",
            &["general.alignment", "power of two"],
        ),
        ("model-F32.gguf -t Q1_0", &["ffn_down", "320", "--tensor-type"]),
    ] {
        let message = folder.run(&format!("convert {line} -o out.gguf")).failure();
        for part in parts {
            assert!(message.contains(part), "{line}: {part:?} in {message:?}");
        }
        assert!(!folder.path("out.gguf").exists(), "{line}");
    }
    // no tensors: no error
    folder.run("convert empty.gguf -t Q4_0 -o out.gguf --quiet").ok();
}

#[test]
fn bad_values_leave_the_old_file_as_it_was() {
    let folder = Folder::new();
    let mut draft = Draft::new(one_entry("general.architecture", "new"), Endian::Little).unwrap();
    draft.add("a.weight", shape(&[32, 4]), BlockType::F32.into()).unwrap();
    let file =
        write_with(draft, |bytes| bytes[4 * 70..][..4].copy_from_slice(&f32::NAN.to_le_bytes()));
    folder.write("bad.gguf", file);
    folder.write("out.gguf", "precious");
    let message = folder.run("convert bad.gguf -t Q4_0 -o out.gguf --quiet").failure();
    assert!(message.contains("a.weight") && message.contains("NaN"), "{message}");
    assert_eq!(fs::read(folder.path("out.gguf")).unwrap(), b"precious");
    assert_eq!(folder.names(), ["bad.gguf", "out.gguf"]);
}

#[cfg(unix)]
#[test]
fn files_that_cannot_be_read_or_written() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    fs::create_dir(folder.path("locked")).unwrap();
    fs::set_permissions(folder.path("locked"), fs::Permissions::from_mode(0o555)).unwrap();
    fs::write(folder.path("secret.gguf"), model()).unwrap();
    fs::set_permissions(folder.path("secret.gguf"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(folder.path("secret.gguf")).is_ok() {
        return; // the superuser may do everything
    }
    let message = folder.run("convert model-F32.gguf -t Q4_0 -o locked/a.gguf").failure();
    assert!(
        message.contains("locked/a.gguf") && message.contains("Permission denied"),
        "{message}"
    );
    let message = folder.run("convert secret.gguf -t Q4_0").failure();
    assert!(message.contains("secret.gguf") && message.contains("Permission denied"), "{message}");
}
