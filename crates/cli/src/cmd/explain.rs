//! `granule explain`: the page of a rule of `granule check`.

use std::process::ExitCode;

use anyhow::bail;
use granule_format::check::{self, RULES};
use granule_format::nearest::{did_you_mean, nearest};
use serde_json::{Value, json};

use crate::output::{self, Align, Table};

/// Explain a rule of `check`; without a rule, list them all
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The rule's id, such as T012
    rule: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.rule {
        Some(id) => one(id, args.json)?,
        None => all(args.json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn one(id: &str, json: bool) -> anyhow::Result<()> {
    let rule = check::rule(id.trim());
    let Some(rule) = rule else {
        let ids = RULES.iter().flat_map(|rule| [rule.id, rule.name]);
        let near = match nearest(id.trim(), ids).as_slice() {
            [] => "; `granule explain` lists them".to_owned(),
            names => did_you_mean(names),
        };
        bail!("there is no rule {id:?}{near}");
    };
    if json {
        let mut document = json!({ "schema": output::SCHEMA });
        if let (Some(document), Value::Object(fields)) =
            (document.as_object_mut(), serde_json::to_value(rule)?)
        {
            document.extend(fields);
        }
        document["page"] = rule.page.into();
        return output::print_json(&document);
    }
    output::print(&format!(
        "{} ({}, {})\n\n{}\n",
        rule.id,
        rule.name,
        rule.severity,
        rule.page.trim()
    ))
}

fn all(json: bool) -> anyhow::Result<()> {
    if json {
        return output::print_json(&json!({ "schema": output::SCHEMA, "rules": RULES }));
    }
    let mut table =
        Table::new(&[("rule", Align::Left), ("severity", Align::Left), ("what", Align::Left)]);
    for rule in RULES {
        table.row([rule.id.to_owned(), rule.severity.to_string(), rule.summary()]);
    }
    output::print(&table.render())
}
