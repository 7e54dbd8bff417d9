//! The program of somebody who has read nothing but the first pages of the documentation: quantize
//! a matrix, write a file, open it, iterate, metadata, rows, product. It must compile and run
//! without a cast or a workaround.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use granule_encode::{EncodeOptions, Importance, encode};
use granule_format::{BlockType, Draft, Metadata, Shape, Writer};
use granule_reader::Model;

const ROWS: usize = 3;
const COLUMNS: usize = 256;

fn write(path: &Path, matrix: &[f32], importance: &Importance) -> Result<(), Box<dyn Error>> {
    let ty: BlockType = "Q4_K".parse()?;
    let weights = importance.get("output.weight");
    let blocks = encode(ty, matrix, COLUMNS, weights, &EncodeOptions::default())?;

    let mut metadata = Metadata::new();
    metadata.set("general.name", "tiny");
    let mut draft = Draft::new(metadata, Default::default())?;
    draft.add("output.weight", Shape::new(&[256, 3]).ok_or("too many dimensions")?, ty.into())?;
    let mut writer = Writer::start(std::fs::File::create(path)?, draft)?;
    let mut tensor = writer.tensor("output.weight")?;
    tensor.write_all(&blocks)?;
    tensor.finish()?;
    writer.finish()?;
    Ok(())
}

/// What the file lists, the values of the matrix, and the sums of its rows.
type Found = (String, Vec<f32>, Vec<f32>);

fn read(path: &Path) -> Result<Found, Box<dyn Error>> {
    let model = Model::open(path)?;
    let name: &str = model.metadata().require("general.name")?;
    let mut listing = format!("{name}:");
    for tensor in &model {
        listing += &format!(" {} {} {}", tensor.name(), tensor.ty(), tensor.shape());
    }
    let output = model.tensor("output.weight").ok_or("no such tensor")?;
    let (x, mut y) = (vec![1.0; output.row_values()], vec![0.0; output.rows()]);
    output.matvec(&x, &mut y)?;
    Ok((listing, output.to_vec()?, y))
}

#[test]
fn it_compiles_and_runs() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tiny.gguf");
    let matrix: Vec<f32> = (0..ROWS * COLUMNS).map(|i| (i as f32 * 0.01).sin()).collect();
    let mut importance = Importance::new("by hand");
    importance.insert("output.weight", vec![1.0; COLUMNS])?;
    write(&path, &matrix, &importance)?;

    let (listing, values, products) = read(&path)?;
    assert_eq!(listing, "tiny: output.weight Q4_K 256 x 3");
    assert!(matrix.iter().zip(&values).all(|(a, b)| (a - b).abs() < 0.1));
    for (row, product) in values.chunks(COLUMNS).zip(products) {
        assert!((row.iter().sum::<f32>() - product).abs() < 1.0);
    }
    let report = granule_format::check(&std::fs::read(&path)?, &Default::default());
    assert_eq!(
        report.findings.iter().filter(|finding| finding.rule.id.starts_with('H')).count(),
        0
    );
    Ok(())
}
