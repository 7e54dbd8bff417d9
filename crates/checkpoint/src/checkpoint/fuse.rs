//! Joins tensors of a layer on request.

use std::collections::{BTreeMap, HashMap};

use granule_format::{BlockType, Shape};

use super::mapping::{Assembled, Mapped, Piece};
use super::out_type::Writable;
use crate::changes::Changes;
use crate::data_type::DataType;
use crate::weights::{StoredTensor, Weights};
use granule_reader::SourceTensor;

/// The inputs that determine the types of tensors.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) weights: &'a Weights,
    pub(super) out_type: Writable,
}

/// A join: the endings of the names of its parts, and that of the result.
struct Join {
    parts: &'static [&'static str],
    whole: &'static str,
}

const QKV_WEIGHTS: Join =
    Join { parts: &["attn_q.weight", "attn_k.weight", "attn_v.weight"], whole: "attn_qkv.weight" };
const QKV_BIASES: Join =
    Join { parts: &["attn_q.bias", "attn_k.bias", "attn_v.bias"], whole: "attn_qkv.bias" };
const GATE_UP_EXPERTS: Join = Join {
    parts: &["ffn_gate_exps.weight", "ffn_up_exps.weight"],
    whole: "ffn_gate_up_exps.weight",
};

/// Joins queries, keys and values row by row in layers that have all three. Joins the weights only
/// if the layer has biases for all three or for none.
pub(super) fn queries_keys_values(tensors: Vec<Mapped>, of: Context<'_>) -> Vec<Mapped> {
    let biases = layers(&tensors, &QKV_BIASES);
    let mut weights = layers(&tensors, &QKV_WEIGHTS);
    weights.retain(|layer, found| {
        let biases = biases.get(layer).map_or(0, Vec::len);
        found.len() == 3 && (biases == 0 || biases == 3)
    });
    let mut biases = biases;
    biases.retain(|layer, found| found.len() == 3 && weights.contains_key(layer));
    let tensors = join(tensors, &QKV_WEIGHTS, weights, of);
    // The positions have changed.
    let found = layers(&tensors, &QKV_BIASES);
    let biases = found.into_iter().filter(|(layer, _)| biases.contains_key(layer)).collect();
    join(tensors, &QKV_BIASES, biases, of)
}

/// Joins the two inner matrices of every expert, row by row.
pub(super) fn gates_and_ups(tensors: Vec<Mapped>, of: Context<'_>) -> Vec<Mapped> {
    let mut found = layers(&tensors, &GATE_UP_EXPERTS);
    found.retain(|_, found| found.len() == 2);
    join(tensors, &GATE_UP_EXPERTS, found, of)
}

/// Returns the tensors of each layer that could be joined, in the order of the parts.
fn layers(tensors: &[Mapped], join: &Join) -> BTreeMap<String, Vec<usize>> {
    let mut layers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for part in join.parts {
        for (index, (tensor, _)) in tensors.iter().enumerate() {
            if let Some(layer) = tensor.name.strip_suffix(part)
                && layer.starts_with("blk.")
            {
                layers.entry(layer.to_owned()).or_default().push(index);
            }
        }
    }
    layers
}

/// Replaces the tensors of these layers by their joins, placed at the position of their last part.
fn join(
    tensors: Vec<Mapped>,
    join: &Join,
    layers: BTreeMap<String, Vec<usize>>,
    of: Context<'_>,
) -> Vec<Mapped> {
    let mut joined = HashMap::new();
    let mut gone = vec![false; tensors.len()];
    for (layer, parts) in layers {
        let name = format!("{layer}{}", join.whole);
        let Some(whole) = whole(name, &tensors, &parts, of) else { continue };
        parts.iter().for_each(|part| gone[*part] = true);
        joined.insert(parts.into_iter().max().unwrap_or_default(), whole);
    }
    let kept = tensors.into_iter().zip(gone).enumerate().filter_map(|(index, (tensor, gone))| {
        if gone { joined.remove(&index) } else { Some(tensor) }
    });
    kept.collect()
}

/// Joins tensors with equal row lengths, a common type and the same changes; `None` if they cannot
/// be joined.
fn whole(name: String, tensors: &[Mapped], parts: &[usize], of: Context<'_>) -> Option<Mapped> {
    let mut shapes = Vec::new();
    let mut sources: Vec<&[Piece]> = Vec::new();
    let mut all: Vec<&Changes> = Vec::new();
    for part in parts {
        let (tensor, assembled) = &tensors[*part];
        let Assembled::Stored { pieces, changes, zeros: [0, 0] } = assembled else { return None };
        shapes.push(tensor.shape.dimensions().to_vec());
        sources.push(pieces);
        all.push(changes);
    }
    let changes = all[0].clone();
    if changes.depend_on_place() || all.iter().any(|other| **other != changes) {
        return None;
    }
    let mut dimensions = shapes[0].clone();
    // Rows are dimension 1; the values of a bias are dimension 0.
    let grows = usize::from(dimensions.len() > 1);
    dimensions[grows] = 0;
    for shape in &shapes {
        dimensions[grows] += shape.get(grows)?;
        let alike =
            |(index, length): (usize, &u64)| index == grows || shape.get(index) == Some(length);
        if shape.len() != dimensions.len() || !dimensions.iter().enumerate().all(alike) {
            return None;
        }
    }
    let pieces = match dimensions.get(2) {
        None => sources.concat(),
        // Expert by expert.
        Some(experts) => {
            let experts = *experts as usize;
            let split: Vec<Vec<Piece>> =
                sources.iter().map(|pieces| by_matrix(pieces, experts)).collect::<Option<_>>()?;
            (0..experts).flat_map(|at| split.iter().map(move |pieces| pieces[at].clone())).collect()
        }
    };
    let shape = Shape::new(&dimensions).filter(|shape| shape.values().is_some())?;
    let first = &of.weights.tensors()[pieces.first()?.tensor];
    let stored = first.ty;
    // Blocks of NVFP4 have factors that differ from tensor to tensor.
    let tensors = || pieces.iter().map(|piece| &of.weights.tensors()[piece.tensor]);
    let mixed = tensors().any(|tensor| tensor.ty != stored);
    let merged = tensors().any(StoredTensor::is_merged) && stored.values() == 1;
    if stored == DataType::Nvfp4 || mixed && !merged {
        return None;
    }
    let ty = match stored.copied() {
        Some(ty) => ty,
        None if grows == 1 && of.weights.is_q8(first) && shape.row().is_multiple_of(32) => {
            BlockType::Q8_0
        }
        None => of.out_type.of_tensor(&name, &shape),
    };
    let tensor = SourceTensor { name, shape, ty: ty.into() };
    Some((tensor, Assembled::Stored { pieces, changes, zeros: [0, 0] }))
}

/// Splits the pieces into one for each matrix.
fn by_matrix(pieces: &[Piece], matrices: usize) -> Option<Vec<Piece>> {
    match pieces {
        pieces if pieces.len() == matrices => Some(pieces.to_vec()),
        [Piece { tensor, view, zeros: 0 }] => {
            let views = view.split(matrices as u64)?;
            Some(views.map(|view| Piece { tensor: *tensor, view, zeros: 0 }).collect())
        }
        _ => None,
    }
}
