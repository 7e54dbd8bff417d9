//! Paths of outputs and inputs that are not what one expects: devices, FIFOs, links, the cache of
//! the hub.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{Folder, Ran, model, write_split_set};

/// A folder with a model, a folder, a FIFO and a socket.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("model.gguf", model());
    fs::create_dir(folder.path("folder")).unwrap();
    make_fifo(&folder.path("fifo"));
    drop(UnixListener::bind(folder.path("socket")).unwrap());
    folder
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

fn checkpoint() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints/llama2-spm-256")
}

/// A copy of a checkpoint as a folder in the folder.
fn copy_checkpoint(to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(checkpoint()).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Run the program; it must end soon.
#[track_caller]
fn run(folder: &Folder, line: &str) -> Ran {
    let mut command = folder.command(line);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("`{line}` hangs");
        }
        sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    Ran { status: output.status.code().unwrap(), stdout, stderr }
}

#[track_caller]
fn refused(folder: &Folder, line: &str, expected: &str) {
    let message = run(folder, line).failure();
    assert!(message.contains(expected), "`{line}`: {message}");
}

#[test]
fn outputs_that_no_file_can_replace() {
    let folder = folder();
    symlink("fifo", folder.path("to fifo")).unwrap();
    symlink("fifo", folder.path("link.gguf")).unwrap();
    let before = folder.names();
    for (output, expected) in [
        ("fifo", "fifo: this is a FIFO (pipe), which a file cannot replace; give another name"),
        ("socket", "socket: this is a socket, which a file cannot replace"),
        ("link.gguf", "link.gguf: this leads to fifo, a FIFO (pipe), which a file cannot replace"),
        ("-", "-: cannot write to standard output"),
        ("newdir/", "newdir/: the folder newdir does not exist; create it first"),
        ("newdir/out.gguf", "the folder newdir does not exist; create it first"),
        ("model.gguf/out.gguf", "model.gguf is a file, not a folder"),
        ("fifo/out.gguf", "fifo is a FIFO (pipe), not a folder"),
    ] {
        refused(&folder, &format!("convert model.gguf -t Q8_0 -o {output}"), expected);
        refused(&folder, &format!("quantize model.gguf {output} Q8_0"), expected);
        refused(&folder, &format!("convert model.gguf -t Q8_0 --dry-run -o {output}"), expected);
        assert_eq!(folder.names(), before);
    }
    // also where the name is made up: several types, a split set, temporary files
    make_fifo(&folder.path("folder/model-Q8_0.gguf"));
    refused(&folder, "convert model.gguf -t F16 -t Q8_0 -o folder", "this is a FIFO");
    make_fifo(&folder.path("out-00002-of-00006.gguf"));
    refused(
        &folder,
        "convert model.gguf -t F16 -o out.gguf --split-max-tensors 1",
        "out-00002-of-00006.gguf: this is a FIFO",
    );
    for hidden in [".a.gguf.part", ".a.gguf.resume"] {
        make_fifo(&folder.path(hidden));
        refused(&folder, "convert model.gguf -t F16 -o a.gguf", hidden);
        fs::remove_file(folder.path(hidden)).unwrap();
    }
    assert_eq!(fs::read_dir(folder.path("folder")).unwrap().count(), 1);
    for name in ["fifo", "to fifo", "folder/model-Q8_0.gguf", "out-00002-of-00006.gguf"] {
        assert!(!fs::metadata(folder.path(name)).unwrap().is_file(), "{name} was replaced");
    }
}

#[test]
fn exports_to_what_no_file_can_replace() {
    let folder = folder();
    symlink("nowhere", folder.path("dangling")).unwrap();
    for (output, expected) in [
        ("fifo", "fifo is a FIFO (pipe), not a folder"),
        ("model.gguf", "model.gguf is a file, not a folder"),
        ("socket/new", "socket is a socket, not a folder"),
        ("dangling", "dangling is a symbolic link that leads nowhere"),
    ] {
        refused(&folder, &format!("export model.gguf -o {output} --plain"), expected);
    }
    make_fifo(&folder.path("folder/config.json"));
    refused(
        &folder,
        "export model.gguf -o folder",
        "config.json: this is a FIFO (pipe), not a file",
    );
    fs::create_dir(folder.path("other")).unwrap();
    let hidden = ".model-00002-of-00002.safetensors.part";
    make_fifo(&folder.path("other").join(hidden));
    refused(&folder, "export model.gguf -o other --plain --dry-run", hidden);
    refused(&folder, "export model.gguf -o other --plain", hidden);
    assert_eq!(fs::read_dir(folder.path("other")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(folder.path("folder")).unwrap().count(), 1);
}

#[test]
fn inputs_that_are_no_files() {
    let folder = folder();
    symlink("fifo", folder.path("link.gguf")).unwrap();
    copy_checkpoint(&folder.path("ck"));
    for (line, expected) in [
        ("convert fifo -t Q8_0 -o o.gguf", "fifo: this is a FIFO (pipe), not a file"),
        ("convert link.gguf -t Q8_0 -o o.gguf", "link.gguf: this is a FIFO (pipe), not a file"),
        ("convert socket -t Q8_0 -o o.gguf", "socket: this is a socket, not a file"),
        ("convert model.gguf -t Q8_0 -o o.gguf --imatrix fifo", "fifo: this is a FIFO"),
        ("convert model.gguf -t Q8_0 -o o.gguf --imatrix folder", "folder: this is a directory"),
        ("convert model.gguf -o o.gguf --plan fifo", "fifo: this is a FIFO"),
        ("convert ck -t Q8_0 -o o.gguf --arch fifo", "fifo: this is a FIFO"),
        ("convert ck -t Q8_0 -o o.gguf --metadata socket", "socket: this is a socket"),
        ("inspect fifo", "fifo: this is a FIFO"),
        ("export fifo -o new", "fifo: this is a FIFO"),
        ("export model.gguf -o new --config fifo", "fifo: this is a FIFO"),
        ("export model.gguf -o new --arch fifo", "fifo: this is a FIFO"),
    ] {
        refused(&folder, line, expected);
    }
    let ran = run(&folder, "convert model.gguf -t Q8_0 -o o.gguf --tensor-type-file fifo");
    assert!(ran.status == 2 && ran.stderr.contains("fifo: this is a FIFO"), "{ran:?}");
    let ran = run(&folder, "check fifo");
    assert!(ran.status == 2 && format!("{ran:?}").contains("fifo: this is a FIFO"), "{ran:?}");
    for name in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
        "chat_template.jinja",
        "added_tokens.json",
        "model.safetensors",
        "model.safetensors.index.json",
    ] {
        copy_checkpoint(&folder.path("ck"));
        let path = folder.path("ck").join(name);
        let _ = fs::remove_file(&path);
        make_fifo(&path);
        let expected = format!("{name}: this is a FIFO (pipe), not a file");
        refused(&folder, "convert ck -t Q8_0 -o o.gguf", &expected);
        fs::remove_file(&path).unwrap();
    }
    let names = folder.names();
    assert!(!names.iter().any(|name| name == "o.gguf" || name == "new"), "{names:?}");
    // a model card is no reason to fail
    copy_checkpoint(&folder.path("ck"));
    let card = folder.path("ck/README.md");
    let _ = fs::remove_file(&card);
    make_fifo(&card);
    let ran = run(&folder, "convert ck -t Q8_0 -o o.gguf");
    assert!(ran.status == 0 && ran.stderr.contains("README.md: this is a FIFO"), "{ran:?}");
}

#[test]
fn outputs_that_are_inputs() {
    let folder = folder();
    copy_checkpoint(&folder.path("ck"));
    write_split_set(&folder, "set", 2);
    folder.write("arch.toml", "name = 'x'");
    fs::hard_link(folder.path("model.gguf"), folder.path("hard.gguf")).unwrap();
    symlink("model.gguf", folder.path("link.gguf")).unwrap();
    symlink("ck/config.json", folder.path("config link")).unwrap();
    let types = "ffn=Q4_0";
    folder.write("types.txt", types);
    for line in [
        "convert model.gguf -t Q8_0 -o hard.gguf",
        "convert model.gguf -t Q8_0 -o link.gguf",
        "convert link.gguf -t Q8_0 -o folder/../model.gguf",
        "convert set-00001-of-00002.gguf -t F16 -o set-00002-of-00002.gguf",
        "convert ck -t Q8_0 -o ck/config.json",
        "convert ck -t Q8_0 -o ck/tokenizer.model",
        "convert ck -t Q8_0 -o ck/model.safetensors",
        "convert model.gguf -t Q8_0 -o types.txt --tensor-type-file types.txt",
    ] {
        let line = format!("{line} -q");
        refused(&folder, &line, "the output is also an input; give another name");
    }
    let mut command = folder.command("convert ck -t Q8_0 -o");
    let output = command.arg("config link").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    // what is in the place of a temporary file is no leftover if it is an input
    fs::copy(folder.path("model.gguf"), folder.path(".out.gguf.part")).unwrap();
    refused(&folder, "convert .out.gguf.part -t Q8_0 -o out.gguf", "name of a temporary file");
    assert_eq!(fs::read(folder.path("model.gguf")).unwrap(), model());
    assert_eq!(fs::read(folder.path("types.txt")).unwrap(), types.as_bytes());
    let same = |name: &str| fs::read(folder.path("ck").join(name)).unwrap();
    assert_eq!(same("config.json"), fs::read(checkpoint().join("config.json")).unwrap());
    // a GGUF file next to the checkpoint is an output of before
    for _ in 0..2 {
        assert_eq!(folder.run("convert ck -t Q8_0 -o ck/out.gguf -q").status, 0);
        assert_eq!(folder.run("convert ck -t Q8_0 -o ck/out -q").status, 0);
    }
}

#[test]
fn links_stay_and_their_targets_are_replaced() {
    let folder = folder();
    folder.run("convert model.gguf -t Q8_0 -o expected.gguf -q").ok();
    let expected = fs::read(folder.path("expected.gguf")).unwrap();
    folder.write("folder/real.gguf", "old");
    symlink("folder/real.gguf", folder.path("link.gguf")).unwrap();
    symlink("link.gguf", folder.path("to link.gguf")).unwrap();
    symlink("folder/new.gguf", folder.path("dangling.gguf")).unwrap();
    symlink("folder/split.gguf", folder.path("s-00002-of-00002.gguf")).unwrap();
    for (link, real) in [
        ("link.gguf", "folder/real.gguf"),
        ("to link.gguf", "folder/real.gguf"),
        ("dangling.gguf", "folder/new.gguf"),
    ] {
        folder.write("folder/real.gguf", "old");
        let mut command = folder.command("convert model.gguf -t Q8_0 -q -o");
        assert!(command.arg(link).status().unwrap().success());
        assert!(fs::symlink_metadata(folder.path(link)).unwrap().is_symlink(), "{link}");
        let about = fs::symlink_metadata(folder.path(real)).unwrap();
        assert!(about.is_file() && fs::read(folder.path(real)).unwrap() == expected, "{link}");
    }
    folder.run("convert model.gguf -t Q8_0 -o s.gguf --split-max-tensors 3 -q").ok();
    assert!(fs::symlink_metadata(folder.path("s-00002-of-00002.gguf")).unwrap().is_symlink());
    assert!(folder.path("folder/split.gguf").is_file());
    // two outputs that lead to one file
    fs::create_dir(folder.path("both")).unwrap();
    for name in ["model-F16.gguf", "model-Q8_0.gguf"] {
        symlink("../folder/one.gguf", folder.path("both").join(name)).unwrap();
    }
    refused(&folder, "convert model.gguf -t F16 -t Q8_0 -o both", "two outputs would be this file");
    assert!(!folder.path("folder/one.gguf").exists());
}

#[test]
fn a_replaced_file_keeps_its_mode() {
    let folder = folder();
    let mode = |name: &str| fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777;
    symlink("out.gguf", folder.path("link.gguf")).unwrap();
    for wanted in [0o600, 0o640, 0o444, 0o664, 0o700] {
        for output in ["out.gguf", "link.gguf"] {
            folder.write("out.gguf", "old");
            fs::set_permissions(folder.path("out.gguf"), Permissions::from_mode(wanted)).unwrap();
            folder.run(&format!("convert model.gguf -t Q8_0 -o {output} -q")).ok();
            assert_eq!(mode("out.gguf"), wanted, "{wanted:o} {output}");
            fs::remove_file(folder.path("out.gguf")).unwrap();
        }
    }
    // a new file has what the user's mask leaves, as other files do
    folder.write("other", "");
    folder.run("convert model.gguf -t Q8_0 -o new.gguf -q").ok();
    assert_eq!(mode("new.gguf"), mode("other"));
}

#[test]
fn folders_that_cannot_be_written_to() {
    let folder = folder();
    copy_checkpoint(&folder.path("ck"));
    fs::set_permissions(folder.path("ck"), Permissions::from_mode(0o555)).unwrap();
    if fs::write(folder.path("ck/probe"), "").is_ok() {
        println!("skipped: this user can write everywhere");
        return;
    }
    let message = folder.run("convert ck -t Q8_0").failure();
    assert!(message.contains("cannot write to the folder") && message.contains("-o"));
    assert_eq!(message.lines().count(), 1, "{message}");
    fs::set_permissions(folder.path("ck"), Permissions::from_mode(0o755)).unwrap();
}

/// The cache of the hub: the folder of a commit has links into `blobs`.
#[test]
fn nothing_is_written_to_the_cache_of_the_hub() {
    let folder = Folder::new();
    let repository = folder.path("hub/models--org--Tiny-1B");
    let commit = repository.join("snapshots/0123456789abcdef0123456789abcdef01234567");
    for name in ["blobs", "refs"] {
        fs::create_dir_all(repository.join(name)).unwrap();
    }
    fs::create_dir_all(&commit).unwrap();
    copy_checkpoint(&folder.path("ck"));
    fs::write(folder.path("ck/model.gguf"), model()).unwrap();
    for (number, entry) in fs::read_dir(folder.path("ck")).unwrap().enumerate() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), repository.join(format!("blobs/{number}"))).unwrap();
        symlink(format!("../../blobs/{number}"), commit.join(entry.file_name())).unwrap();
    }
    let all = || {
        let mut names = Vec::new();
        for folder in [&repository.join("blobs"), &commit, &repository] {
            names.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
        }
        names.sort();
        names
    };
    let before = all();
    let path = commit.strip_prefix(folder.path("")).unwrap().display().to_string();
    folder.run(&format!("convert {path} -t Q8_0 -q")).ok();
    folder.run(&format!("convert {path} --outtype f16 -q")).ok();
    folder.run(&format!("convert {path}/model.gguf -t Q8_0 -q")).ok();
    assert_eq!(all(), before);
    let names = ["Tiny-1B-F16.gguf", "Tiny-1B-Q8_0.gguf", "ck", "hub", "model-Q8_0.gguf"];
    assert_eq!(folder.names(), names);
    // the name of the file changes nothing in it
    folder.run(&format!("convert {path} -t Q8_0 -q -o named.gguf")).ok();
    let bytes = |name: &str| fs::read(folder.path(name)).unwrap();
    assert!(bytes("named.gguf") == bytes("Tiny-1B-Q8_0.gguf"));
    let header = bytes("named.gguf");
    assert!(header.windows(8).any(|bytes| bytes == b"01234567"), "general.name is the reference's");
}

#[test]
fn what_does_not_verify_replaces_nothing() {
    let folder = folder();
    let before = folder.run("convert model.gguf -t Q8_0 -o out.gguf --verify").ok();
    assert!(before.contains("verified: "), "{before}");
    let json = folder.run("convert model.gguf -t Q8_0 -o out.gguf --verify --json").json();
    assert_eq!(json["verified"]["tensors"], 6);
}
