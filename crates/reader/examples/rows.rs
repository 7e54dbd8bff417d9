//! Decode rows of a tensor: `cargo run --example rows -- FILE TENSOR [FIRST [COUNT]]`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;

use granule_reader::Model;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err("usage: rows FILE TENSOR [FIRST [COUNT]]".into());
    };
    let first = arguments.next().map_or(Ok(0), |text| text.parse::<u64>())?;
    let count = arguments.next().map_or(Ok(1), |text| text.parse::<u64>())?;

    let model = Model::open(file)?;
    let tensor = model.tensor(&name).ok_or("there is no such tensor")?;
    println!("{name}: {}, {}", tensor.ty(), tensor.shape());
    let end = first.checked_add(count).filter(|end| *end <= tensor.rows());
    let Some(end) = end else { return Err(format!("there are {} rows", tensor.rows()).into()) };
    // one row at a time: memory for one row, however large the tensor is
    let mut row = vec![0.0; tensor.row_values()];
    for index in first..end {
        tensor.decode_rows(index..index + 1, &mut row)?;
        println!("{index}: {row:?}");
    }
    Ok(())
}
