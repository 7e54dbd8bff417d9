//! Options that have no effect: no option is silently ignored.
//!
//! If the user cannot have meant it, it is an error before any work; if it is harmless, a warning.
//! The plan finds options that name something that does not exist (a tensor, a layer). Permissions
//! (`--allow-...`) and limits that turn out not to be needed are silent.

use std::path::Path;

use anyhow::bail;
use granule_convert::mixture::Kept;
use granule_convert::plan::Reason;
use granule_convert::{Plan, PlannedTensor};
use granule_encode::{Effort, Weighting, encoder_at};
use granule_format::FileType;

use super::given::{About, given};
use super::input::Input;
use super::options::{Args, NO_SOURCE, Wanted};

/// Refuse options that have no meaning on this command line.
pub(super) fn refuse(args: &Args, wanted: &Wanted) -> anyhow::Result<()> {
    let mut idle = args.size.idle_without_size().into_iter();
    if let Some((option, _)) = idle.find(|(_, given)| *given && !args.size.is_given()) {
        bail!("{option} has no effect without --target-size or --like");
    }
    let decided = args.plan.is_some() || args.size.is_given();
    for (option, about) in given(args) {
        if let Some(plan) = &args.plan
            && matches!(about, About::Quantizing | About::Files)
            && option != "--imatrix"
        {
            bail!(
                "{option} is decided by the plan of --plan {}: change it there, or make the plan \
                 anew",
                plan.display()
            );
        }
        if args.vocab_only && matches!(about, About::Quantizing | About::CheckpointTensors) {
            bail!("{option} has no effect with --vocab-only: there are no tensors");
        }
        if about == About::Quantizing && wanted.file_types.is_empty() && !decided {
            bail!("{option} needs a file type: pass -t TYPE (-t COPY keeps the types)");
        }
    }
    refuse_calibrating(args)?;
    if args.vocab_only && args.verify {
        bail!("--verify has no effect with --vocab-only: there are no tensors");
    }
    if let Some(twice) = repeated(&wanted.file_types) {
        bail!("-t {twice} is given twice");
    }
    let keys: Vec<&str> = args.override_kv.iter().map(|wanted| wanted.key.as_str()).collect();
    if let Some(twice) = repeated(&keys) {
        bail!("--override-kv sets {twice:?} twice");
    }
    Ok(())
}

/// Refuse options about running the model where it is not run, and effort 2 where nothing is known
/// to choose codes by.
fn refuse_calibrating(args: &Args) -> anyhow::Result<()> {
    let find = |wanted: &[About]| given(args).find(|(_, about)| wanted.contains(about));
    let is_wanted = args.effort == Effort::Feedback || args.plan.is_some();
    if let (Some((option, _)), false) = (find(&[About::Texts]), is_wanted || args.size.is_given()) {
        bail!("{option} has no effect without --effort 2, --target-size or --like");
    }
    if let (Some((option, _)), false) = (find(&[About::Calibrating, About::Running]), is_wanted) {
        bail!("{option} has no effect without --effort 2");
    }
    let (runs, saved) = (args.calibrate.is_given(), args.calibrate.has_statistics());
    let idle = match args.size.is_given() {
        true => find(&[About::Running]),
        false => find(&[About::Running, About::Texts]),
    };
    if let (Some((option, _)), false) = (idle, runs) {
        bail!("{option} has no effect without --calibrate");
    }
    if args.effort == Effort::Feedback && !(runs || saved || args.dry_run) {
        bail!(
            "--effort 2 runs the model over a text: pass --calibrate FILE, or --calibrate alone \
             for texts of the program"
        );
    }
    Ok(())
}

/// `--print-supported-models` does nothing else.
pub(super) fn refuse_besides_models(args: &Args) -> anyhow::Result<()> {
    let mut others: Vec<&str> = given(args).map(|(option, _)| option).collect();
    for (option, given) in [
        ("a source", *args.source != *Path::new(NO_SOURCE)),
        ("an output", args.output.is_some() || !args.rest.is_empty()),
        ("-t", !args.file_types.is_empty()),
        ("-j", args.threads.is_some()),
        ("--dry-run", args.dry_run),
        ("--resume", args.resume),
        ("--verify", args.verify),
        ("--plan", args.plan.is_some()),
        ("--bigendian", args.bigendian),
        ("--quiet", args.quiet),
    ] {
        others.extend(given.then_some(option));
    }
    match others.first() {
        Some(other) => bail!("{other} has no effect with --print-supported-models"),
        None => Ok(()),
    }
}

fn repeated<T: PartialEq>(items: &[T]) -> Option<&T> {
    items.iter().enumerate().find_map(|(i, item)| items[..i].contains(item).then_some(item))
}

/// Warnings about options that change nothing about these plans.
pub(super) fn notes(args: &Args, input: &Input, plans: &[&Plan]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut add = |option: &str, why: &str| notes.push(format!("{option} has no effect: {why}"));
    for (option, about) in given(args) {
        if let About::Nothing(why) = about {
            add(option, why);
        }
    }
    for path in &args.tensor_types.empty {
        add(&format!("--tensor-type-file {}", path.display()), "the file has no entries");
    }
    let any_tensor = |is: &dyn Fn(&PlannedTensor) -> bool| {
        plans.iter().any(|plan| plan.tensors().iter().any(is))
    };
    if args.imatrix.is_some() && !any_tensor(&|tensor| is_weighted(tensor, args.effort)) {
        add("--imatrix", "no tensor gets a type that is encoded with weights");
    }
    let is_changed = |tensor: &PlannedTensor| {
        let ty = tensor.target.known().filter(|ty| Some(*ty) != tensor.stored.known());
        tensor.calibrated || ty.is_some_and(|ty| args.effort.changes(ty, tensor.weighted))
    };
    if args.effort != Effort::Reference && !any_tensor(&is_changed) {
        add("--effort", "it changes no type of these tensors, or only with --imatrix");
    }
    let output_kept = |tensor: &PlannedTensor| tensor.reason == Reason::Kept(Kept::Output);
    if args.leave_output_tensor && !any_tensor(&output_kept) {
        add("--leave-output-tensor", "no output.weight would be quantized");
    }
    // the file types of a run with several are as different as their uses
    let all_types = |is: fn(FileType) -> bool| plans.iter().all(|plan| is(plan.file_type()));
    if all_types(|ty| ty == FileType::COPY) {
        let copies = [
            ("--pure", args.pure),
            ("--no-fallback", args.no_fallback),
            ("--allow-requantize", args.allow_requantize),
        ];
        copies.iter().filter(|(_, given)| *given).for_each(|(option, _)| {
            add(option, "COPY converts nothing");
        });
    } else if args.pure && all_types(|ty| ty.default_type().is_none_or(|ty| !ty.is_quantized())) {
        add("--pure", "F32, F16 and BF16 have no mixtures");
    }
    if args.keep_split && input.source().shards() == 1 {
        add(
            "--keep-split",
            match input {
                Input::Checkpoint(_) => {
                    "the files of a checkpoint are not kept apart; --split-max-size splits the \
                     result"
                }
                Input::Gguf(_) => "the source is one file",
            },
        );
    }
    notes
}

/// Whether the importance matrix changes the blocks of a tensor.
fn is_weighted(tensor: &PlannedTensor, effort: Effort) -> bool {
    let encoder = tensor.target.known().and_then(|ty| encoder_at(ty, effort));
    tensor.weighted && encoder.is_some_and(|encoder| encoder.weighting() != Weighting::Ignored)
}
