//! Conversions of checkpoints are continued only if nothing that affects the bytes has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use granule_checkpoint::{Checkpoint, CheckpointOptions, OutType};
use granule_convert::plan::run_all;
use granule_convert::run::{Event, RunOptions};
use granule_convert::tune::feedback::Calibration;
use granule_convert::{Error, Plan, Recipe};
use granule_encode::{Effort, Importance};
use granule_infer::Chunks;

/// A copy of a checkpoint with a few layers, a description of its architecture, and the folder for
/// the results.
struct Place {
    folder: tempfile::TempDir,
}

/// The options of a conversion.
#[derive(Clone, Default)]
struct Command {
    options: CheckpointOptions,
    recipe: Option<Recipe>,
    importance: Option<Importance>,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixture =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/checkpoints/llama2-spm-256");
        fs::create_dir(folder.path().join("model")).unwrap();
        for entry in fs::read_dir(fixture).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                fs::copy(entry.path(), folder.path().join("model").join(entry.file_name()))
                    .unwrap();
            }
        }
        let place = Self { folder };
        place.describe(str::to_owned);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a changed description of llama.
    fn describe(&self, change: impl Fn(&str) -> String) {
        let text = include_str!("../../../checkpoint/src/arch/models/llama.toml");
        fs::write(self.path("arch.toml"), change(text)).unwrap();
    }

    /// Returns the conversion to change: Q4_0 with weights, by the description.
    fn command(&self) -> Command {
        let arch_file = Some(self.path("arch.toml"));
        Command {
            options: CheckpointOptions { arch_file, ..Default::default() },
            ..Default::default()
        }
    }

    /// Converts; stops after the first tensors if `stop` is set.
    fn convert(&self, name: &str, command: &Command, stop: bool) -> Result<usize, Error> {
        let source = Checkpoint::open(&self.path("model"), &command.options)?;
        let recipe = command.recipe.clone();
        let recipe = recipe.unwrap_or_else(|| Recipe::new("Q4_0".parse().unwrap()));
        let plan = Plan::new(&source, &recipe, command.importance.as_ref())?;
        let flag = Arc::new(AtomicBool::new(false));
        let begun = AtomicU32::new(0);
        let options = RunOptions {
            threads: Some(1),
            note_every: Some(Duration::ZERO),
            stop: Some(Arc::clone(&flag)),
            ..RunOptions::default()
        };
        let path = self.path(name);
        let plans = [(&plan, path.as_path())];
        let summary = run_all(&source, &plans, command.importance.as_ref(), &options, &|event| {
            if matches!(event, Event::Tensor { .. }) && begun.fetch_add(1, Ordering::Relaxed) == 4 {
                flag.store(stop, Ordering::Relaxed);
            }
        })?;
        Ok(summary.resumed)
    }

    /// Returns the differences that the refusal to continue names.
    #[track_caller]
    fn refused(&self, command: &Command) -> Vec<&'static str> {
        match self.convert("out.gguf", command, false) {
            Err(Error::OtherRun { differs, .. }) => differs,
            other => panic!("{other:?}"),
        }
    }
}

const READING: &str = "the selection, arrangement or transformation of the source data";

#[test]
fn descriptions_options_and_matrices_decide_the_bytes() {
    let place = Place::new();
    let command = place.command();
    let stopped = place.convert("out.gguf", &command, true);
    assert!(matches!(stopped, Err(Error::Interrupted { kept: true })), "{stopped:?}");

    // rearrangements: heads in another order, in tensors of the same names, shapes and types
    place.describe(|text| text.replace("\"attention-in-pairs\"", "\"attention\""));
    assert_eq!(place.refused(&command), [READING]);
    // changes of values
    place.describe(|text| text.replace("\"norms\", ", "") + NORMS_PLUS_ONE);
    assert_eq!(place.refused(&command), [READING]);
    place.describe(str::to_owned);

    // joins
    let mut changed = command.clone();
    changed.options.fuse_qkv = true;
    assert_eq!(place.refused(&changed)[0], READING);
    // the intermediate type
    let mut changed = command.clone();
    changed.options.out_type = OutType::from_name("F32").unwrap();
    assert_eq!(place.refused(&changed), [READING]);
    // the name of the model
    let mut changed = command.clone();
    changed.options.model_name = Some("Another".to_owned());
    assert_eq!(place.refused(&changed), ["the metadata"]);
    // the recipe
    let mut changed = command.clone();
    let mut recipe = Recipe::new("Q4_0".parse().unwrap());
    recipe.pure = true;
    changed.recipe = Some(recipe);
    assert_eq!(place.refused(&changed), ["the names, shapes, types or byte order of the tensors"]);
    // the source: other values, the same length
    let weights = place.path("model/model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(&weights, other).unwrap();
    let files = "the source files (their names, sizes or times of change)";
    assert_eq!(place.refused(&command), [files]);

    // the same content, written again: indistinguishable from another change
    fs::write(&weights, bytes).unwrap();
    assert_eq!(place.refused(&command), [files]);
}

/// The group `norms` with values that count from one.
const NORMS_PLUS_ONE: &str = r#"
[tensors."model.layers.{layer}. -> blk.{layer}."]
"input_layernorm.weight -> attn_norm.weight" = { shape = "hidden_size", change = "add-one" }
"post_attention_layernorm.weight -> ffn_norm.weight" = { shape = "hidden_size", change = "add-one" }
"#;

#[test]
fn importance_weights_decide_the_bytes() {
    let place = Place::new();
    let entry = |name: &str, weight: f32| {
        let mut bytes = 1_i32.to_le_bytes().to_vec();
        bytes.extend((name.len() as i32).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(1_i32.to_le_bytes());
        let columns = 256_i32;
        bytes.extend(columns.to_le_bytes());
        bytes.extend((0..columns).flat_map(|i| (1.0 + i as f32 * weight).to_le_bytes()));
        Importance::parse(&bytes, "weights.dat").unwrap()
    };
    let name = "blk.0.attn_q.weight";
    let mut command = place.command();
    command.importance = Some(entry(name, 0.5));
    let mut recipe = Recipe::new("Q4_0".parse().unwrap());
    recipe.allow_missing = true;
    command.recipe = Some(recipe.clone());
    let stopped = place.convert("out.gguf", &command, true);
    assert!(matches!(stopped, Err(Error::Interrupted { kept: true })), "{stopped:?}");
    let mut changed = command.clone();
    changed.importance = Some(entry(name, 0.25));
    assert_eq!(place.refused(&changed), ["the importance weights"]);
    let mut changed = command.clone();
    changed.recipe = Some(Recipe { effort: Effort::Search, ..recipe.clone() });
    assert_eq!(place.refused(&changed), ["the effort"]);
    let mut changed = command.clone();
    recipe.exclude_weights = vec!["attn_q".to_owned()];
    changed.recipe = Some(recipe);
    // the metadata has the number of entries used
    assert_eq!(place.refused(&changed), ["the metadata", "the importance weights"]);

    assert!(place.convert("out.gguf", &command, false).unwrap() > 0);
    place.convert("alone.gguf", &command, false).unwrap();
    assert!(
        fs::read(place.path("out.gguf")).unwrap() == fs::read(place.path("alone.gguf")).unwrap()
    );
}

/// A run that chooses codes by running the model goes on where it was, layer by layer.
#[test]
fn calibrated_layers_are_not_encoded_again() {
    let place = Place::new();
    let source = Checkpoint::open(&place.path("model"), &CheckpointOptions::default()).unwrap();
    let mut recipe = Recipe::new("Q4_K_M".parse().unwrap());
    recipe.effort = Effort::Feedback;
    let plan = Plan::new(&source, &recipe, None).unwrap();
    let run = |name: &str, tokens: usize, stop_at: usize| {
        let tokens = (0..tokens as u32).map(|i| 3 + i * i % 250).collect();
        let mut calibration = Calibration::new(Chunks::of_tokens(tokens, 32, None).unwrap());
        calibration.allow_few = true;
        let flag = Arc::new(AtomicBool::new(false));
        let options = RunOptions {
            threads: Some(1),
            stop: Some(Arc::clone(&flag)),
            calibration: Some(Arc::new(calibration)),
            ..RunOptions::default()
        };
        let path = place.path(name);
        run_all(&source, &[(&plan, path.as_path())], None, &options, &|event| {
            if matches!(event, Event::Layer { layer, .. } if layer == stop_at) {
                flag.store(true, Ordering::Relaxed);
            }
        })
    };
    let stopped = run("out.gguf", 64, 1);
    assert!(matches!(stopped, Err(Error::Interrupted { kept: true })), "{stopped:?}");
    match run("out.gguf", 96, 9) {
        Err(Error::OtherRun { differs, .. }) => {
            assert_eq!(differs, ["the calibration text or its options"]);
        }
        other => panic!("{other:?}"),
    }
    // the seven matrices of the first layer
    assert_eq!(run("out.gguf", 64, 9).unwrap().resumed, 7);
    run("alone.gguf", 64, 9).unwrap();
    assert!(
        fs::read(place.path("out.gguf")).unwrap() == fs::read(place.path("alone.gguf")).unwrap()
    );
    let none = run_all(
        &source,
        &[(&plan, place.path("none.gguf").as_path())],
        None,
        &RunOptions::default(),
        &|_| {},
    );
    assert!(matches!(none, Err(Error::NoCalibration)), "{none:?}");
}
