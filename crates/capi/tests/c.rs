//! The header is that of the sources, and a program in C works with it.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// The line that links the static library.
const LIBRARIES: &[&str] = &["-lpthread", "-ldl", "-lm"];

#[test]
fn the_header_is_that_of_the_sources() {
    let config = cbindgen::Config::from_root_or_default(HERE);
    let mut found = Vec::new();
    cbindgen::generate_with_config(HERE, config).unwrap().write(&mut found);
    let found = String::from_utf8(found).unwrap();
    let path = Path::new(HERE).join("include/granule.h");
    if env::var_os("GRANULE_UPDATE").is_some() {
        fs::write(&path, &found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "GRANULE_UPDATE=1 cargo test -p granule-capi writes {path:?}");
}

/// Where cargo has put the library that it built for this test: next to the test. The folder above
/// has those that `cargo build` made, if any.
fn libraries() -> PathBuf {
    let test = env::current_exe().unwrap();
    test.parent().unwrap().to_owned()
}

#[test]
#[cfg(unix)]
fn the_example_runs() {
    let Ok(compiler) = which_compiler() else {
        eprintln!("skipped: there is no C compiler");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("rows");
    let done = Command::new(compiler)
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1"])
        .arg(Path::new(HERE).join("examples/rows.c"))
        .arg("-I")
        .arg(Path::new(HERE).join("include"))
        .arg("-o")
        .arg(&program)
        .arg(libraries().join("libgranule_c.a"))
        .args(LIBRARIES)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let model = folder.path().join("model.gguf");
    fs::write(&model, file()).unwrap();
    let done = Command::new(&program).arg(&model).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let output = String::from_utf8(done.stdout).unwrap();
    for part in [
        "architecture llama, 2 entries, 2 tensors\n",
        "products differ by up to 0.",
        "3 tokens, token 1 is <s>\n",
        "Q8_0: error 0.0",
        "there is no tensor \"no such tensor\"\n",
        "valid, ",
    ] {
        assert!(output.contains(part), "{part:?} is not in:\n{output}");
    }
    let done = Command::new(&program).arg(folder.path().join("none")).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    let error = String::from_utf8(done.stderr).unwrap();
    assert!(error.starts_with("open: cannot read ") && error.contains("none"), "{error}");
}

#[cfg(unix)]
fn which_compiler() -> std::io::Result<String> {
    let name = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    Command::new(&name).arg("--version").output().map(|_| name)
}

/// A file with a matrix of blocks and a row of plain numbers.
#[cfg(unix)]
fn file() -> Vec<u8> {
    use granule_format::{Array, BlockType, Draft, Endian, Metadata, Shape, StringArray, Writer};
    use std::io::Write;

    let mut tokens = StringArray::default();
    ["<unk>", "<s>", "</s>"].iter().for_each(|token| tokens.push(token));
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", "llama");
    metadata.set("tokenizer.ggml.tokens", Array::String(tokens));
    let mut draft = Draft::new(metadata, Endian::Little).unwrap();
    draft.add("matrix.weight", Shape::new(&[256, 3]).unwrap(), BlockType::Q8_0.into()).unwrap();
    draft.add("norm.weight", Shape::new(&[256]).unwrap(), BlockType::F32.into()).unwrap();
    let values: Vec<f32> = (0..3 * 256).map(|i| (i as f32 * 0.37).sin()).collect();
    let encode = |ty, values: &[f32]| {
        granule_encode::encode(ty, values, 256, None, &Default::default()).unwrap()
    };
    let mut writer = Writer::start(Vec::new(), draft).unwrap();
    for (name, ty, values) in [
        ("matrix.weight", BlockType::Q8_0, &values[..]),
        ("norm.weight", BlockType::F32, &values[..256]),
    ] {
        let mut tensor = writer.tensor(name).unwrap();
        tensor.write_all(&encode(ty, values)).unwrap();
        tensor.finish().unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn wrong_arguments_are_told() {
    use granule_c::*;
    use std::ffi::CStr;
    use std::ptr::{null, null_mut};

    // SAFETY: null is allowed everywhere, and everything else here is valid.
    unsafe {
        let message = || CStr::from_ptr(granule_error_message()).to_str().unwrap().to_owned();
        let mut model = null_mut();
        assert_eq!(granule_open(null(), false, &mut model), granule_status::Argument);
        assert_eq!(message(), "path is null");
        assert_eq!(granule_open(c"\xff".as_ptr(), true, &mut model), granule_status::Argument);
        assert_eq!(granule_open(c"none.gguf".as_ptr(), true, &mut model), granule_status::Io);
        let status = granule_open_bytes(b"text".as_ptr(), 4, &mut model);
        assert_eq!(status, granule_status::Format);
        assert!(message().contains("not a GGUF file") || message().contains("ends too early"));
        assert_eq!(granule_open_bytes(null(), 4, &mut model), granule_status::Argument);
        assert!(model.is_null());
        #[cfg(unix)]
        {
            let bytes = file();
            assert_eq!(
                granule_open_bytes(bytes.as_ptr(), bytes.len(), null_mut()),
                granule_status::Argument
            );
            let status = granule_open_bytes(bytes.as_ptr(), bytes.len(), &mut model);
            assert_eq!(status, granule_status::Ok);
            let mut out = [0.0; 256];
            let status = granule_decode_rows(model, 0, 3, 1, out.as_mut_ptr(), 256);
            assert_eq!(status, granule_status::Argument);
            assert_eq!(message(), "1 rows from 3 on, of 3");
            let status = granule_decode_rows(model, 0, 2, 1, out.as_mut_ptr(), 255);
            assert_eq!(status, granule_status::Argument);
            let status = granule_decode_rows(model, 0, 2, usize::MAX, out.as_mut_ptr(), 256);
            assert_eq!(status, granule_status::Argument);
            let status = granule_decode_rows(model, 2, 0, 1, out.as_mut_ptr(), 256);
            assert_eq!(status, granule_status::Argument);
            assert_eq!(
                granule_matmul(model, 0, out.as_ptr(), usize::MAX, out.as_mut_ptr()),
                granule_status::Argument
            );
            let mut number = 0;
            let key = c"general.architecture".as_ptr();
            assert_eq!(granule_metadata_integer(model, key, &mut number), granule_status::Type);
            let key = c"none".as_ptr();
            assert_eq!(granule_metadata_integer(model, key, &mut number), granule_status::NotFound);
            granule_close(model);
        }
        let mut bytes = 0;
        assert_eq!(granule_row_bytes(12, 100, &mut bytes), granule_status::Argument);
        assert_eq!(granule_row_bytes(12, 256, &mut bytes), granule_status::Ok);
        assert_eq!(bytes, 144);
        assert_eq!(granule_row_bytes(4, 256, &mut bytes), granule_status::Unsupported);
        let (values, mut out) = ([f32::NAN; 32], [0; 34]);
        let status = granule_encode(8, values.as_ptr(), 1, 32, null(), 0, out.as_mut_ptr(), 34);
        assert_eq!(status, granule_status::Encode);
        assert!(message().contains("NaN"), "{}", message());
        let status = granule_encode(8, values.as_ptr(), 1, 32, null(), 9, out.as_mut_ptr(), 34);
        assert_eq!(status, granule_status::Argument);
        assert!(granule_type_name(4).data.is_null());
        assert_eq!(granule_type_name(12).length, 4);
        granule_close(null_mut());
        granule_report_free(null_mut());
        assert_eq!((granule_tensor_count(null()), granule_report_count(null())), (0, 0));
        assert!(!granule_report_valid(null(), false));
    }
}
