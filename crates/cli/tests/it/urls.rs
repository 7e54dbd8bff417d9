//! Models at URLs.

use std::fs;

use crate::common::{Folder, copy_checkpoint, model, ran};
use crate::imatrix::TEXT;
use crate::server::{Answer, Server};

/// The files of a folder, for a server.
fn files(folder: &Folder, name: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder.path(name)).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: std::path::PathBuf| {
        let own = path.file_name().unwrap().to_str().unwrap().to_owned();
        (format!("/{name}/{own}"), fs::read(&path).unwrap())
    };
    entries.filter(|path| path.is_file()).map(named).collect()
}

#[test]
fn commands_read_urls_like_paths() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "tiny");
    folder.run("convert tiny -t Q4_K_M -o disk.gguf -q").ok();
    fs::create_dir(folder.path("set")).unwrap();
    folder.run("split disk.gguf set/part --max-tensors 8 --quiet").ok();
    let disk = fs::read(folder.path("disk.gguf")).unwrap();
    let all = [files(&folder, "tiny"), files(&folder, "set")].concat();
    let server = Server::new(all.into_iter().chain([("/disk.gguf".to_owned(), disk.clone())]));
    let url = &server.url;
    folder.run(&format!("convert {url}/tiny -t Q4_K_M -q")).ok();
    let names = folder.names();
    let own = names.iter().find(|name| name.ends_with("Q4_K_M.gguf")).unwrap();
    assert!(fs::read(folder.path(own)).unwrap() == disk);
    let part = format!("{url}/set/part-00002-of-00003.gguf");
    for (line, said) in [
        (format!("diff {url}/disk.gguf disk.gguf"), "no difference"),
        (format!("diff {part} tiny --tensors"), "tensors"),
        (format!("hash {part} --no-layer"), "part-00002"),
        (format!("check {url}/disk.gguf {part}"), "part-00002-of-00003.gguf: valid"),
        (format!("check {url}/disk.gguf --structure-only"), "disk.gguf: valid"),
        (format!("inspect {part} --totals"), "Q4_K"),
        (format!("export {url}/disk.gguf -o out --dry-run --quiet"), "q_proj"),
        (format!("report {url}/disk.gguf --json"), "\"schema\""),
        (format!("size {url}/disk.gguf"), "weights"),
    ] {
        let ran = folder.run(&line);
        let status = i32::from(line.contains(" tiny "));
        assert!(ran.status == status && ran.stdout.contains(said), "{line}: {ran:?}");
    }
}

#[test]
fn no_message_has_a_secret() {
    let folder = Folder::new();
    let server = Server::new([("/a.gguf", model())]);
    let secret = server.url.replace("http://", "http://me:seal@");
    for (line, said) in [
        (format!("inspect {secret}/b.gguf?key=seal"), "/b.gguf: there is nothing of this name"),
        (format!("convert {secret}/a.gguf?key=seal"), "/a.gguf: no file type given"),
        (format!("check {secret}/nothing?key=seal"), "there is nothing"),
        (format!("hash {secret}/a?key=seal {secret}/b?key=seal"), "nothing is expected here"),
        (format!("split {secret}/a.gguf?key=seal x"), "No such file"),
        ("inspect s3://me:seal@bucket/a.gguf".to_owned(), "credentials do not belong"),
        ("inspect ftp://me:seal@host/a.gguf".to_owned(), "no scheme that can be read"),
        (
            format!("convert {secret}/a.gguf -t Q8_0 -o {secret}/b?key=seal"),
            "s3://, gs:// and az://",
        ),
        ("convert model.gguf -t Q8_0 -o s3://bucket".to_owned(), "name a file in the bucket"),
    ] {
        let message = folder.run(&line).failure();
        assert!(message.contains(said) && !message.contains("seal"), "{line}: {message}");
    }
    folder.run(&format!("convert {secret}/a.gguf?key=seal -t Q8_0 -q -o a.gguf")).ok();
    let report = folder.run(&format!("inspect {secret}/a.gguf?key=seal --json")).ok();
    assert!(report.contains("/a.gguf\"") && !report.contains("seal"), "{report}");
}

/// Whether a file of a folder, or of a folder in it, has these bytes.
fn has(folder: &std::path::Path, bytes: &[u8]) -> bool {
    let mut paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.any(|path| match path.is_dir() {
        true => has(&path, bytes),
        false => fs::read(&path).unwrap().windows(bytes.len()).any(|it| it == bytes),
    })
}

/// Plans, pages, parts of a run and results have no secret. (`tools/reference/remote.py` looks at
/// the journals of runs that are killed.)
#[test]
fn nothing_that_is_written_has_a_secret() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "tiny");
    folder.write("text.txt", TEXT);
    let server = Server::new(files(&folder, "tiny"));
    let url = format!("{}/tiny?key=seal", server.url.replace("http://", "http://me:seal@"));
    for line in [
        "convert URL -t Q4_K_M --dry-run --json",
        "convert URL -t Q4_K_M --split-max-tensors 9 --part list --json",
        "convert URL -t Q4_K_M -o a.gguf --report a.html --json -q",
        "imatrix URL --text text.txt -c 8 --chunks 2 -o i.gguf --json -q",
        "imatrix URL --text text.txt -c 8 --chunks 2 --part 1/2 -o i.part --json -q",
        "measure URL --against URL --text text.txt -c 8 --chunks 2 --part 1/2 -o m.part --json",
    ] {
        let ran = folder.run(&line.replace("URL", &url));
        assert!(!ran.stdout.contains("seal") && !ran.stderr.contains("seal"), "{line}: {ran:?}");
        assert_eq!(ran.status, 0, "{line}: {ran:?}");
    }
    assert!(!has(&folder.path(""), b"seal"));
}

/// What servers, stores and the hub say when they refuse is shown without what was sent to them.
#[test]
fn no_refusal_shows_a_secret() {
    let folder = Folder::new();
    copy_checkpoint(&folder, "llama2-spm-256", "tiny");
    let server = Server::new([("/a.gguf", model())]);
    let url = format!("{}/a.gguf?key=seal", server.url.replace("http://", "http://me:seal@"));
    let signed = "<Error><Code>AccessDenied</Code><StringToSign>seal</StringToSign></Error>";
    for answer in [
        Answer::Status(403, signed),
        Answer::Status(401, "<html>seal</html>"),
        Answer::Status(400, "{\"other\":\"seal\"}"),
        Answer::Status(404, "seal"),
        Answer::Whole,
        Answer::OtherRange,
    ] {
        let now = answer.clone();
        server.answer(move |_, _| now.clone());
        for line in [
            format!("inspect {url}"),
            "convert s3://bucket/tiny -t Q8_0 -o b.gguf".to_owned(),
            "convert tiny -t Q8_0 -o s3://bucket/b.gguf".to_owned(),
            "convert tiny -t Q8_0 -o az://container/b.gguf".to_owned(),
            "check hf://org/name/a.gguf".to_owned(),
        ] {
            // listings and uploads have no range
            if matches!(answer, Answer::Whole | Answer::OtherRange) && !line.contains(&url) {
                continue;
            }
            let mut command = folder.command(&line);
            command.envs([
                ("AWS_ACCESS_KEY_ID", "id"),
                ("AWS_SECRET_ACCESS_KEY", "seal"),
                ("AWS_SESSION_TOKEN", "seal-of-session"),
                ("AWS_REGION", "here"),
                ("AWS_ENDPOINT_URL", &server.url),
                ("AZURE_STORAGE_ACCOUNT_NAME", "name"),
                ("AZURE_STORAGE_ACCOUNT_KEY", "c2VhbA=="),
                ("AZURE_STORAGE_ENDPOINT", &server.url),
                ("HF_ENDPOINT", &server.url),
                ("HF_TOKEN", "hf_seal"),
            ]);
            let ran = ran(command.output().unwrap());
            let said = format!("{}{}", ran.stdout, ran.stderr);
            let is_secret = said.contains("seal") || said.contains("c2VhbA");
            assert!(ran.status == 2 && !is_secret, "{answer:?} {line}: {ran:?}");
        }
    }
    assert!(!has(&folder.path(""), b"seal"));
}
