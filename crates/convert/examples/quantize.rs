//! Quantizes a GGUF file: `cargo run --release -p granule-convert --example quantize -- IN.gguf
//! OUT.gguf Q4_K_M`.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;

use granule_convert::run::{OutputFile, RunOptions, run};
use granule_convert::{Plan, Recipe};
use granule_reader::GgufSource;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, file_type] = arguments.as_slice() else {
        return Err("three arguments: IN.gguf OUT.gguf TYPE".into());
    };
    let source = GgufSource::open(input)?;
    let plan = Plan::new(&source, &Recipe::new(file_type.parse()?), None)?;
    let mut files = plan.drafts()?.into_iter();
    let file = OutputFile { path: output.into(), draft: files.next().ok_or("one file")? };
    let options = RunOptions::default();
    let summary = run(&source, vec![file], &plan.targets(0, None), &options, &|_| ())?;
    println!("{} values in {:.2} s", summary.values, summary.elapsed.as_secs_f64());
    Ok(())
}
