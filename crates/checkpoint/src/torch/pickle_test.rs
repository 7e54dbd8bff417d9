//! Tests rejected, damaged and invented pickles.

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use super::opcode::Opcode;
use super::pickle::{STACK_LIMIT, read};
use crate::file::DataFile;
use crate::folder::at;

fn pickle_of(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sources").join(name);
    super::archive::open(&DataFile::open(&at(&path)).unwrap()).unwrap().pickle
}

#[track_caller]
fn refused(pickle: &[u8], texts: &[&str]) {
    let error = read(pickle).unwrap_err().to_string();
    for text in texts {
        assert!(error.contains(text), "{error:?} lacks {text:?}");
    }
}

#[test]
fn names_what_it_refuses() {
    refused(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.", &["os.system", "byte 2 "]);
    refused(b"\x80\x02c__builtin__\neval\n)R.", &["__builtin__.eval"]);
    refused(b"\x80\x02ctorch\nload\n)R.", &["torch.load"]);
    refused(b"\x80\x02(S'ls'\nios\nsystem\n.", &["STRING", "byte 3 "]);
    refused(b"\x80\x02\x8c\x02os\x8c\x06system\x93.", &["SHORT_BINUNICODE"]);
    refused(b"\x80\x02}ctorch\nTensor\n)\x81.", &["NEWOBJ"]);
    refused(b"\x80\x02\xff.", &["0xff", "byte 2 "]);
    refused(b"\x80\x02K\x01.", &["is 1", "state_dict"]);
    refused(b"\x80\x02}X\x01\0\0\0aK\x01s.", &["\"a\" is 1"]);
    refused(b"\x80\x02}K\x01K\x01s.", &["under 1 is 1"]);
}

#[test]
fn a_call_takes_only_what_pytorch_passes() {
    refused(b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.", &["a class is called", "byte"]);
    refused(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.", &["a function is called"]);
    refused(b"\x80\x02ctorch\nFloatStorage\n)R.", &["a PyTorch class is called"]);
    refused(b"\x80\x02K\x01)R.", &["something that is not a function is called"]);
    refused(b"\x80\x02K\x01Q.", &["1 where a tuple is needed"]);
}

#[test]
fn a_machine_that_runs_dry_is_an_error() {
    for pickle in [
        &b""[..],
        b"\x80",
        b"\x80\x02",
        b".",
        b"\x80\x02t.",
        b"\x80\x02(t",
        b"\x80\x02s.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02}q\x00h\x01.",
        b"\x80\x02K\x01(\x85.",
        b"\x80\x02X\xff\xff\xff\xffa.",
        b"\x80\x02X\x01\0\0\0\xff.",
        b"\x80\x02ctorch",
        b"\x80\x02K\x01b.",
        b"\x80\x02}K\x01a.",
        b"\x80\x02\x8a\x05a.",
        b"\x80\x02R.",
        b"\x80\x02Q.",
    ] {
        refused(pickle, &["damaged"]);
    }
    refused(&[b'N'; STACK_LIMIT + 2], &["more values"]);
    refused(&[b'('; STACK_LIMIT + 2], &["more values"]);
}

#[test]
fn every_truncation_of_a_pickle_is_refused() {
    let pickle = pickle_of("torch/pytorch_model.bin");
    assert!(read(&pickle).unwrap().tensors.len() > 20);
    for end in 0..pickle.len() {
        assert!(read(&pickle[..end]).is_err(), "{end} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None,
        ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_pickle_panics(
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..5),
        moved in prop::option::of((any::<Index>(), any::<Index>(), 0..40_usize)),
    ) {
        let mut pickle = pickle_of("torch/pytorch_model.bin");
        if let Some((from, to, length)) = moved {
            let from = from.index(pickle.len() - length);
            let piece = pickle[from..from + length].to_vec();
            let to = to.index(pickle.len());
            pickle.splice(to..to, piece);
        }
        for (index, byte) in changes {
            let at = index.index(pickle.len());
            pickle[at] = byte;
        }
        let _ = read(&pickle);
    }

    #[test]
    fn no_sequence_of_opcodes_panics(
        opcodes in prop::collection::vec((prop::sample::select(Opcode::BYTES), any::<[u8; 3]>(),
            0..4_usize), 0..60),
    ) {
        let mut pickle = Vec::new();
        for (opcode, arguments, count) in opcodes {
            pickle.push(opcode);
            pickle.extend(&arguments[..count.min(3)]);
        }
        let _ = read(&pickle);
    }
}
