//! Checkpoints.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::Hasher;
use std::path::Path;

use granule_checkpoint::{Checkpoint, CheckpointOptions};
use granule_reader::{ReadAt, Source};
use granule_remote::{Address, Client, Kind, Settings};

use crate::server::{Answer, Server};

/// One file of weights, and several with experts.
const ONE: &str = "../../fixtures/checkpoints/llama2-spm-256";
const SEVERAL: &str = "../../fixtures/checkpoints/Mixtral-tiny-4x100K-Instruct-v0.1";

/// The files of a checkpoint below a path of a server.
fn files(folder: &str, below: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            (format!("{below}/{name}"), fs::read(&path).unwrap())
        })
        .collect()
}

fn open(client: &Client, url: &str) -> std::io::Result<Checkpoint> {
    let address = Address::parse(url).unwrap();
    assert_eq!(client.kind(&address)?, Kind::Folder);
    let folder = client.open_folder(&address)?;
    Ok(Checkpoint::open_folder(&folder, &CheckpointOptions::default()).unwrap())
}

/// Checks that a checkpoint is the one on the disk.
fn is_the_same(found: &Checkpoint, folder: &str) {
    let own = Checkpoint::open(Path::new(folder), &CheckpointOptions::default()).unwrap();
    assert_eq!(own.tensors(), found.tensors());
    assert!(found.files().is_empty() && found.objects().len() == own.files().len());
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (index, tensor) in own.tensors().iter().enumerate() {
        found.will_read(index);
        let rows = 0..tensor.shape.rows().unwrap();
        own.read_rows(index, rows.clone(), &mut left).unwrap();
        found.read_rows(index, rows, &mut right).unwrap();
        assert!(left == right, "{}", tensor.name);
        let print = |source: &Checkpoint| {
            let mut hasher = DefaultHasher::new();
            source.fingerprint(index, &mut hasher);
            hasher.finish()
        };
        assert_eq!(print(&own), print(found), "{}", tensor.name);
    }
}

#[test]
fn on_a_web_server() {
    let client = Client::new(Settings::default()).unwrap();
    for folder in [ONE, SEVERAL] {
        let server = Server::new(files(folder, "/models/tiny"));
        is_the_same(&open(&client, &format!("{}/models/tiny/", server.url)).unwrap(), folder);
    }
    let server = Server::new(files(ONE, "/models/tiny"));
    for url in ["/models", "/models/tiny/config.json"] {
        let address = Address::parse(&format!("{}{url}", server.url)).unwrap();
        assert!(client.open_folder(&address).is_err(), "{url}");
    }
}

#[test]
fn on_the_hub() {
    let mut all = files(SEVERAL, "/org/tiny/resolve/abc123");
    let names: Vec<String> = all
        .iter()
        .map(|(path, _)| format!("{{\"rfilename\":\"{}\"}}", path.rsplit('/').next().unwrap()))
        .collect();
    let about = format!("{{\"sha\":\"abc123\",\"siblings\":[{}]}}", names.join(","));
    for revision in ["main", "v1"] {
        let path = format!("/api/models/org/tiny/revision/{revision}");
        all.push((path, about.clone().into_bytes()));
    }
    let server = Server::new(all);
    let settings = Settings::default().with_hub(&server.url, Some("hf_seal"));
    let client = Client::new(settings.clone()).unwrap();
    assert!(!format!("{settings:?} {client:?}").contains("seal"));
    for url in ["hf://org/tiny", "hf://org/tiny@v1"] {
        is_the_same(&open(&client, url).unwrap(), SEVERAL);
    }
    let requests = server.requests();
    let token = |header: &Option<String>| header.as_deref() == Some("Bearer hf_seal");
    assert!(requests.iter().all(|request| token(&request.authorization)));
    // what the listing does not have is not asked for
    let asked = |name: &str| requests.iter().any(|request| request.path.ends_with(name));
    assert!(asked("/config.json") && !asked("/model.safetensors"));
    server.answer(|_, _| Answer::Status(401, "{\"error\":\"Invalid username or password.\"}"));
    let fresh = Client::new(Settings::default().with_hub(&server.url, None)).unwrap();
    let error = open(&fresh, "hf://org/tiny").unwrap_err().to_string();
    assert!(error.contains("Invalid username") && error.contains("HF_TOKEN"), "{error}");
}

/// The addresses of large files lead elsewhere for a while: the hub is asked once.
#[test]
fn a_redirect_of_the_hub_is_used_again() {
    let all: Vec<u8> = (0..1_500_000_u32).map(|at| (at % 251) as u8).collect();
    let elsewhere = Server::new([("/cdn", all.clone())]);
    let about = r#"{"sha":"abc","siblings":[{"rfilename":"a.bin"}]}"#;
    let server = Server::new([("/api/models/org/tiny/revision/main", about.as_bytes().to_vec())]);
    let to = format!("{}/cdn?signature=seal", elsewhere.url);
    server.answer(move |request, _| match request.path.contains("/resolve/") {
        true => Answer::Redirect(to.clone()),
        false => Answer::Right,
    });
    let settings = Settings::default().with_hub(&server.url, Some("hf_seal")).with_retries(0);
    let client = Client::new(settings).unwrap();
    let file = client.open_file(&Address::parse("hf://org/tiny/a.bin").unwrap()).unwrap();
    let mut out = vec![0; 1000];
    let mut is_right = |start: usize| {
        file.read_exact_at(&mut out, start as u64).unwrap();
        assert!(out == all[start..start + 1000], "{start}");
    };
    [200_000, 500_000, 900_000].into_iter().for_each(&mut is_right);
    let (own, others) = (server.requests(), elsewhere.requests());
    let asked = own.iter().filter(|request| request.path.contains("/resolve/")).count();
    assert_eq!((asked, others.len()), (1, 4));
    assert!(own.iter().all(|request| request.authorization.is_some()));
    assert!(others.iter().all(|request| request.authorization.is_none()));
    // the address expires: the hub has a new one
    elsewhere.answer(|_, before| match before {
        0 => Answer::Status(403, ""),
        _ => Answer::Right,
    });
    is_right(1_300_000);
    assert_eq!((server.requests().len(), elsewhere.requests().len()), (1, 2));
}
