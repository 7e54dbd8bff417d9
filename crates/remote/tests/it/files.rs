//! Single files.

use granule_reader::format::{BlockType, Draft, Endian, Metadata, Shape, TensorType};
use granule_reader::{Model, ReadAt};
use granule_remote::{Address, Client, Fault, Kind, Settings};

use crate::server::{Answer, Server};

/// Bytes that tell their position.
fn bytes(count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count + 3);
    (0..count.div_ceil(4) as u32).for_each(|at| bytes.extend(at.to_le_bytes()));
    bytes.truncate(count);
    bytes
}

fn client() -> Client {
    Client::new(Settings::default().with_retries(3)).unwrap()
}

fn address(server: &Server, path: &str) -> Address {
    Address::parse(&format!("{}{path}", server.url)).unwrap()
}

fn fault(error: &std::io::Error) -> &Fault {
    error.get_ref().and_then(|it| it.downcast_ref()).unwrap()
}

const MB: usize = 1 << 20;

#[test]
fn any_range_and_only_what_is_read() {
    let all = bytes(12 * MB);
    let server = Server::new([("/a", all.clone()), ("/empty", Vec::new())]);
    let client = client();
    let file = client.open_file(&address(&server, "/a")).unwrap();
    assert_eq!(file.len().unwrap(), all.len() as u64);
    let mut out = vec![0; 1000];
    for start in [0, 65_000, 11 * MB, 5 * MB + 7, all.len() - 1000] {
        file.read_exact_at(&mut out, start as u64).unwrap();
        assert_eq!(out, all[start..start + 1000], "{start}");
    }
    assert!(client.moved() < 200_000, "{}", client.moved());
    assert!(file.read_exact_at(&mut out, all.len() as u64 - 999).is_err());
    // what follows is fetched in ever larger pieces
    server.requests();
    let mut out = vec![0; MB];
    for start in 0..12 {
        file.read_exact_at(&mut out, (start * MB) as u64).unwrap();
        assert_eq!(out, all[start * MB..(start + 1) * MB], "{start}");
    }
    assert!(server.requests().len() < 10);
    let empty = client.open_file(&address(&server, "/empty")).unwrap();
    assert_eq!(empty.len().unwrap(), 0);
    empty.read_exact_at(&mut [], 0).unwrap();
}

#[test]
fn announced_ranges_are_fetched_ahead_and_once() {
    let all = bytes(20 * MB);
    let server = Server::new([("/a", all.clone())]);
    let client = Client::new(Settings::default().with_memory(12 << 20)).unwrap();
    let file = client.open_file(&address(&server, "/a")).unwrap();
    let start = client.moved();
    let ranges: Vec<_> = (0..5).rev().map(|at| at * 4 * MB + 100..at * 4 * MB + 3 * MB).collect();
    for range in &ranges {
        file.will_read(range.start as u64..range.end as u64);
    }
    let mut out = vec![0; 1 << 17];
    for range in &ranges {
        for at in range.clone().step_by(out.len()) {
            let length = out.len().min(range.end - at);
            file.read_exact_at(&mut out[..length], at as u64).unwrap();
            assert_eq!(out[..length], all[at..at + length]);
        }
    }
    // the start of the file was there, and nothing is fetched twice
    let wanted: usize = ranges.iter().map(|range| range.len()).sum();
    let moved = (client.moved() - start) as usize;
    assert!((wanted - 65_536..=wanted).contains(&moved), "{moved} of {wanted}");
}

#[test]
fn many_threads_read_one_file() {
    let all = bytes(3 * MB);
    let server = Server::new([("/a", all.clone())]);
    let client = Client::new(Settings::default().with_memory(1 << 20)).unwrap();
    let file = client.open_file(&address(&server, "/a")).unwrap();
    file.will_read(0..all.len() as u64);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (file, all) = (&file, &all);
            scope.spawn(move || {
                let mut out = vec![0; 50_000];
                for at in (thread * 50_000..all.len() - 50_000).step_by(200_000) {
                    file.read_exact_at(&mut out, at as u64).unwrap();
                    assert_eq!(out, all[at..at + 50_000]);
                }
            });
        }
    });
}

#[test]
fn what_may_pass_is_tried_again() {
    let all = bytes(3 * MB);
    for answer in [
        Answer::Status(500, ""),
        Answer::Status(503, "<Code>SlowDown</Code>"),
        Answer::Status(429, ""),
        Answer::Cut(0),
        Answer::Cut(1000),
    ] {
        let server = Server::new([("/a", all.clone())]);
        let again = answer.clone();
        server.answer(move |_, before| if before % 2 == 0 { again.clone() } else { Answer::Right });
        let file = client().open_file(&address(&server, "/a")).unwrap();
        let mut out = vec![0; all.len()];
        file.read_exact_at(&mut out, 0).unwrap();
        assert!(out == all, "{answer:?}");
    }
}

#[test]
fn what_does_not_pass_says_what_it_is() {
    let all = bytes(MB);
    type Case = (Answer, fn(&Fault) -> bool, &'static str);
    let cases: &[Case] = &[
        (Answer::Status(404, ""), |it| matches!(it, Fault::Missing), "nothing of this name"),
        (
            Answer::Status(403, "<Code>AccessDenied</Code><Secret>seal</Secret>"),
            |it| matches!(it, Fault::Denied { .. }),
            "403 Forbidden: AccessDenied",
        ),
        (Answer::Status(401, ""), |it| matches!(it, Fault::Denied { .. }), "refuses access"),
        (Answer::Status(400, ""), |it| matches!(it, Fault::Settings(_)), "400"),
        (Answer::Status(500, "seal"), |it| matches!(it, Fault::Server(_)), "500"),
        (Answer::Whole, |it| matches!(it, Fault::NoRanges), "does not send parts"),
        (Answer::Cut(10), |it| matches!(it, Fault::Connection(_) | Fault::Length { .. }), ""),
        (Answer::Endless, |it| matches!(it, Fault::Endless(_)), "more than the"),
        (Answer::OtherRange, |it| it != &Fault::Missing, ""),
        (Answer::OtherTag, |it| matches!(it, Fault::Changed { .. }), "has changed"),
        (Answer::Longer, |it| matches!(it, Fault::Changed { .. }), "1048577 bytes"),
        (Answer::Redirect("/a".into()), |it| it != &Fault::Missing, "without an end"),
    ];
    for (answer, is_right, text) in cases {
        let server = Server::new([("/a", all.clone())]);
        let client = Client::new(Settings::default().with_retries(1)).unwrap();
        let address = address(&server, "/a?signature=seal");
        let file = client.open_file(&address).unwrap();
        let lasting = answer.clone();
        server.answer(move |_, _| lasting.clone());
        let mut out = vec![0; 1000];
        let error = file.read_exact_at(&mut out, 500_000).unwrap_err();
        assert!(is_right(fault(&error)), "{answer:?}: {error:?}");
        let said = format!("{error} {error:?} {address} {address:?} {client:?}");
        assert!(said.contains(text) && !said.contains("seal"), "{answer:?}: {said}");
    }
}

#[test]
fn no_server_and_no_certificate() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::new(Settings::default().with_retries(0)).unwrap();
    let open = |url: &str| client.open_file(&Address::parse(url).unwrap()).unwrap_err();
    let error = open(&format!("http://127.0.0.1:{port}/a?signature=seal"));
    assert!(matches!(fault(&error), Fault::Connection(_)), "{error}");
    assert!(!format!("{error:?}").contains("seal"), "{error:?}");
    // a server that does not speak TLS
    let server = Server::new([("/a", bytes(10))]);
    let error = open(&server.url.replace("http", "https"));
    assert!(!matches!(fault(&error), Fault::Missing), "{error}");
}

#[test]
fn passwords_go_to_their_own_host_only() {
    let elsewhere = Server::new([("/b", bytes(100_000))]);
    let server = Server::new([("/a", Vec::new())]);
    let to = format!("{}/b", elsewhere.url);
    server.answer(move |_, _| Answer::Redirect(to.clone()));
    let url = format!("{}/a", server.url.replace("http://", "http://me:seal@"));
    let file = client().open_file(&Address::parse(&url).unwrap()).unwrap();
    assert_eq!(file.len().unwrap(), 100_000);
    let mut out = vec![0; 4];
    file.read_exact_at(&mut out, 80_000).unwrap();
    assert_eq!(out, bytes(100_000)[80_000..80_004]);
    let (own, others) = (server.requests(), elsewhere.requests());
    assert!(!own.is_empty() && own.iter().all(|it| it.authorization.is_some()));
    assert!(others.len() == own.len() && others.iter().all(|it| it.authorization.is_none()));
}

/// A file of a split set.
fn shard(number: u16, count: u16) -> Vec<u8> {
    let mut metadata = Metadata::new();
    metadata.set("split.no", number);
    metadata.set("split.count", count);
    metadata.set("split.tensors.count", i32::from(count));
    let mut draft = Draft::new(metadata, Endian::Little).unwrap();
    let shape = Shape::new(&[32, 1000]).unwrap();
    draft.add(&format!("tensor{number}"), shape, TensorType::Known(BlockType::F32)).unwrap();
    let mut file = draft.header();
    file.extend(bytes(128_000));
    file
}

#[test]
fn split_sets() {
    let name = |number| format!("/m/a-{number:05}-of-00002.gguf");
    let server = Server::new([(name(1), shard(0, 2)), (name(2), shard(1, 2))]);
    let client = client();
    for number in [1, 2] {
        let address = address(&server, &format!("{}?signature=seal", name(number)));
        assert_eq!(client.kind(&address).unwrap(), Kind::File);
        let model = client.open_model(&address, Model::options()).unwrap();
        assert_eq!(model.tensors().len(), 2);
        let second = model.shards()[1].path().unwrap().to_str().unwrap();
        assert_eq!(second, format!("{}{}", server.url, name(2)));
        let mut row = [0.0; 32];
        model.tensor("tensor1").unwrap().decode_rows(999..1000, &mut row).unwrap();
        assert_eq!(row[31].to_bits(), 31_999);
    }
    let lost = Server::new([(name(1), shard(0, 2))]);
    let error = client.open_model(&address(&lost, &name(1)), Model::options()).unwrap_err();
    assert!(error.to_string().ends_with(&name(2)), "{error}");
}
