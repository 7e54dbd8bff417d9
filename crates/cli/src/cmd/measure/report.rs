//! What was measured, for people and as JSON.

use granule_convert::weights::TensorError;
use granule_infer::measure::{Estimate, Measured, Paired, Quantiles, Scores};
use serde_json::{Map, Value as Json, json};

use super::Candidate;
use crate::output::{self, Align, Table, printable};

/// An estimate in the table: its name, its name in JSON, the factor and the decimals that are
/// shown.
type Row = (&'static str, &'static str, fn(&Scores) -> Option<Estimate>, f64, usize);

/// The distribution of a value.
type Distribution = fn(&Scores) -> Option<Quantiles>;

/// The estimates, in their order.
const ESTIMATES: &[Row] = &[
    ("perplexity", "perplexity", |scores| Some(scores.perplexity()), 1.0, 4),
    ("perplexity of the base", "base_perplexity", Scores::base_perplexity, 1.0, 4),
    ("ln of their ratio", "log_ratio", Scores::log_ratio, 1.0, 6),
    ("ratio", "ratio", Scores::ratio, 1.0, 6),
    ("difference", "difference", Scores::difference, 1.0, 6),
    ("divergence, mean", "divergence", Scores::divergence, 1.0, 6),
    ("change of p, mean, %", "change", Scores::change, 100.0, 4),
    ("change of p, RMS, %", "change_rms", Scores::change_rms, 100.0, 3),
    ("same top token, %", "same_top", Scores::same_top, 100.0, 3),
];

/// Quantiles of the divergence and of the change of probabilities.
const DIVERGENCE: &[(&str, f64)] = &[
    ("maximum", 1.0),
    ("99.9 %", 0.999),
    ("99 %", 0.99),
    ("95 %", 0.95),
    ("90 %", 0.9),
    ("median", 0.5),
    ("10 %", 0.1),
    ("5 %", 0.05),
    ("1 %", 0.01),
    ("0.1 %", 0.001),
    ("minimum", 0.0),
];

/// The text: a table of statistics, the models compared with each other, the errors of tensors.
pub(super) fn text(candidates: &[Candidate<'_>]) -> String {
    let mut text = statistics(candidates);
    let pairs = pairs(candidates);
    if !pairs.is_empty() {
        text += "\nDivergence compared, position by position\n";
        text += &pair_table(&pairs);
    }
    for candidate in candidates {
        if let Some(weights) = &candidate.weights {
            let name = printable(&candidate.path.display().to_string());
            text += &format!("\nErrors of the tensors of {name}, relative to their size\n");
            text += &weight_table(weights);
        }
    }
    text
}

fn statistics(candidates: &[Candidate<'_>]) -> String {
    let names: Vec<String> = candidates
        .iter()
        .map(|candidate| printable(&candidate.path.display().to_string()))
        .collect();
    let mut columns = vec![("", Align::Left)];
    columns.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
    let mut table = Table::new(&columns);
    let mut row = |name: String, cell: &dyn Fn(&Scores) -> Option<String>| {
        let cells: Option<Vec<String>> =
            candidates.iter().map(|candidate| cell(&candidate.measured.scores)).collect();
        if let Some(cells) = cells {
            table.row([vec![name], cells].concat());
        }
    };
    row("scored positions".into(), &|scores| Some(scores.len().to_string()));
    for (name, _, of, factor, decimals) in ESTIMATES {
        row((*name).into(), &|scores| of(scores).map(|it| estimate(it, *factor, *decimals)));
        if *name == "difference" {
            let correlation = |scores: &Scores| {
                scores.correlation().map(|correlation| format!("{:.2}", 100.0 * correlation))
            };
            row("correlation of ln p, %".into(), &correlation);
        }
        let quantiles: Option<(Distribution, f64, usize)> = match *name {
            "divergence, mean" => Some((Scores::divergence_quantiles, 1.0, 6)),
            "change of p, mean, %" => Some((Scores::change_quantiles, 100.0, 3)),
            _ => None,
        };
        if let Some((of, factor, decimals)) = quantiles {
            for (share, at) in DIVERGENCE {
                row(format!("  {share}"), &|scores| {
                    of(scores).map(|of| format!("{:.decimals$}", factor * of.at(*at)))
                });
            }
        }
    }
    table.render()
}

fn estimate(of: Estimate, factor: f64, decimals: usize) -> String {
    let value = factor * of.value;
    match of.error {
        Some(error) => format!("{value:.decimals$} ± {:.decimals$}", factor * error),
        None => format!("{value:.decimals$}"),
    }
}

/// Two models and their comparison.
type Pair<'a> = (&'a Candidate<'a>, &'a Candidate<'a>, Paired);

fn pairs<'a>(candidates: &'a [Candidate<'a>]) -> Vec<Pair<'a>> {
    let mut pairs = Vec::new();
    for (index, first) in candidates.iter().enumerate() {
        for second in &candidates[index + 1..] {
            let paired = Paired::of(&first.measured.scores, &second.measured.scores);
            pairs.extend(paired.map(|paired| (first, second, paired)));
        }
    }
    pairs
}

fn pair_table(pairs: &[Pair<'_>]) -> String {
    let mut table = Table::new(&[
        ("first", Align::Left),
        ("second", Align::Left),
        ("difference", Align::Right),
        ("95 % interval", Align::Right),
        ("first smaller, %", Align::Right),
    ]);
    for (first, second, paired) in pairs {
        let [first, second] = [first, second].map(|of| printable(&of.path.display().to_string()));
        let interval = paired.interval.map(|(low, high)| format!("{low:.6} to {high:.6}"));
        table.row([
            first,
            second,
            estimate(paired.divergence, 1.0, 6),
            interval.unwrap_or_default(),
            format!("{:.1}", 100.0 * paired.smaller),
        ]);
    }
    table.render()
}

fn weight_table(weights: &[TensorError]) -> String {
    let is_weighted = weights.iter().any(|error| error.weighted.is_some());
    let mut columns = vec![("tensor", Align::Left), ("type", Align::Left), ("error", Align::Right)];
    columns.extend(is_weighted.then_some(("weighted", Align::Right)));
    let mut table = Table::new(&columns);
    for TensorError { name, ty, loss, weighted } in weights {
        let mut cells = vec![printable(name), ty.to_string(), format!("{:.6}", loss.relative())];
        let weighted = weighted.map(|loss| format!("{:.6}", loss.relative()));
        cells.extend(is_weighted.then(|| weighted.unwrap_or_default()));
        table.row(cells);
    }
    table.render()
}

/// The JSON.
pub(super) fn document(candidates: &[Candidate<'_>], original: Option<&Measured>) -> Json {
    let models: Vec<Json> = candidates
        .iter()
        .map(|candidate| {
            let mut model = of_measured(&candidate.measured);
            model["path"] = candidate.path.display().to_string().into();
            if let Some(weights) = &candidate.weights {
                model["tensors"] = weights.iter().map(of_tensor).collect();
            }
            model
        })
        .collect();
    let pairs: Vec<Json> = pairs(candidates)
        .into_iter()
        .map(|(first, second, paired)| {
            json!({
                "first": first.path.display().to_string(),
                "second": second.path.display().to_string(),
                "divergence": of_estimate(paired.divergence),
                "interval": paired.interval.map(|(low, high)| [low, high]),
                "surprise": of_estimate(paired.surprise),
                "first_smaller": paired.smaller,
            })
        })
        .collect();
    json!({
        "schema": output::SCHEMA,
        "models": models,
        "pairs": pairs,
        "original": original.map(of_measured),
    })
}

fn of_measured(measured: &Measured) -> Json {
    let scores = &measured.scores;
    let mut fields = Map::new();
    fields.insert("positions".into(), scores.len().into());
    fields.insert("chunks".into(), scores.chunks().len().into());
    let lost: Vec<usize> = measured.lost.iter().map(|lost| lost.place.chunk).collect();
    fields.insert("lost_chunks".into(), lost.into());
    for (_, name, of, ..) in ESTIMATES {
        fields.insert((*name).into(), of(scores).map_or(Json::Null, of_estimate));
    }
    fields.insert("correlation".into(), scores.correlation().into());
    for (name, of) in [
        ("divergence_quantiles", scores.divergence_quantiles()),
        ("change_quantiles", scores.change_quantiles()),
    ] {
        let quantiles = of.map(|of| {
            let at = DIVERGENCE.iter().map(|(_, at)| (at.to_string(), of.at(*at).into()));
            Json::Object(at.collect())
        });
        fields.insert(name.into(), quantiles.unwrap_or_default());
    }
    Json::Object(fields)
}

fn of_estimate(of: Estimate) -> Json {
    json!({ "value": of.value, "error": of.error, "token_error": of.token_error })
}

fn of_tensor(of: &TensorError) -> Json {
    json!({
        "name": of.name,
        "type": of.ty.to_string(),
        "relative_error": of.loss.relative(),
        "weighted_error": of.weighted.map(|loss| loss.relative()),
    })
}
