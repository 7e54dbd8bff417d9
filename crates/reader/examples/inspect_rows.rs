//! Statistics of tensors: `cargo run --release -p granule-reader --example inspect_rows -- MODEL.gguf TENSOR`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use granule_reader::{Model, Tensor};

/// Print the smallest and the largest value of tensors, their mean, root mean square and number of zeros. Only a
/// few rows are in memory at a time.
#[derive(Parser)]
struct Arguments {
    /// The model, or one file of a split set
    model: PathBuf,
    /// Names of tensors; all if none is given
    tensors: Vec<String>,
    /// Only rows from the first to before the second number: `10..20`, `10..`, `..20`
    #[arg(long, value_parser = parse_rows, default_value = "..", hide_default_value = true)]
    rows: (u64, Option<u64>),
    /// A line for each row
    #[arg(long)]
    each: bool,
}

/// Values that are decoded at a time.
const VALUES: usize = 1 << 16;

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
        let step = if arguments.each { 1 } else { (VALUES / tensor.row_values().max(1)).max(1) };
        let mut values = Vec::new();
        for first in (start..end).step_by(step) {
            let behind = end.min(first + step as u64);
            values.resize((behind - first) as usize * tensor.row_values(), 0.0);
            tensor.decode_rows(first..behind, &mut values)?;
            if arguments.each {
                all = Statistics::new();
            }
            all.add(&values);
            if arguments.each {
                all.print(&format!("{first} of {label}"));
            }
        }
        if !arguments.each {
            all.print(&format!("{start}..{end} of {label}"));
        }
    }
    Ok(())
}

/// What is known about the values so far. Those that are not finite are counted only.
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

fn parse_rows(text: &str) -> Result<(u64, Option<u64>)> {
    let (start, end) = text.split_once("..").context("write 10..20")?;
    let number = |text: &str| (!text.is_empty()).then(|| text.parse::<u64>()).transpose();
    Ok((number(start)?.unwrap_or(0), number(end)?))
}
