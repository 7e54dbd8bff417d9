//! Compares plans with the types that the reference's quantizer gives every tensor of many models.
//!
//! The cases are in `fixtures/type-choice/`; its README describes them and their origin.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Paper, matrix_of};
use granule_convert::plan::Reason;
use granule_convert::recipe::{Recipe, parse_layers, parse_tensor_type};
use granule_convert::{Plan, PlanError};
use granule_encode::Importance;
use granule_format::BlockType;
use rayon::prelude::*;
use serde_json::Value as Json;

/// The intended differences from the reference. `spec/mixtures.md` explains each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Difference {
    /// The reference lower-cases patterns; here case counts.
    CaseOfPatterns,
    /// The reference crashes where the model has no blocks; here its heads are not grouped.
    NoBlocks,
    /// The reference's plan ignores that rows do not fit the type of `--token-embedding-type` or
    /// `--output-tensor-type`, and its writer crashes. Here that is an error of the plan.
    AskedForDoesNotFit,
}

#[test]
fn every_case_of_every_model() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/type-choice");
    let paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    let models = paths.len();
    let of_models: Vec<(usize, Vec<Difference>)> =
        paths.par_iter().with_max_len(1).map(|path| check_model(path)).collect();
    let cases: usize = of_models.iter().map(|(cases, _)| cases).sum();
    let mut differences: BTreeMap<Difference, u32> = BTreeMap::new();
    for difference in of_models.into_iter().flat_map(|(_, differences)| differences) {
        *differences.entry(difference).or_default() += 1;
    }
    println!("{cases} cases of {models} models; on purpose: {differences:?}");
    assert_eq!((models, cases), (32, 2099));
    let seen: Vec<Difference> = differences.into_keys().collect();
    let all = [Difference::CaseOfPatterns, Difference::NoBlocks, Difference::AskedForDoesNotFit];
    assert_eq!(seen, all, "a difference that no case shows need not be listed");
}

/// The number of cases of a model, and the differences that they show.
fn check_model(path: &Path) -> (usize, Vec<Difference>) {
    let json: Json = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let model = Model::read(&json);
    let cases = json["expected"].as_array().unwrap();
    (cases.len(), cases.iter().flat_map(|case| model.check(case)).collect())
}

/// A model of the fixtures.
struct Model {
    name: String,
    /// Whether it was made up to show something, and may lack tensors that its architecture needs.
    synthetic: bool,
    source: Paper,
    order: Vec<usize>,
    kept: BTreeSet<String>,
    importance: Importance,
}

impl Model {
    fn read(json: &Json) -> Self {
        let source = Paper::read(json);
        let order = json["order"].as_array().unwrap().iter();
        Self {
            name: text(&json["name"]),
            synthetic: json["note"].as_str().is_some_and(|note| note.starts_with("synthetic")),
            order: order.map(|index| index.as_u64().unwrap() as usize).collect(),
            kept: expand_all(&json["kept"]),
            importance: matrix_of(&source),
            source,
        }
    }

    /// Compares the plan of a case with the expected one.
    fn check(&self, case: &Json) -> Vec<Difference> {
        let context = format!(
            "{} {} imatrix={} {}",
            self.name, case["file_type"], case["imatrix"], case["options"]
        );
        let recipe = recipe(case);
        let mut lowered = recipe.clone();
        lowered.tensor_types.iter_mut().for_each(|wanted| wanted.pattern.make_ascii_lowercase());
        let mut differences = Vec::new();
        for given in match &case["imatrix"] {
            Json::Bool(given) => vec![*given],
            _ => vec![false, true],
        } {
            let importance = given.then_some(&self.importance);
            let result = Plan::preview(&self.source, &recipe, importance);
            if case["error"] == "no-fallback" {
                let error = result.map(|_| ()).unwrap_err();
                assert!(
                    error.to_string().contains("there is no fallback type"),
                    "{context}: {error}"
                );
                continue;
            }
            let (plan, problems) = result.unwrap_or_else(|error| panic!("{context}: {error}"));
            if case["error"] == "abort" {
                assert_eq!(plan.tensors().len(), self.order.len(), "{context}");
                differences.push(Difference::NoBlocks);
                continue;
            }
            differences.extend(self.check_problems(case, &problems, given, &context));
            let plan = if lowered == recipe {
                plan
            } else {
                let (lowered, _) = Plan::preview(&self.source, &lowered, importance).unwrap();
                if lowered.tensors() != plan.tensors() {
                    differences.push(Difference::CaseOfPatterns);
                }
                lowered
            };
            self.check_types(case, &recipe, &plan, &context);
        }
        differences.sort();
        differences.dedup();
        differences
    }

    fn check_problems(
        &self,
        case: &Json,
        problems: &[PlanError],
        given: bool,
        context: &str,
    ) -> Option<Difference> {
        let needs = case["needs_imatrix"] == true && !given;
        let mut does_not_fit = None;
        let mut needed = false;
        for problem in problems {
            match problem {
                PlanError::NeedsImportance { .. } => needed = true,
                PlanError::DoesNotFit { .. } => {
                    does_not_fit = Some(Difference::AskedForDoesNotFit);
                }
                PlanError::Invalid(_) if self.synthetic => {}
                other => panic!("{context}: {other}"),
            }
        }
        assert_eq!(needed, needs, "{context}: need of an importance matrix");
        does_not_fit
    }

    fn check_types(&self, case: &Json, recipe: &Recipe, plan: &Plan, context: &str) {
        let default = case["default"].as_str().map(|name| BlockType::from_name(name).unwrap());
        let mut expected: BTreeMap<String, BlockType> = BTreeMap::new();
        for (ty, names) in case["types"].as_object().unwrap() {
            let ty = BlockType::from_name(ty).unwrap();
            expected.extend(expand_all(names).into_iter().map(|name| (name, ty)));
        }
        if recipe.prune_layers.is_empty() {
            let order: Vec<usize> = plan.tensors().iter().map(|tensor| tensor.source).collect();
            assert_eq!(order, self.order, "{context}: order");
        } else {
            let names: BTreeSet<String> =
                plan.tensors().iter().map(|tensor| tensor.name.clone()).collect();
            assert_eq!(names, expected.keys().cloned().collect(), "{context}: names");
        }
        for tensor in plan.tensors() {
            let kept = self.kept.contains(&tensor.source_name)
                || recipe.leave_output_tensor && tensor.name == "output.weight";
            let unless_listed = if kept { tensor.stored.known() } else { default };
            let expected = expected
                .get(&tensor.name)
                .copied()
                .or(unless_listed)
                .unwrap_or_else(|| tensor.stored.known().unwrap());
            let found = tensor.target.known().unwrap();
            assert_eq!(found, expected, "{context}: {} {:?}", tensor.name, tensor.reason);
            assert_eq!(kept, matches!(tensor.reason, Reason::Kept(_)) || kept && default.is_none());
        }
    }
}

/// Returns the recipe of a case. Options without effect and types that are already quantized are
/// not errors here.
fn recipe(case: &Json) -> Recipe {
    let mut recipe = Recipe::new(text(&case["file_type"]).parse().unwrap());
    recipe.allow_missing = true;
    recipe.allow_requantize = true;
    let options = case["options"].as_array().cloned().unwrap_or_default();
    let mut words = options.iter().map(text);
    while let Some(option) = words.next() {
        let mut ty = || Some(parse_tensor_type(&words.next().unwrap()).unwrap());
        match option.as_str() {
            "--pure" => recipe.pure = true,
            "--leave-output-tensor" => recipe.leave_output_tensor = true,
            "--output-tensor-type" => recipe.output_tensor_type = ty(),
            "--token-embedding-type" => recipe.token_embedding_type = ty(),
            "--tensor-type" => recipe.tensor_types.push(words.next().unwrap().parse().unwrap()),
            "--prune-layers" => recipe.prune_layers = parse_layers(&words.next().unwrap()).unwrap(),
            other => panic!("unknown option {other}"),
        }
    }
    recipe
}

fn text(json: &Json) -> String {
    json.as_str().unwrap().to_owned()
}

fn expand_all(names: &Json) -> BTreeSet<String> {
    names.as_array().unwrap().iter().flat_map(|name| expand(name.as_str().unwrap())).collect()
}

/// Expands a folded name such as `blk.{0-2,5}.x`.
fn expand(folded: &str) -> Vec<String> {
    let Some((before, rest)) = folded.split_once('{') else { return vec![folded.to_owned()] };
    let (numbers, after) = rest.split_once('}').unwrap();
    let ranges = numbers.split(',').map(|range| range.split_once('-').unwrap_or((range, range)));
    ranges
        .flat_map(|(first, last)| first.parse::<u32>().unwrap()..=last.parse().unwrap())
        .flat_map(|number| expand(after).into_iter().map(move |after| (number, after)))
        .map(|(number, after)| format!("{before}{number}{after}"))
        .collect()
}
