//! Runs of `granule convert` that are killed, interrupted or run out of disk.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/common.rs"]
mod common;

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{Folder, one_entry, shape, write_with};
use granule_format::{BlockType, Draft, Endian};

/// How often the program is killed, unless `GRANULE_KILLS` says another number.
const KILLS: u32 = 8;

const COMMAND: &str = "convert model.gguf -t Q2_K -o out.gguf -j 1 --json";

/// A folder with a model of 24 tensors, 12 MB in all, that takes a moment to encode.
fn folder() -> Folder {
    let folder = Folder::new();
    let mut metadata = one_entry("general.architecture", "llama");
    metadata.set("llama.block_count", 24_u32);
    let mut draft = Draft::new(metadata, Endian::Little).unwrap();
    for block in 0..24 {
        let name = format!("blk.{block}.ffn_up.weight");
        draft.add(&name, shape(&[256, 512]), BlockType::F32.into()).unwrap();
    }
    let mut state = 1_u32;
    let file = write_with(draft, |bytes| {
        for value in bytes.chunks_exact_mut(4) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            value.copy_from_slice(&((state >> 8) as f32 / 16_777_216.0 - 0.5).to_le_bytes());
        }
    });
    folder.write("model.gguf", file);
    folder
}

/// The file that a run makes that nothing happens to, and how long it takes.
fn undisturbed() -> (Vec<u8>, Duration) {
    let folder = folder();
    let begin = Instant::now();
    let ran = folder.run(COMMAND);
    assert_eq!(ran.status, 0, "{ran:?}");
    (fs::read(folder.path("out.gguf")).unwrap(), begin.elapsed())
}

fn start(folder: &Folder) -> Child {
    let mut command = folder.command(COMMAND);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Wait until the file exists or the program ends.
fn wait_for(folder: &Folder, name: &str, child: &mut Child) {
    // a file that is just made is empty for a moment
    let is_there = || fs::metadata(folder.path(name)).is_ok_and(|about| about.len() > 0);
    while !is_there() && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(1));
    }
}

/// Continue, and compare with what is expected; the number of tensors that did not have to be done
/// again.
#[track_caller]
fn resume(folder: &Folder, expected: &[u8]) -> u64 {
    let ran = folder.run(COMMAND);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(fs::read(folder.path("out.gguf")).unwrap() == expected, "other bytes");
    assert_eq!(folder.names(), ["model.gguf", "out.gguf"]);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let resumed = json["tensors_resumed"].as_u64().unwrap();
    let said = format!("granule: continuing: {resumed} of 24 tensors are complete\n");
    assert_eq!(ran.stderr, if resumed > 0 { said } else { ran.stderr.clone() });
    resumed
}

#[test]
fn killed_at_random_moments() {
    let (expected, time) = undisturbed();
    let kills = std::env::var("GRANULE_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let folder = folder();
    let mut resumed = 0;
    for kill in 0..kills {
        let old = kill % 2 == 0;
        let _ = fs::remove_file(folder.path("out.gguf"));
        if old {
            folder.write("out.gguf", "old");
        }
        let mut child = start(&folder);
        let random = RandomState::new().hash_one(kill) % 1000;
        sleep(time.mul_f64(random as f64 / 1000.0));
        child.kill().unwrap();
        child.wait().unwrap();
        match fs::read(folder.path("out.gguf")) {
            Ok(bytes) => assert!(bytes == expected || old && bytes == b"old", "a partial file"),
            Err(_) => assert!(!old, "the old file is gone"),
        }
        resumed += u32::from(resume(&folder, &expected) > 0);
    }
    println!("{kills} kills in {time:?}, {resumed} left complete tensors");
}

#[test]
fn what_the_journal_names_is_not_done_again() {
    let (expected, _) = undisturbed();
    let folder = folder();
    let mut child = start(&folder);
    wait_for(&folder, ".out.gguf.resume", &mut child);
    // until the line is written that it begins with
    sleep(Duration::from_millis(20));
    child.kill().unwrap();
    let finished = child.wait().unwrap().success();
    let resumed = resume(&folder, &expected);
    assert!(resumed > 0 || finished, "nothing was taken over");
}

/// Send a signal.
fn send(child: &Child, signal: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

#[test]
fn signals_end_a_run_in_good_order() {
    let (expected, _) = undisturbed();
    for (signal, status) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        if signal == "-HUP" && cfg!(not(target_os = "linux")) {
            continue;
        }
        let folder = folder();
        let mut child = start(&folder);
        wait_for(&folder, ".out.gguf.resume", &mut child);
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            continue; // it was faster
        }
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{signal}: {message}");
        assert!(message.contains("interrupted; run the same command again"), "{message}");
        assert!(!folder.path("out.gguf").exists());
        assert!(resume(&folder, &expected) > 0, "{signal}");
    }
}

#[test]
fn signals_that_are_ignored_stay_ignored() {
    let (expected, _) = undisturbed();
    for signal in ["HUP", "INT"] {
        if cfg!(not(target_os = "linux")) {
            return;
        }
        let folder = folder();
        let mut command = Command::new("sh");
        let text = format!("trap '' {signal}; exec $GRANULE {COMMAND}");
        command.args(["-c", &text]).env("GRANULE", env!("CARGO_BIN_EXE_granule"));
        command.current_dir(folder.path(".")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        wait_for(&folder, ".out.gguf.part", &mut child);
        send(&child, &format!("-{signal}"));
        assert!(child.wait().unwrap().success(), "{signal}");
        assert!(fs::read(folder.path("out.gguf")).unwrap() == expected);
    }
}

#[test]
fn what_another_command_left_is_refused_or_discarded() {
    let (expected, _) = undisturbed();
    let folder = folder();
    let mut child = start(&folder);
    wait_for(&folder, ".out.gguf.resume", &mut child);
    child.kill().unwrap();
    if child.wait().unwrap().success() {
        return; // it was faster
    }
    for option in ["", "--resume"] {
        let other = folder.run(&format!("convert model.gguf -t Q4_0 -o out.gguf {option}"));
        let message = other.failure();
        assert!(message.contains(".out.gguf.part") && message.contains("--restart"), "{message}");
        assert!(message.contains("the metadata and the names, shapes, types"), "{message}");
    }
    let ran = folder.run(&format!("{COMMAND} --restart"));
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stderr.contains("warning") && ran.stderr.contains("removed"), "{ran:?}");
    assert_eq!(fs::read(folder.path("out.gguf")).unwrap(), expected);
    assert_eq!(folder.names(), ["model.gguf", "out.gguf"]);
}

/// Run a shell script in the folder with the program as `$GRANULE`; its standard output.
fn script(folder: &Folder, shell: &[&str], text: &str) -> std::process::Output {
    Command::new(shell[0])
        .args(&shell[1..])
        .arg(text)
        .env("GRANULE", env!("CARGO_BIN_EXE_granule"))
        .current_dir(folder.path("."))
        .output()
        .unwrap()
}

#[test]
fn files_of_limited_size() {
    let folder = folder();
    folder.write("out.gguf", "old");
    let text = "trap '' XFSZ; ulimit -f 64; exec $GRANULE convert model.gguf -t Q8_0 -o out.gguf";
    let output = script(&folder, &["sh", "-c"], text);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("out.gguf: File too large"), "{message}");
    assert_eq!(folder.names(), ["model.gguf", "out.gguf"]);
    assert_eq!(fs::read(folder.path("out.gguf")).unwrap(), b"old");
}

#[test]
fn full_disk() {
    let shell = ["unshare", "-rm", "sh", "-c"];
    let folder = folder();
    fs::create_dir(folder.path("disk")).unwrap();
    let mount = |size: &str| format!("mount -t tmpfs -o size={size} tmpfs disk && ");
    let can_mount = Command::new("unshare")
        .args(["-rm", "sh", "-c", "mount -t tmpfs tmpfs disk"])
        .current_dir(folder.path("."))
        .output()
        .is_ok_and(|output| output.status.success());
    if !can_mount {
        println!("skipped: a file system cannot be mounted here");
        return;
    }
    // known before anything is written
    let text = mount("256k") + "$GRANULE convert model.gguf -t Q8_0 -o disk/out.gguf; ls -A disk";
    let output = script(&folder, &shell, &text);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("bytes are needed") && message.contains("are free"), "{message}");
    assert_eq!(output.stdout, b"");
    // found out in the middle: another program takes the space
    let text = mount("1200k")
        + "echo old > disk/out.gguf
           $GRANULE convert model.gguf -t Q2_K -j 1 -o disk/out.gguf & run=$!
           while [ ! -e disk/.out.gguf.part ]; do sleep 0.001; done
           dd if=/dev/zero of=disk/fill bs=4k 2>&-
           wait $run; echo status $?; rm disk/fill; ls -A disk; cat disk/out.gguf";
    let output = script(&folder, &shell, &text);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "status 2\nout.gguf\nold\n", "{message}");
    assert!(message.contains("disk/out.gguf: No space left on device"), "{message}");
}
