//! Everything that a change has to pass: `cargo xtask ci`.

mod cost;
mod links;
mod markdown;
mod prose;
mod python;
mod toolchain;

use std::process::Command;

use anyhow::bail;

use cost::{Cost, Ended, Report, Start};
use xtask::run::{cargo, has_subcommand, root};

const HELP: &str = "cargo xtask ci [--no-skips] [STEP ...]
    STEP          run these steps only
    --no-skips    fail if a step cannot run on this machine

Steps:";

/// How a step ends that does not fail.
enum Outcome {
    Passed,
    /// The step cannot run on this machine; the reason.
    Skipped(String),
}

struct Step {
    name: &'static str,
    help: &'static str,
    run: fn() -> anyhow::Result<Outcome>,
}

/// The steps, those that fail soonest first.
const STEPS: &[Step] = &[
    step("format", "the sources are formatted (`cargo fmt --all` formats them)", format),
    step("links", "relative links and anchors in Markdown files lead somewhere", links::check),
    step("prose", "spelling, words and width of documents and comments", prose::check),
    step(
        "lint",
        "the oldest Rust that the manifest names builds all targets, and its clippy is silent",
        toolchain::lint,
    ),
    step("features", "crates build without their default features", toolchain::features),
    step("wasm", "crates build for wasm32-unknown-unknown", toolchain::wasm),
    step("test", "unit, integration and documentation tests; examples build", test),
    step("page", "a page about a conversion, in a browser (Chromium)", page),
    step("benches", "every benchmark runs once", benches),
    step(
        "python",
        "the Python package: wheel and tests (Python 3.9 or newer with pip)",
        python::python,
    ),
    step("docs", "the documentation builds without warnings", toolchain::docs),
    step("deny", "licences, advisories and sources of dependencies", deny),
];

const fn step(
    name: &'static str,
    help: &'static str,
    run: fn() -> anyhow::Result<Outcome>,
) -> Step {
    Step { name, help, run }
}

/// Run all steps, or those that are named, up to the first that fails, and print what each cost.
pub(crate) fn ci(arguments: &[String]) -> anyhow::Result<()> {
    let (options, names): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|argument| argument.starts_with('-'));
    let unknown = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name));
    if let Some(unknown) = unknown.or(options.iter().find(|option| **option != "--no-skips")) {
        println!("{HELP}");
        STEPS.iter().for_each(|step| println!("    {:<10}    {}", step.name, step.help));
        bail!("{unknown} is neither a step nor an option");
    }
    let is_asked_for = |name: &str| names.is_empty() || names.iter().any(|it| *it == name);
    if is_asked_for("python") {
        python::prepare();
    }
    let mut report = Report::default();
    let mut result = Ok(());
    for step in STEPS.iter().filter(|step| is_asked_for(step.name)) {
        if result.is_err() {
            report.add(step.name, Cost::default(), Ended::NotRun);
            continue;
        }
        println!("== {}: {}", step.name, step.help);
        let start = Start::now();
        let outcome = (step.run)();
        let cost = start.cost();
        let ended = match outcome {
            Ok(Outcome::Passed) => Ended::Passed,
            Ok(Outcome::Skipped(reason)) => {
                println!("skipped: {reason}");
                if !options.is_empty() {
                    result = Err(anyhow::anyhow!("{} cannot run: {reason}", step.name));
                }
                Ended::Skipped(reason)
            }
            Err(error) => {
                result = Err(error.context(step.name));
                Ended::Failed
            }
        };
        report.add(step.name, cost, ended);
    }
    print!("{report}");
    result
}

fn format() -> anyhow::Result<Outcome> {
    cargo(&["fmt", "--all", "--", "--check"], &[])?;
    Ok(Outcome::Passed)
}

/// Builds the examples too, and runs the documentation tests.
fn test() -> anyhow::Result<Outcome> {
    cargo(&["test", "--workspace"], &[])?;
    Ok(Outcome::Passed)
}

/// The test that needs a browser.
fn page() -> anyhow::Result<Outcome> {
    let named = std::env::var("CHROMIUM").into_iter();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let starts = |name: &String| {
        let output = Command::new(name).arg("--version").output();
        output.is_ok_and(|output| output.status.success())
    };
    let Some(browser) = named.chain(names.map(str::to_owned)).find(starts) else {
        let reason = format!("there is no browser: none of {}", names.join(", "));
        return Ok(Outcome::Skipped(reason));
    };
    // the whole workspace, because its programs are built already
    let test = ["test", "--workspace", "--test", "it", "--", "--ignored", "a_page_in_a_browser"];
    cargo(&test, &[("CHROMIUM", &browser)])?;
    Ok(Outcome::Passed)
}

/// Without `--bench`, which `cargo bench` passes, criterion runs every benchmark once.
fn benches() -> anyhow::Result<Outcome> {
    cargo(&["test", "--workspace", "--bench", "*"], &[])?;
    Ok(Outcome::Passed)
}

fn deny() -> anyhow::Result<Outcome> {
    if !has_subcommand("deny") {
        let reason = "cargo-deny is not installed, and takes minutes to build; \
                      `cargo install cargo-deny` installs it";
        return Ok(Outcome::Skipped(reason.to_owned()));
    }
    cargo(&["deny", "check"], &[])?;
    Ok(Outcome::Passed)
}

/// All files of the repository whose name ends in `.<extension>`, sorted by path, without test data
/// and what cargo builds.
fn files(extension: &str) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                // folders of fixtures hold checkpoints, with model cards that others wrote
                let fixture = folder.parent().is_some_and(|above| above.ends_with("fixtures"));
                if !(name.starts_with('.') || name == "target" || fixture) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|end| end == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
