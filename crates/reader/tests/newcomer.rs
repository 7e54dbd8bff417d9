//! The program of somebody who has read nothing but the first page of the documentation: open,
//! iterate, metadata, rows, product. It must compile and run without a cast or a workaround.

#![allow(clippy::unwrap_used, reason = "tests")]

use granule_reader::format::{BlockType, Draft, Metadata, Shape};
use granule_reader::{Matrix, Model};

/// The largest value of each row, and the products with a vector of ones, summed.
fn program(file: Vec<u8>) -> Result<(String, Vec<f32>, f32), Box<dyn std::error::Error>> {
    let model = Model::from_bytes(file)?;

    let name = model.metadata().text("general.name")?.unwrap_or("no name");
    let mut listing = format!("{name}, {} tensors:", model.tensors().len());
    for tensor in &model {
        listing += &format!(" {} ({}, {})", tensor.name(), tensor.ty(), tensor.shape());
    }
    let last = model.tensors().next_back().ok_or("no tensors")?;

    let mut largest = Vec::with_capacity(last.rows());
    let mut rows = last.row_reader(..);
    while let Some(row) = rows.next_row()? {
        largest.push(row.iter().copied().fold(f32::MIN, f32::max));
    }
    let all = last.to_vec()?;
    assert_eq!(all.len(), last.rows() * last.row_values());
    let mut first = vec![0.0; last.row_values()];
    last.decode_rows(..1, &mut first)?;
    assert_eq!(first, all[..first.len()]);

    let packed = last.pack()?;
    let mut sums = Vec::new();
    for matrix in [&last as &dyn Matrix, &packed] {
        let (x, mut y) = (vec![1.0; matrix.row_values()], vec![0.0; matrix.rows()]);
        matrix.matvec(&x, &mut y)?;
        sums.push(y.iter().sum::<f32>());
    }
    assert!((sums[0] - sums[1]).abs() < 1e-3);
    Ok((listing, largest, sums[0]))
}

#[test]
fn it_compiles_and_runs() {
    let mut metadata = Metadata::new();
    metadata.set("general.name", "tiny");
    let mut draft = Draft::new(metadata, Default::default()).unwrap();
    draft.add("norm", Shape::new(&[4]).unwrap(), BlockType::F32.into()).unwrap();
    draft.add("output", Shape::new(&[32, 2]).unwrap(), BlockType::Q8_0.into()).unwrap();
    let mut file = draft.header();
    file.resize(file.len() + 32, 0);
    for code in [1, 2] {
        file.extend([0x00, 0x3c]); // 1 in half precision
        file.extend([code; 32]);
    }
    let (listing, largest, sum) = program(file).unwrap();
    assert_eq!(listing, "tiny, 2 tensors: norm (F32, 4) output (Q8_0, 32 x 2)");
    assert_eq!(largest, [1.0, 2.0]);
    assert!((sum - 96.0).abs() < 1.0, "{sum}");
}
