//! Statistics of tensors:
//! `cargo run --release -p granule-reader --example inspect_rows -- MODEL.gguf TENSOR`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use granule_reader::{Model, Tensor};

/// Print the smallest and the largest value of tensors, their mean, root mean square and number of
/// zeros. Only a few rows are in memory at a time.
#[derive(Parser)]
struct Arguments {
    /// The model, or one file of a split set
    model: PathBuf,
    /// Names of tensors; all if none is given
    tensors: Vec<String>,
    /// Range of rows, such as `10..20`, `10..` or `..20`
    #[arg(long, value_parser = parse_rows, default_value = "..", hide_default_value = true)]
    rows: (usize, Option<usize>),
    /// Print a line for each row
    #[arg(long)]
    each: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let model = Model::open(&arguments.model)?;
    let tensors: Vec<Tensor<'_>> = if arguments.tensors.is_empty() {
        model.tensors().collect()
    } else {
        let find = |name: &String| {
            model.tensor(name).with_context(|| format!("there is no tensor {name:?}"))
        };
        arguments.tensors.iter().map(find).collect::<Result<_>>()?
    };

    println!(
        "{:>12} {:>12} {:>12} {:>12} {:>12} {:>12} {:>10}  rows of tensor",
        "values", "min", "max", "mean", "RMS", "zeros", "not finite"
    );
    for tensor in tensors {
        let (start, end) = (arguments.rows.0, arguments.rows.1.unwrap_or(tensor.rows()));
        let (name, rows) = (tensor.name(), tensor.rows());
        ensure!(start <= end && end <= rows, "rows {start}..{end} of {name}, which has {rows}");
        let label = format!("{} ({}, {})", tensor.name(), tensor.ty(), tensor.shape());
        let mut all = Statistics::new();
        let mut reader = tensor.row_reader(start..end);
        let mut number = start;
        while let Some(row) = reader.next_row()? {
            if arguments.each {
                all = Statistics::new();
            }
            all.add(row);
            if arguments.each {
                all.print(&format!("{number} of {label}"));
            }
            number += 1;
        }
        if !arguments.each {
            all.print(&format!("{start}..{end} of {label}"));
        }
    }
    Ok(())
}

/// Statistics of the values so far. Values that are not finite are only counted.
struct Statistics {
    finite: u64,
    not_finite: u64,
    zeros: u64,
    min: f32,
    max: f32,
    sum: f64,
    squares: f64,
}

impl Statistics {
    fn new() -> Self {
        let (min, max) = (f32::INFINITY, f32::NEG_INFINITY);
        Self { finite: 0, not_finite: 0, zeros: 0, min, max, sum: 0.0, squares: 0.0 }
    }

    fn add(&mut self, values: &[f32]) {
        for value in values {
            if !value.is_finite() {
                self.not_finite += 1;
                continue;
            }
            self.finite += 1;
            self.zeros += u64::from(*value == 0.0);
            (self.min, self.max) = (self.min.min(*value), self.max.max(*value));
            self.sum += f64::from(*value);
            self.squares += f64::from(*value).powi(2);
        }
    }

    fn print(&self, label: &str) {
        let count = self.finite.max(1) as f64;
        println!(
            "{:>12} {:>12.6} {:>12.6} {:>12.9} {:>12.9} {:>12} {:>10}  {label}",
            self.finite + self.not_finite,
            self.min,
            self.max,
            self.sum / count,
            (self.squares / count).sqrt(),
            self.zeros,
            self.not_finite
        );
    }
}

fn parse_rows(text: &str) -> Result<(usize, Option<usize>)> {
    let (start, end) = text.split_once("..").context("write 10..20")?;
    let number = |text: &str| (!text.is_empty()).then(|| text.parse::<usize>()).transpose();
    Ok((number(start)?.unwrap_or(0), number(end)?))
}
