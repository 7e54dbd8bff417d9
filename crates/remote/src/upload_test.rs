#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::AtomicU64;

use object_store::memory::InMemory;
use object_store::path::Path;

use super::*;

#[test]
fn records_are_read_again() {
    let head = "granule-journal-2 build=1\n";
    let lines = "upload 8388608 a~b\nbefore 2026 \"t\" 1\npart 0 \"x\"\npart 7 y\ncomplete\n";
    let left = Left::parse(&format!("{head}{lines}")).unwrap();
    assert_eq!((left.id.as_str(), left.part, left.complete), ("a~b", 8 << 20, true));
    assert_eq!(left.before.as_deref(), Some("2026 \"t\" 1"));
    let stored = [(0, "\"x\"".to_owned()), (7, "y".to_owned())];
    assert_eq!(left.stored.into_iter().collect::<Vec<_>>(), stored);
    for lines in ["", "upload 1 a\n", "upload 8388608\n", "upload 8388608 a\npart x y\n"] {
        assert_eq!(Left::parse(&format!("{head}{lines}")), None, "{lines}");
    }
}

/// A file and its record in a store.
fn objects(store: &Arc<InMemory>) -> [Object; 2] {
    ["a.gguf", ".a.gguf.resume"].map(|name| Object {
        store: store.clone(),
        uploads: Some(store.clone()),
        path: Path::from(name),
        advice: "",
        secrets: Arc::default(),
        retries: 0,
        moved: Arc::new(AtomicU64::new(0)),
    })
}

fn content(object: &Object) -> Result<Vec<u8>, Fault> {
    runtime().unwrap().block_on(object.get_whole(1 << 30))
}

const LENGTH: u64 = 20_000_000;
const GAP: Range<u64> = 9_000_000..9_000_020;

/// The bytes of a range of the test file.
fn bytes(range: Range<u64>) -> Vec<u8> {
    range.map(|at| if GAP.contains(&at) { 0 } else { (at / 1000) as u8 | 1 }).collect()
}

/// Writes a range in pieces, the later ones first as threads do.
fn write(upload: &RemoteUpload, range: Range<u64>) {
    let starts: Vec<u64> = range.clone().step_by(300_000).collect();
    for pair in starts.chunks(2) {
        for start in pair.iter().rev() {
            let end = range.end.min(start + 300_000);
            upload.write(*start, &bytes(*start..end)).unwrap();
        }
    }
}

#[test]
fn an_interrupted_upload_is_continued() {
    let store = Arc::new(InMemory::new());
    let [file, record] = objects(&store);
    let head = "granule-journal-2 build=1\n";
    let begin =
        |text: Option<&str>| RemoteUpload::begin(objects(&store), LENGTH, vec![GAP], text).unwrap();
    let first = begin(None);
    write(&first, 0..GAP.start);
    write(&first, GAP.end..16_000_000);
    while !first.is_stored(0..8 << 20) {
        std::thread::yield_now();
    }
    assert!(!first.is_stored(0..10_000_000) && first.flush().is_err());
    assert!(first.record(head, true).unwrap());
    drop(first);
    assert_eq!(content(&file), Err(Fault::Missing));

    let text = String::from_utf8(content(&record).unwrap()).unwrap();
    let second = begin(Some(&text));
    assert!(second.is_stored(0..8 << 20) && !second.is_stored(0..8_388_609));
    write(&second, 8_000_000..GAP.start);
    write(&second, GAP.end..LENGTH);
    second.flush().unwrap();
    second.record(head, true).unwrap();
    second.publish().unwrap();
    assert!(content(&file).unwrap() == bytes(0..LENGTH));
    // killed before the record was removed
    let text = String::from_utf8(content(&record).unwrap()).unwrap();
    let third = begin(Some(&text));
    third.flush().unwrap();
    third.publish().unwrap();
    third.finish().unwrap();
    assert_eq!(content(&record), Err(Fault::Missing));
}

#[test]
fn a_file_of_the_same_length_is_not_taken_for_the_new_one() {
    let store = Arc::new(InMemory::new());
    let [file, record] = objects(&store);
    let old = vec![7; LENGTH as usize];
    runtime().unwrap().block_on(file.put(old.clone())).unwrap();
    let begin =
        |text: Option<&str>| RemoteUpload::begin(objects(&store), LENGTH, vec![GAP], text).unwrap();
    let upload = begin(None);
    write(&upload, 0..GAP.start);
    write(&upload, GAP.end..LENGTH);
    upload.flush().unwrap();
    upload.record("head\n", true).unwrap();
    let text = String::from_utf8(content(&record).unwrap()).unwrap();
    assert!(text.contains("before ") && text.contains("complete"), "{text}");
    // the store gives the upload up
    runtime().unwrap().block_on(file.abort_upload(&upload.0.fixed.id));
    for upload in [&upload, &begin(Some(&text))] {
        upload.publish().unwrap_err();
        assert!(content(&file).unwrap() == old);
    }
    // an upload that an earlier run has completed
    let upload = begin(None);
    write(&upload, 0..GAP.start);
    write(&upload, GAP.end..LENGTH);
    upload.flush().unwrap();
    upload.record("head\n", true).unwrap();
    let text = String::from_utf8(content(&record).unwrap()).unwrap();
    upload.publish().unwrap();
    begin(Some(&text)).publish().unwrap();
    assert!(content(&file).unwrap() == bytes(0..LENGTH));
}

#[test]
fn what_fails_leaves_nothing() {
    let store = Arc::new(InMemory::new());
    let upload = RemoteUpload::begin(objects(&store), LENGTH, vec![GAP], None).unwrap();
    upload.record("head\n", true).unwrap();
    write(&upload, 0..GAP.start);
    upload.discard();
    for object in objects(&store) {
        assert_eq!(content(&object), Err(Fault::Missing));
    }
}

#[test]
fn addresses_of_results() {
    let check = |text: &str| RemoteUploads::check(&Address::parse(text).unwrap()).is_ok();
    assert!(check("s3://b/a.gguf") && check("az://b/c/a") && check("gs://b/a"));
    assert!(!check("s3://b") && !check("s3://b/c/") && !check("https://h/a.gguf"));
    assert!(!check("hf://o/n/a.gguf"));
}
