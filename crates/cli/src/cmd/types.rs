//! `granule types`: the table of block types.

use std::process::ExitCode;

use granule_encode::{Weighting, encoder};
use granule_format::BlockType;
use serde::Serialize;
use serde_json::json;

use crate::output::{self, Align, Table};

/// List the block types: number, size, and whether they can be decoded and encoded
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    id: u32,
    block_values: usize,
    block_bytes: usize,
    bits_per_value: f64,
    decode: bool,
    encode: bool,
    /// What an importance matrix means to the encoder.
    importance: Option<&'static str>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let rows: Vec<Row> = BlockType::ALL.iter().map(|ty| row(*ty)).collect();
    if args.json {
        output::print_json(&json!({ "schema": output::SCHEMA, "types": rows }))?;
    } else {
        output::print(&table(&rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(ty: BlockType) -> Row {
    let encoder = encoder(ty);
    Row {
        name: ty.name(),
        id: ty.id(),
        block_values: ty.block_values(),
        block_bytes: ty.block_bytes(),
        bits_per_value: ty.bits_per_value(),
        decode: true,
        encode: encoder.is_some(),
        importance: encoder.map(|encoder| match encoder.weighting() {
            Weighting::Ignored => "ignored",
            Weighting::Optional => "optional",
            Weighting::Required => "required",
        }),
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&[
        ("type", Align::Left),
        ("number", Align::Right),
        ("values/block", Align::Right),
        ("bytes/block", Align::Right),
        ("bits/value", Align::Right),
        ("decode", Align::Left),
        ("encode", Align::Left),
        ("importance matrix", Align::Left),
    ]);
    let yes_no = |yes| if yes { "yes" } else { "no" }.to_owned();
    for row in rows {
        table.row([
            row.name.to_owned(),
            row.id.to_string(),
            row.block_values.to_string(),
            row.block_bytes.to_string(),
            row.bits_per_value.to_string(),
            yes_no(row.decode),
            yes_no(row.encode),
            row.importance.unwrap_or("-").to_owned(),
        ]);
    }
    table.render()
}
