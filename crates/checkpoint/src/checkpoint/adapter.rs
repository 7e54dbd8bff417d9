//! Adapters as PEFT saves them (LoRA): for some matrices of a base model, the difference to that as
//! the product of two thin ones.

use std::path::Path;

use granule_format::{Metadata, Shape, Value};
use granule_reader::SourceTensor;

use super::FurtherTokens;
use super::left_out::{Part, part};
use super::mapping::{Assembled, Mapped, Mapper, Piece};
use super::{Checkpoint, CheckpointOptions};
use crate::arch::{self, Arch, Config, Kind, Place, Rope, TensorRule};
use crate::changes::Changes;
use crate::json::{read_object, read_object_if_there};
use crate::lora::{self, CONFIG};
use crate::metadata::{self, Authorship, Parameters};
use crate::transform::{Axis, View};
use crate::weights::{StoredTensor, Weights};
use crate::{AdapterProblem, Directory, Error, Folder, Problem};

/// Ends of the names of the two matrices: of `A`, which is applied first, and of `B`.
const ENDS: [(&str, &str); 2] =
    [(".lora_A.weight", ".lora_B.weight"), (".lora_embedding_A", ".lora_embedding_B")];

/// A matrix of the base model that the adapter changes.
#[derive(Debug)]
struct Pair {
    /// Its name in the base model.
    name: String,
    /// The indices of the two matrices.
    a: Option<usize>,
    b: Option<usize>,
    /// Whether it is an embedding, whose rows are the tokens.
    embeds: bool,
}

/// Opens the adapter in a folder for the base model in another.
pub(super) fn open(
    folder: &dyn Folder,
    base: &Path,
    options: &CheckpointOptions,
) -> Result<Checkpoint, Error> {
    let about_file = folder.at(CONFIG);
    if !about_file.exists() {
        return Err(Error::in_file(folder.path(), AdapterProblem::Absent));
    }
    let about = read_object(&about_file)?;
    let in_config = |problem: Problem| Error::in_file(about_file.path(), problem);
    let mut warnings = Vec::new();
    let kind = about.get("peft_type").and_then(|kind| kind.as_str()).unwrap_or("LORA");
    if kind != "LORA" {
        return Err(in_config(AdapterProblem::Kind(kind.to_owned()).into()));
    }
    let alpha = about.get("lora_alpha").and_then(|alpha| alpha.as_f64());
    let alpha = alpha.ok_or_else(|| in_config(Problem::MissingKey(vec!["lora_alpha".into()])))?;
    for (key, meaning) in [
        ("alpha_pattern", "scales some matrices otherwise"),
        ("use_rslora", "divides its scale by the root of the rank"),
    ] {
        let set = match about.get(key) {
            Some(serde_json::Value::Object(map)) => !map.is_empty(),
            value => value == Some(&serde_json::Value::Bool(true)),
        };
        if set {
            warnings.push(format!(
                "adapter_config.json: with {key:?} the adapter {meaning}, which the file cannot \
                 say: its effect will differ"
            ));
        }
    }

    let base = Directory::new(base);
    let file = options.arch_file.as_deref().map(Arch::read).transpose()?.map(std::sync::Arc::new);
    let config = Config::read(&base, file.as_ref())?.given_as(base.path());
    let found = arch::find(file.as_ref(), &config, &base)?;
    let arch = &*found;
    let config = if arch.raw_config { config.without_defaults() } else { config };
    let rope = Rope::new(&config);
    let scope = config.scope(&base, arch, Some(&rope));
    let weights = lora::open_weights(folder)?;
    let out_type = options.out_type.resolve(&weights);
    if let (Some(ty), None) = (out_type.quantized(), options.encoder) {
        return Err(Error::in_file(folder.path(), Problem::NoEncoder(ty)));
    }

    let mut mapper = Mapper::new(arch, scope, &weights, (out_type, FurtherTokens::Keep))?;
    let mut mapped = Vec::new();
    let (norms, pairs) = sort(&weights)?;
    for (index, name) in norms {
        if let Some((number, place)) = known(&mut mapper, index, &name, &mut warnings)? {
            mapped.extend(mapper.whole(number, place, index)?);
        }
    }
    for pair in pairs {
        mapped.extend(thin(&mut mapper, &pair, &mut warnings)?);
    }
    if mapped.is_empty() {
        return Err(Error::in_file(folder.path(), AdapterProblem::Empty));
    }

    let parameters = Parameters::count(mapped.iter().map(|(tensor, _)| tensor));
    let own = read_object_if_there(&folder.at("config.json"))?.unwrap_or_default();
    let author = Authorship::gather(
        folder,
        &own,
        options.model_name.as_deref(),
        options.metadata.as_deref(),
        &parameters,
        &mut warnings,
    )?;
    let mut metadata = Metadata::new();
    metadata.set("general.architecture", arch.name.as_str());
    metadata.set("general.type", "adapter");
    metadata.set("adapter.type", "lora");
    author.write(&mut metadata);
    metadata.set("adapter.lora.alpha", alpha as f32);
    metadata.set("general.quantization_version", Value::U32(metadata::QUANTIZATION_VERSION));

    let (mixture, _) = out_type.mixture(false, false);
    let file_stem = author.file_stem(Some(mixture), true) + "-LoRA";
    let (tensors, assembled) = mapped.into_iter().unzip();
    let folders = [folder.on_disk(), base.on_disk()].into_iter().flatten();
    let folders = folders.map(Path::to_owned).collect();
    Ok(Checkpoint {
        arch: found.clone(),
        weights,
        metadata,
        tensors,
        assembled,
        folders,
        warnings,
        file_stem,
        mixture,
        encoder: options.encoder,
        complete: true,
        exact: None,
    })
}

/// The norms of an adapter, and its pairs, by the names in the base model.
type Sorted = (Vec<(usize, String)>, Vec<Pair>);

/// Sorts the tensors by what they are.
fn sort(weights: &Weights) -> Result<Sorted, Error> {
    let mut norms = Vec::new();
    let mut pairs: Vec<Pair> = Vec::new();
    for (index, tensor) in weights.tensors().iter().enumerate() {
        let name = tensor.name.replace("base_model.model.", "");
        let part = ENDS.iter().enumerate().find_map(|(kind, (a, b))| {
            let of = |end: &str| Some(format!("{}.weight", name.strip_suffix(end)?));
            of(a).map(|name| (kind, true, name)).or_else(|| Some((kind, false, of(b)?)))
        });
        if let Some((kind, first, name)) = part {
            let place = pairs.iter().position(|pair| pair.name == name);
            let place = place.unwrap_or_else(|| {
                pairs.push(Pair { name, a: None, b: None, embeds: kind == 1 });
                pairs.len() - 1
            });
            let slot = if first { &mut pairs[place].a } else { &mut pairs[place].b };
            *slot = Some(index);
        } else if name.contains("_layernorm") || name.contains(".norm") {
            norms.push((index, name));
        } else if !name.contains(".base_layer.weight") {
            let problem = AdapterProblem::Tensor.into();
            return Err(Error::of_tensor(weights.path(tensor), &tensor.name, problem));
        }
    }
    Ok((norms, pairs))
}

/// Finds the rule for a tensor of the base model; `None` if conversions leave that out.
fn known(
    mapper: &mut Mapper<'_>,
    index: usize,
    name: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<(usize, Place)>, Error> {
    let left_out = mapper.left_out()?;
    let name = mapper.known_name(name, &left_out);
    match part(Kind::Model, &left_out, &name, &name) {
        Part::Text => {}
        Part::Other if mapper.fits(&name).next().is_some() => {}
        Part::Redundant | Part::RedundantZeros => return Ok(None),
        Part::Other => {
            warnings.push(format!("{name:?} is not part of the text model and is omitted"));
            return Ok(None);
        }
    }
    let (number, _, place) = mapper.rule_for(mapper.tensor(index), &name)?;
    Ok(Some((number, place)))
}

/// Makes the two matrices of the file for a pair, for each tensor that the base model's becomes.
fn thin(
    mapper: &mut Mapper<'_>,
    pair: &Pair,
    warnings: &mut Vec<String>,
) -> Result<Vec<Mapped>, Error> {
    let (Some(a_index), Some(b_index)) = (pair.a, pair.b) else {
        let index = pair.a.or(pair.b).unwrap_or_default();
        return Err(mapper.fail(mapper.tensor(index), AdapterProblem::HalfPair.into()));
    };
    let Some((number, place)) = known(mapper, b_index, &pair.name, warnings)? else {
        return Ok(Vec::new());
    };
    let (a, b) = (mapper.tensor(a_index), mapper.tensor(b_index));
    let ([rank, columns], [rows, other]) = (&a.shape[..], &b.shape[..]) else {
        return Err(mapper.fail(b, AdapterProblem::HalfPair.into()));
    };
    let (rank, columns, rows) = (*rank, *columns, *rows);
    let rule = mapper.rule(number);
    let expected = mapper.shape(rule, place.layer)?;
    let found = if pair.embeds { vec![columns, rows] } else { vec![rows, columns] };
    if *other != rank || expected != found {
        let by = rule.shape_text();
        return Err(mapper.fail(b, Problem::Shape { found, expected, by }));
    }
    let moved = || mapper.fail(b, AdapterProblem::Moves.into());
    if rule.sources.len() > 1 || place.expert.is_some() || !rule.change.is_none() {
        return Err(moved());
    }
    let mut out = Vec::new();
    for (name, output) in mapper.outputs(number, place)? {
        // The rows of the product are those of B, its columns those of A.
        let (mut pieces, mut kept) = (Vec::new(), 0);
        let movable = output.patterns.iter().all(|pattern| pattern.of_bias().is_ok());
        if !output.patterns.is_empty() && (pair.embeds || !movable) {
            return Err(moved());
        }
        let views = output.views(&mapper.scope.at(place.layer), &[rows, rank])?;
        for (shape, view) in views.map_err(|problem| mapper.fail(b, problem))? {
            let [more, _] = shape[..] else { return Err(moved()) };
            kept += more;
            pieces.push(Piece { tensor: b_index, view, zeros: 0 });
        }
        // Programs look up rows of an embedding, so its A has one for each token.
        let (a_view, a_shape) = if name.contains("token_embd.weight") {
            let axes =
                vec![Axis { count: columns, stride: 1 }, Axis { count: rank, stride: columns }];
            (View::new(0, axes), [rank, columns])
        } else {
            (View::whole(rank * columns), [columns, rank])
        };
        let first = vec![Piece { tensor: a_index, view: a_view, zeros: 0 }];
        for (end, pieces, shape) in [("a", first, a_shape), ("b", pieces, [rank, kept])] {
            let name = format!("{name}.lora_{end}");
            let shape = Shape::new(&shape).filter(|shape| shape.values().is_some());
            let shape = shape.ok_or_else(|| mapper.fail(b, Problem::TooLarge(b.shape.clone())))?;
            let ty = mapper.out_type.of_tensor(&name, &shape).into();
            let from = Assembled::Stored { pieces, changes: Changes::default(), zeros: [0; 2] };
            out.push((SourceTensor { name, shape, ty }, from));
        }
    }
    Ok(out)
}

impl<'a> Mapper<'a> {
    /// Returns a tensor of the checkpoint.
    fn tensor(&self, index: usize) -> &'a StoredTensor {
        &self.weights.tensors()[index]
    }

    /// Returns the rule with this number.
    fn rule(&self, number: usize) -> &'a TensorRule {
        self.rules[number].rule
    }

    /// Returns the tensors of the file that a rule makes of a whole tensor.
    fn whole(&mut self, number: usize, place: Place, index: usize) -> Result<Vec<Mapped>, Error> {
        let rule = self.rules[number].rule;
        self.check_shape(rule, place, self.tensor(index))?;
        for output in self.outputs(number, place)? {
            self.add((number, rule), output, place, &[index], false)?;
        }
        Ok(std::mem::take(&mut self.done))
    }
}
