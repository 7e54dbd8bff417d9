//! Decode rows of a tensor: `cargo run --example rows -- FILE TENSOR [FIRST [COUNT]]`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;

use granule_reader::Model;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err("usage: rows FILE TENSOR [FIRST [COUNT]]".into());
    };
    let first = arguments.next().map_or(Ok(0), |text| text.parse::<usize>())?;
    let count = arguments.next().map_or(Ok(1), |text| text.parse::<usize>())?;

    let model = Model::open(file)?;
    let tensor = model.tensor(&name).ok_or("there is no such tensor")?;
    println!("{name}: {}, {}", tensor.ty(), tensor.shape());
    let end = first.checked_add(count).filter(|end| *end <= tensor.rows());
    let Some(end) = end else { return Err(format!("there are {} rows", tensor.rows()).into()) };
    // a few rows at a time: memory does not grow with the tensor
    let mut rows = tensor.row_reader(first..end);
    let mut index = first;
    while let Some(row) = rows.next_row()? {
        println!("{index}: {row:?}");
        index += 1;
    }
    Ok(())
}
