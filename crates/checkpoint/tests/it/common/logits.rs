//! Runs the models of cases and compares some of their logits with the reference's, in double
//! precision: `fixtures/logits`, made by `tools/reference/logits.py`.

use std::fs;
use std::path::Path;

use granule_checkpoint::Checkpoint;
use granule_infer::stream::{self, Observed, Observer, Options};
use granule_infer::{Mode, Model, Place, Session};
use libtest_mimic::Trial;
use serde::Deserialize;

use super::{Case, fixtures, options};

/// Numbers of the reference.
#[derive(Debug, Deserialize)]
struct Fixture {
    /// A case of `fixtures/descriptions`.
    case: String,
    tokens: Vec<u32>,
    /// Which logits are kept.
    columns: Vec<usize>,
    /// The largest of all logits.
    largest: f32,
    /// The largest difference that is allowed, in units of the largest logit.
    bound: f32,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    position: usize,
    values: Vec<f32>,
}

/// A test for each file.
pub(crate) fn trials() -> Vec<Trial> {
    let mut paths: Vec<_> = fs::read_dir(fixtures().join("logits"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    let name = |path: &Path| format!("logits_of_{}", path.file_stem().unwrap().to_string_lossy());
    paths.into_iter().map(|path| Trial::test(name(&path), move || Ok(compare(&path)?))).collect()
}

fn compare(path: &Path) -> Result<(), String> {
    let fixture: Fixture = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let case = Case::read(&fixtures().join("descriptions").join(format!("{}.json", fixture.case)));
    let work = tempfile::tempdir().unwrap();
    let folder = case.make(work.path());
    let text = |error: &dyn std::error::Error| error.to_string();
    let source = Checkpoint::open(&folder, &options(&case, work.path(), "f32"));
    let source = source.map_err(|error| text(&error))?;
    let model = Model::open(&source).map_err(|error| text(&error))?;

    let rows = run(&model, &fixture.tokens).map_err(|error| text(&error))?;
    for row in &fixture.rows {
        for (column, expected) in fixture.columns.iter().zip(&row.values) {
            let found = rows[row.position][*column];
            if (found - expected).abs() > fixture.bound * fixture.largest {
                let place = format!("position {}, column {column}", row.position);
                return Err(format!("{place}: {found}, expected {expected}"));
            }
        }
    }
    if !model.predicts() {
        return Ok(());
    }
    // the same bits in two pieces, token by token, and with another number of threads
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let last = |mode| {
        let mut session = Session::new(&model, mode)?;
        let (last, before) = fixture.tokens.split_last().unwrap();
        session.forward(before)?;
        session.forward(&[*last])
    };
    let expected = rows.last().unwrap();
    let logits = alone.install(|| last(Mode::Exact)).map_err(|error| text(&error))?;
    if logits != *expected {
        return Err("differs token by token".to_owned());
    }
    // unquantized weights are multiplied in single precision too
    let logits = last(Mode::Fast).map_err(|error: granule_infer::Error| text(&error))?;
    let largest = |bound: f32, (x, y): (&f32, &f32)| bound.max((x - y).abs());
    let difference = logits.iter().zip(expected).fold(0.0, largest);
    let is_close = difference <= fixture.bound * fixture.largest;
    if is_close { Ok(()) } else { Err(format!("fast products differ by {difference}")) }
}

/// The logits of every token, or its vector.
fn run(model: &Model<'_>, tokens: &[u32]) -> Result<Vec<Vec<f32>>, granule_infer::Error> {
    let mut rows = Rows { predicts: model.predicts(), rows: Vec::new() };
    let mut options = Options::default();
    options.logits_from = model.predicts().then_some(0);
    stream::run(model, &[tokens.to_vec()], &options, &mut rows)?;
    Ok(rows.rows)
}

struct Rows {
    predicts: bool,
    rows: Vec<Vec<f32>>,
}

impl Observer for Rows {
    fn fault(&mut self, fault: &stream::Fault<'_>) -> Observed {
        Err(format!("{fault:?}").into())
    }

    fn hidden(&mut self, _: Place, x: &[f32]) -> Observed {
        if !self.predicts {
            self.rows.push(x.to_vec());
        }
        Ok(())
    }

    fn logits(&mut self, _: Place, logits: &[f32]) -> Observed {
        self.rows.push(logits.to_vec());
        Ok(())
    }
}
