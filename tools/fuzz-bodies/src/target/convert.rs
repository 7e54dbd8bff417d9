//! Converting a tiny GGUF file: an error, or a file that is whole and that every part of Granule
//! can read.

use granule_convert::run::RunOptions;
use granule_convert::{Plan, Recipe};
use granule_encode::Importance;
use granule_format::FileType;
use granule_format::check::{Options, Severity};
use granule_reader::GgufSource;
use granule_reader::Model;
use granule_reader::Source;

use crate::parts::number;
use crate::{folder, write};

/// Rules about the layout: whatever the source is, a result breaks none of them.
const LAYOUT: &[&str] = &["H", "K", "V", "A", "L", "T", "O", "P", "D"];

pub(super) fn run(input: &[u8]) {
    let ([file_type, flags], input) = number(input);
    let mut recipe = Recipe::new(FileType::ALL[usize::from(file_type) % FileType::ALL.len()]);
    recipe.pure = flags & 1 != 0;
    recipe.allow_requantize = flags & 2 != 0;
    recipe.leave_output_tensor = flags & 4 != 0;
    recipe.allow_missing = flags & 8 != 0;
    recipe.no_fallback = flags & 16 != 0;
    recipe.keep_split = flags & 32 != 0;
    if flags & 64 != 0 {
        recipe.prune_layers.extend([0, 7]);
    }
    let folder = folder();
    let path = write(&folder, "model.gguf", input);
    let Ok(source) = GgufSource::open(&path) else { return };
    if source.model().header().alignment() > 4096 {
        return; // so much padding would be written
    }
    let matrix = (flags & 128 != 0).then(|| matrix(&source)).flatten();
    let Ok(plan) = Plan::new(&source, &recipe, matrix.as_ref()) else { return };
    let json = plan.to_json();
    let loaded = Plan::from_json(&json, &source, matrix.as_ref());
    let loaded = loaded.unwrap_or_else(|error| panic!("a saved plan does not load: {error}"));
    assert_eq!(loaded.to_json(), json);

    let output = folder.path().join("output.gguf");
    let options = RunOptions { threads: Some(1), ..RunOptions::default() };
    let result = granule_convert::plan::run_all(
        &source,
        &[(&plan, &output)],
        matrix.as_ref(),
        &options,
        &|_| (),
    );
    let names = std::fs::read_dir(folder.path()).expect("the folder is there").count();
    match result {
        Err(_) => assert_eq!(names, 1, "a failed run leaves nothing"),
        Ok(_) => {
            assert_eq!(names, 2, "only the result is left");
            let bytes = std::fs::read(&output).expect("the result is there");
            let report = granule_format::check(&bytes, &Options::default());
            let fault = report.findings.iter().find(|finding| {
                finding.rule.severity == Severity::Error && LAYOUT.contains(&&finding.rule.id[..1])
            });
            assert!(fault.is_none(), "{fault:?}");
            let model = Model::open(&output).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(model.tensors().len(), plan.tensors().len());
        }
    }
}

/// Weights of 1 for every tensor, as the older form of a matrix has them.
fn matrix(source: &GgufSource) -> Option<Importance> {
    let mut bytes = (source.tensors().len() as i32).to_le_bytes().to_vec();
    for tensor in source.tensors() {
        let dimensions = tensor.shape.dimensions();
        let matrices = dimensions.get(2).copied().unwrap_or(1);
        let values = tensor.shape.row().checked_mul(matrices).filter(|values| *values <= 4096)?;
        bytes.extend((tensor.name.len() as i32).to_le_bytes());
        bytes.extend(tensor.name.as_bytes());
        bytes.extend(1_i32.to_le_bytes());
        bytes.extend((values as i32).to_le_bytes());
        bytes.extend((0..values).flat_map(|_| 1_f32.to_le_bytes()));
    }
    Importance::parse(&bytes, "matrix.dat").ok()
}
