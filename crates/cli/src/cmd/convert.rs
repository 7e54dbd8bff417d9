//! `granule convert`, also called `granule quantize`: checkpoints and GGUF files to GGUF files.

mod calibrate;
mod fill;
mod given;
mod idle;
mod input;
mod name;
mod options;
mod page;
mod parts;
mod report;
mod size;
mod tensor_types;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use granule_convert::plan::run_all;
use granule_convert::run::{Event, RunOptions, check_output};
use granule_convert::{Plan, PlanError};
use granule_encode::Importance;
use granule_format::Endian;

use crate::interrupt;
use crate::output;
use crate::progress::Progress;
use crate::source;

use input::Input;
pub(crate) use options::Args;
use options::Wanted;
use parts::Parts;
use size::Chosen;

/// A plan and the path of its result.
#[derive(Debug)]
struct Job {
    plan: Plan,
    path: PathBuf,
    /// The reasons why the plan cannot run.
    problems: Vec<PlanError>,
    /// How the types were chosen, if it is for a size.
    chosen: Option<Chosen>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.print_supported_models {
        idle::refuse_besides_models(args)?;
        report::supported_models(args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = Wanted::of(args)?;
    idle::refuse(args, &wanted)?;
    // before anything is read: a device is no output
    if let Some(output) = wanted.output.as_deref().filter(|output| !source::is_folder(output)) {
        match source::is_url(output) {
            true => source::check_result(output)?,
            false => check_output(output)?,
        }
    }
    let input = Input::open(args, &wanted)?;
    if !args.quiet {
        // they may say how to repair what is an error of the result
        input.warnings().iter().for_each(|warning| output::warn(warning));
    }
    let importance = args.imatrix.as_deref().map(Importance::read).transpose()?;
    let jobs = jobs(args, &wanted, &input, importance.as_ref())?;
    let plans: Vec<&Plan> = jobs.iter().map(|job| &job.plan).collect();
    let mut notes = idle::notes(args, &input, &plans);
    notes.extend(jobs.iter().filter_map(|job| job.chosen.as_ref()).flat_map(Chosen::notes));
    if args.dry_run {
        return dry_run(args, &input, &jobs, &notes);
    }
    if let Some(problem) = jobs.iter().find_map(|job| job.problems.first()) {
        return Err(problem.clone().into());
    }
    page::check(args.report.as_deref(), &jobs, &input.source().inputs())?;
    if !args.quiet {
        report::warn(&input, &jobs, &notes);
    }

    if let Some(wanted) = args.part {
        parts::refuse(wanted, &jobs)?;
    }
    let part = match args.part {
        Some(Parts::List) => {
            parts::list(&jobs[0], args.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Parts::One(part)) => {
            if !args.quiet {
                parts::note(part, &jobs[0]);
            }
            Some(part)
        }
        None => None,
    };
    let progress = Progress::new(!(args.quiet || args.json));
    let calibration = calibrate::calibration(args, &input, &plans)?;
    let is_uploaded = jobs.iter().any(|job| source::is_url(&job.path));
    let uploads = if is_uploaded { Some(source::uploads()?) } else { None };
    let options = RunOptions {
        calibration: calibration.map(Arc::new),
        threads: wanted.threads,
        part,
        restart: args.restart,
        verify: args.verify,
        inputs: args.inputs(),
        stop: Some(interrupt::flag()),
        uploads,
        ..RunOptions::default()
    };
    let plans: Vec<_> = jobs.iter().map(|job| (&job.plan, job.path.as_path())).collect();
    let continued = AtomicBool::new(false);
    let result = run_all(input.source(), &plans, importance.as_ref(), &options, &|event| {
        progress.on(&event);
        continued.fetch_or(matches!(event, Event::Continued { .. }), Ordering::Relaxed);
        if !args.quiet {
            say(&event);
        }
    });
    progress.finish();
    let summary = result?;
    if args.resume && !args.quiet && !continued.into_inner() {
        output::warn("--resume has no effect: no interrupted run has left anything");
    }
    if let Some(page) = &args.report {
        let notes = (wanted.threads, page::notes(&input, &jobs, &notes));
        page::page(page, &input, &jobs, &summary, importance.as_ref(), notes)?;
    }
    if args.json {
        let warnings = report::warnings(&input, &jobs, &notes);
        output::print_json(&report::json(warnings, &input, &jobs, &summary))?;
    } else if !args.quiet {
        let exact = report::exactness(&input, report::NAMED);
        output::print(&(report::text(&jobs, &summary) + &exact))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Report what a run does with the leftovers of an interrupted one.
fn say(event: &Event<'_>) {
    match event {
        Event::LeftoverRemoved { path } => {
            let path = path.display();
            output::warn(&format!("{path}: what an interrupted run had left was removed"));
        }
        Event::Continued { complete, tensors } => {
            let tensors = output::counted(*tensors, "tensor");
            output::note(&format!("continuing: {complete} of {tensors} are complete"));
        }
        Event::FewInputs { tensor, expert, inputs, matrices } => output::warn(&format!(
            "{tensor}: expert {expert} met {} of the calibration text; matrices of experts that \
             met few ({matrices} in all) are encoded with the mean of all experts",
            output::counted(*inputs as usize, "token"),
        )),
        Event::ChunkLost { lost } => output::warn(&lost.to_string()),
        _ => {}
    }
}

fn jobs(
    args: &Args,
    wanted: &Wanted,
    input: &Input,
    importance: Option<&Importance>,
) -> anyhow::Result<Vec<Job>> {
    let mut jobs = Vec::new();
    let chosen = size::choose(args, wanted, input.source(), importance)?;
    if let Some(path) = &args.plan {
        let plan = saved_plan(path, input, importance)?;
        jobs.push((plan, Vec::new()));
    }
    if let Some(Chosen { sized, .. }) = &chosen {
        jobs.push((sized.plan.clone(), sized.problems.clone()));
    }
    for recipe in wanted.recipes(args) {
        jobs.push(Plan::preview(input.source(), &recipe, importance)?);
    }
    if jobs.is_empty() {
        input.has_a_type(args)?;
        jobs.push((Plan::as_is(input.source(), &args.split(), args.allow_invalid)?, Vec::new()));
    }
    if let (Some(output), 2..) = (&wanted.output, jobs.len())
        && !(source::is_folder(output) || fill::is_pattern(output))
    {
        bail!(
            "{}: several types need a folder to be written to, or {{ftype}} in the name",
            output.display()
        );
    }
    let model = input.model(args);
    let quantized = args.plan.is_some() || !wanted.file_types.is_empty();
    let mut chosen = chosen;
    let with_path = |(plan, problems): (Plan, _)| {
        let file_type = quantized.then(|| plan.file_type());
        let chosen = chosen.take();
        let label = match &chosen {
            Some(chosen) => chosen.label.clone(),
            None => input.type_name(file_type).to_owned(),
        };
        let filled = match &wanted.output {
            Some(path) if !source::is_folder(path) => Some(fill::fill(path, &label)?),
            other => other.clone(),
        };
        let named = (quantized || chosen.is_some()).then_some(label.as_str());
        let path = name::output(filled.as_deref(), &args.source, &model, named);
        let plan = if args.bigendian { plan.with_endian(Endian::Big) } else { plan };
        Ok(Job { plan, path, problems, chosen })
    };
    jobs.into_iter().map(with_path).collect()
}

fn saved_plan(path: &Path, input: &Input, importance: Option<&Importance>) -> anyhow::Result<Plan> {
    let name = || path.display().to_string();
    let json = granule_reader::file::read_to_string(path).with_context(name)?;
    Plan::from_json(&json, input.source(), importance).with_context(name)
}

/// Show the plans, and everything that stands in their way.
fn dry_run(args: &Args, input: &Input, jobs: &[Job], notes: &[String]) -> anyhow::Result<ExitCode> {
    if args.json && jobs.len() > 1 {
        bail!("a saved plan is for one type; give one with -t");
    }
    for job in jobs {
        let text = match args.json {
            true => job.plan.to_json() + "\n",
            false => {
                let chosen = job.chosen.as_ref().map(Chosen::text).unwrap_or_default();
                report::plan(&job.plan) + &chosen + &report::exactness(input, usize::MAX)
            }
        };
        output::print(&text)?;
    }
    if !args.quiet {
        report::warn(input, jobs, notes);
    }
    let problems: Vec<_> = jobs.iter().flat_map(|job| &job.problems).collect();
    for problem in &problems {
        output::report_failure(&anyhow::Error::new((*problem).clone()), "convert");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
