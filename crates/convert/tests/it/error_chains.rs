//! Every cause of an error is reported once: a message does not repeat that of its source.

use std::fs;
use std::path::{Path, PathBuf};

use granule_convert::Error;
use granule_encode::Importance;
use granule_format::{BlockType, WriteError};
use granule_reader::GgufSource;

/// Collects the Rust files of a folder and its subfolders.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the messages of a file's error types that contain their source, and the number of
/// variants with a source.
fn repeating(text: &str) -> (Vec<&str>, usize) {
    let (mut wrong, mut with_source) = (Vec::new(), 0);
    for rest in text.split("#[error(").skip(1) {
        let (message, rest) = rest.split_once(")]").unwrap();
        let declaration = rest.trim_start().lines().next().unwrap();
        let is_struct = declaration.ends_with('{');
        let body = if is_struct { rest.split("\n    }").next().unwrap() } else { declaration };
        let has_source = ["#[from]", "#[source]", " source: "].iter().any(|s| body.contains(s));
        if has_source {
            with_source += 1;
            let repeats = ["{source", "source.", "source)", "{0", ".0"];
            if message.trim() != "transparent" && repeats.iter().any(|s| message.contains(s)) {
                wrong.push(message);
            }
        }
    }
    (wrong, with_source)
}

#[test]
fn no_message_has_its_source_in_it() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut files, mut with_source) = (Vec::new(), 0);
    for name in ["format", "reader", "encode", "checkpoint", "convert"] {
        sources(&crates.join(name).join("src"), &mut files);
    }
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let (wrong, count) = repeating(&text);
        assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
        with_source += count;
    }
    assert!(with_source >= 8, "{with_source} variants with a source were seen");
    // the check can fail
    let text = "#[error(\"{}: {source}\", path.display())]\n    Io {\n        \
                /// The file.\n        \
                path: PathBuf,\n        /// Why.\n        source: io::Error,\n    },\n}";
    assert_eq!(repeating(text).0.len(), 1);
    assert_eq!(
        repeating("#[error(\"the text: {0}\")]\n    Text(#[from] Utf8Error),\n}").0.len(),
        1
    );
}

/// Returns the messages of an error and its causes.
fn chain(error: &dyn std::error::Error) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect()
}

#[test]
fn chains_have_every_message_once() {
    let folder = tempfile::tempdir().unwrap();
    let (absent, wrong) = (folder.path().join("absent"), folder.path().join("wrong"));
    fs::write(&wrong, "GGUF").unwrap();
    let encode = Error::Encode {
        tensor: "w".into(),
        source: granule_encode::EncodeError::NoEncoder(BlockType::Q8_K),
    };
    let errors: [(Error, usize); 6] = [
        (Importance::read(&absent).unwrap_err().into(), 2),
        (Importance::read(&wrong).unwrap_err().into(), 2),
        (GgufSource::open(&absent).err().unwrap().into(), 2),
        (GgufSource::open(&wrong).err().unwrap().into(), 2),
        (encode, 2),
        (WriteError::Failed.into(), 1),
    ];
    for (error, length) in errors {
        let chain = chain(&error);
        assert_eq!(chain.len(), length, "{chain:?}");
        for (i, message) in chain.iter().enumerate() {
            let others = chain.iter().enumerate().filter(|(j, _)| *j != i);
            assert!(others.clone().all(|(_, other)| !other.contains(message)), "{chain:?}");
        }
    }
}
