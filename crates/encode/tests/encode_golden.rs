//! Compares every encoder with the reference's blocks in `fixtures/blocks/`, bit for bit, with
//! every instruction set of this CPU and with the scalar definition.
//!
//! The cases are generated from the table of types: `cargo test --test encode_golden -- Q4_K` runs
//! those of one type. A type without a fixture or an encoder is a failing case.
#![allow(clippy::unwrap_used, reason = "a test that cannot read its fixture has failed")]

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use granule_encode::{Encoder, Weighting, encode_rows, encoder};
use granule_format::BlockType;
use granule_reader::isa::Isa;
use libtest_mimic::{Arguments, Failed, Trial};
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

fn main() {
    let mut trials = Vec::new();
    for &ty in BlockType::ALL {
        let fixture = Fixture::read(ty).map(Arc::new);
        let encoder = encoder(ty);
        // F32 is a copy, which a unit test covers.
        if ty.is_quantized() || encoder.is_some() && ty != BlockType::F32 {
            let missing = missing(ty, fixture.is_some(), encoder.is_some());
            trials.push(Trial::test(format!("{ty}::complete"), || missing));
        }
        let Some(fixture) = fixture else { continue };
        let add =
            |name: &str, case: fn(&Fixture) -> Result<(), Failed>, trials: &mut Vec<Trial>| {
                let fixture = Arc::clone(&fixture);
                trials.push(Trial::test(format!("{ty}::{name}"), move || case(&fixture)));
            };
        add("decodes_encoded_blocks", decodes_encoded_blocks, &mut trials);
        if fixture.random_blocks.is_some() {
            add("decodes_random_blocks", decodes_random_blocks, &mut trials);
        }
        let Some(encoder) = encoder else { continue };
        for (tensor, weights) in [("encoded", false), ("encoded_imatrix", true)] {
            if !weights && encoder.weighting() == Weighting::Required {
                add("needs_weights", needs_weights, &mut trials);
                continue;
            }
            let mut case = |how: String, isa: Option<Isa>| {
                let fixture = Arc::clone(&fixture);
                trials.push(Trial::test(format!("{ty}::{tensor}::{how}"), move || {
                    encodes(encoder, &fixture, weights, isa)
                }));
            };
            case("definition".into(), None);
            for isa in Isa::available() {
                case(isa.to_string(), Some(isa));
            }
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The inputs of all fixtures.
struct Inputs {
    /// `rows * columns` values.
    values: Vec<f32>,
    columns: usize,
    weights: Vec<f32>,
    /// The kind of each row.
    kinds: Vec<String>,
}

static INPUTS: LazyLock<Inputs> = LazyLock::new(|| {
    let bytes = std::fs::read(folder().join("inputs.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let x = file.tensor("x").unwrap();
    Inputs {
        values: floats(x.data()),
        columns: x.shape()[1],
        weights: floats(file.tensor("imatrix").unwrap().data()),
        kinds: json(&metadata(&bytes, "kinds").unwrap()),
    }
});

/// The reference's encoding of the inputs in one type.
struct Fixture {
    ty: BlockType,
    encoded: Option<Vec<u8>>,
    encoded_imatrix: Option<Vec<u8>>,
    sha256_encoded: Option<String>,
    sha256_encoded_imatrix: Option<String>,
    random_blocks: Option<Vec<u8>>,
    random_decoded: Vec<f32>,
    /// Rows for which the reference reads uninitialised memory: skipped.
    undefined_rows: Vec<usize>,
    /// Rows whose blocks the reference's own validation rejects: ours must be valid and close.
    refused_rows: Vec<usize>,
}

impl Fixture {
    fn read(ty: BlockType) -> Option<Self> {
        let path = folder().join(ty.name().to_lowercase()).join("vectors.safetensors");
        let bytes = std::fs::read(path).ok()?;
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let number = |key| metadata(&bytes, key).unwrap().parse::<usize>().unwrap();
        assert_eq!(number("values_per_block"), ty.block_values(), "values of a {ty} block");
        assert_eq!(number("bytes_per_block"), ty.block_bytes(), "bytes of a {ty} block");
        let tensor = |name| {
            let tensor = file.tensor(name).ok()?;
            assert!(matches!(tensor.dtype(), Dtype::U8 | Dtype::F32));
            Some(tensor.data().to_vec())
        };
        Some(Self {
            ty,
            encoded: tensor("encoded"),
            encoded_imatrix: tensor("encoded_imatrix"),
            sha256_encoded: metadata(&bytes, "decoded_sha256_encoded"),
            sha256_encoded_imatrix: metadata(&bytes, "decoded_sha256_encoded_imatrix"),
            random_blocks: tensor("random_blocks"),
            random_decoded: floats(&tensor("random_decoded").unwrap_or_default()),
            undefined_rows: json(&metadata(&bytes, "undefined_rows").unwrap()),
            refused_rows: json(&metadata(&bytes, "refused_rows").unwrap()),
        })
    }
}

fn missing(ty: BlockType, fixture: bool, encoder: bool) -> Result<(), Failed> {
    match (fixture, encoder) {
        (true, true) => Ok(()),
        (false, _) => {
            Err(format!("{ty} has no fixtures/blocks/{}", ty.name().to_lowercase()).into())
        }
        (true, false) => Err(format!("{ty} has no encoder in encode/src").into()),
    }
}

fn decodes_encoded_blocks(fixture: &Fixture) -> Result<(), Failed> {
    let expected = [
        (&fixture.encoded, &fixture.sha256_encoded),
        (&fixture.encoded_imatrix, &fixture.sha256_encoded_imatrix),
    ];
    for (blocks, sha256) in expected {
        let (Some(blocks), Some(sha256)) = (blocks, sha256) else { continue };
        let values = decode(fixture.ty, blocks);
        let hash = Sha256::digest(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
        let hash = hash.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        if hash != *sha256 {
            return Err(format!("the decoded values have SHA-256 {hash}, expected {sha256}").into());
        }
    }
    Ok(())
}

fn decodes_random_blocks(fixture: &Fixture) -> Result<(), Failed> {
    let ty = fixture.ty;
    let blocks = fixture.random_blocks.as_ref().unwrap();
    let values = decode(ty, blocks);
    assert_eq!(values.len(), fixture.random_decoded.len());
    for (i, (ours, theirs)) in values.iter().zip(&fixture.random_decoded).enumerate() {
        if ours.to_bits() != theirs.to_bits() {
            let (block, value) = (i / ty.block_values(), i % ty.block_values());
            let bytes = &blocks[block * ty.block_bytes()..][..ty.block_bytes()];
            let at = format!("random block {block}, value {value}");
            return Err(format!("{at}: {ours:e}, expected {theirs:e}; {bytes:02x?}").into());
        }
    }
    Ok(())
}

fn encodes(
    encoder: &dyn Encoder,
    fixture: &Fixture,
    weighted: bool,
    isa: Option<Isa>,
) -> Result<(), Failed> {
    let ty = encoder.block_type();
    let Inputs { values, columns, weights, kinds } = &*INPUTS;
    // If weights change nothing, one tensor serves both forms.
    let theirs = if weighted { fixture.encoded_imatrix.as_ref() } else { None };
    let theirs = theirs.or(fixture.encoded.as_ref()).unwrap();
    let weights = weighted.then_some(&weights[..]);
    let mut ours = vec![0xa5; theirs.len()];
    match isa {
        Some(isa) => encoder.encode(isa, values, *columns, weights, &mut ours),
        None => encoder.encode_by_definition(values, *columns, weights, &mut ours),
    }

    let row_bytes = theirs.len() / kinds.len();
    let rows = ours.chunks(row_bytes).zip(theirs.chunks(row_bytes)).zip(values.chunks(*columns));
    for (row, ((ours, theirs), values)) in rows.enumerate() {
        if fixture.undefined_rows.contains(&row) {
            continue;
        }
        let at = format!("{ty} row {row} ({})", kinds[row]);
        if fixture.refused_rows.contains(&row) {
            valid_and_close(ty, ours, values).map_err(|why| format!("{at}: {why}"))?;
            continue;
        }
        if let Some(byte) = ours.iter().zip(theirs).position(|(a, b)| a != b) {
            let (block, byte) = (byte / ty.block_bytes(), byte % ty.block_bytes());
            let block_of =
                |row: &[u8]| row[block * ty.block_bytes()..][..ty.block_bytes()].to_vec();
            let (ours, theirs) = (block_of(ours), block_of(theirs));
            let at = format!("{at}, block {block}, byte {byte}");
            return Err(format!("{at}:\nours     {ours:02x?}\nexpected {theirs:02x?}").into());
        }
    }
    Ok(())
}

/// Checks that the row is valid and that its values decode to within a fifth of the largest of
/// them: half the coarsest step of a type with floating-point codes.
fn valid_and_close(ty: BlockType, row: &[u8], values: &[f32]) -> Result<(), String> {
    if let Some((block, defect)) = ty.first_defect(row) {
        return Err(format!("block {block}: {defect}"));
    }
    let decoded = decode(ty, row);
    let largest = values.iter().fold(0.0, |largest: f32, v| largest.max(v.abs()));
    for (i, (value, decoded)) in values.iter().zip(&decoded).enumerate() {
        if !decoded.is_finite() || (value - decoded).abs() > largest * 0.2 {
            return Err(format!("value {i} is {value:e} and decodes to {decoded:e}"));
        }
    }
    Ok(())
}

fn needs_weights(fixture: &Fixture) -> Result<(), Failed> {
    let Inputs { values, columns, .. } = &*INPUTS;
    let rows = values.len() / columns;
    let mut out = vec![0; fixture.ty.block_bytes() * values.len() / fixture.ty.block_values()];
    match encode_rows(Isa::detect(), fixture.ty, values, *columns, None, &mut out) {
        Err(error) if error.to_string().contains("importance") => Ok(()),
        other => Err(format!("{rows} rows without weights gave {other:?}").into()),
    }
}

fn decode(ty: BlockType, blocks: &[u8]) -> Vec<f32> {
    let mut values = vec![0.0; blocks.len() / ty.block_bytes() * ty.block_values()];
    ty.decode_row(blocks, &mut values);
    values
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/blocks")
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

fn metadata(file: &[u8], key: &str) -> Option<String> {
    let (_, header) = SafeTensors::read_metadata(file).unwrap();
    header.metadata().as_ref()?.get(key).cloned()
}
