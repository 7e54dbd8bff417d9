use std::fmt;

use granule_format::{BlockType, Shape};

use crate::arch::{Arch, RuleType, TensorRule};
use crate::data_type::DataType;
use crate::weights::{StoredTensor, Weights};

/// The type of a checkpoint's tensors, with the choices of the reference's converter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutType {
    /// The checkpoint's own 16-bit type; F16 if it has none.
    #[default]
    Auto,
    /// For each tensor the smallest type that holds its values exactly.
    Exact,
    /// A specific type.
    Type(Writable),
}

/// A type that the reference's converter can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writable(&'static Row);

#[derive(Debug, PartialEq, Eq)]
struct Row {
    /// Name of the mixture in file names. The option is the same in lower case.
    name: &'static str,
    ty: BlockType,
    /// `general.file_type`.
    file_type: u32,
    /// The type of token embedding and output, if it differs.
    embedding: Option<BlockType>,
}

/// The table of types.
const TYPES: &[Row] = &[
    Row { name: "F32", ty: BlockType::F32, file_type: 0, embedding: None },
    Row { name: "F16", ty: BlockType::F16, file_type: 1, embedding: None },
    Row { name: "BF16", ty: BlockType::BF16, file_type: 32, embedding: None },
    Row { name: "Q8_0", ty: BlockType::Q8_0, file_type: 7, embedding: None },
    Row { name: "TQ1_0", ty: BlockType::TQ1_0, file_type: 36, embedding: Some(BlockType::F16) },
    Row { name: "TQ2_0", ty: BlockType::TQ2_0, file_type: 37, embedding: Some(BlockType::F16) },
];

/// The mixture whose experts are MXFP4, regardless of the other tensors.
pub(super) const MXFP4_EXPERTS: (&str, u32) = ("MXFP4_MOE", 38);

/// The mixture with tensors of NVFP4, regardless of the others.
pub(super) const NVFP4: (&str, u32) = ("NVFP4", 39);

/// Matrices that stay F32, by their names in the file.
const FULL_PRECISION: &[&str] = &[
    "a.position_embd.weight",
    "altup_correct_coef.weight",
    "altup_predict_coef.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_inp_shexp.weight",
    "indexer.proj.weight",
    "position_embd.weight",
    "posnet.norm1.weight",
    "posnet.norm2.weight",
    "shortconv.conv.weight",
    "ssm_conv1d.weight",
    "ssm_conv1d_k.weight",
    "ssm_conv1d_q.weight",
    "ssm_conv1d_v.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_first.weight",
    "time_mix_lerp_fused.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "token_types.weight",
    "v.position_embd.weight",
];

/// Parts of the names of convolutions over patches of images: F16 in files of that type, F32 in all
/// others.
const OVER_PATCHES: &[&str] = &[".patch_embd.weight", ".patch_merger.weight"];

/// The ends of the names of matrices.
const MATRICES: &[&str] = &[".weight", ".lora_a", ".lora_b"];

/// Tensors with the type of the embedding, by their names in the file.
const EMBEDDING: &[&str] = &[
    "altup_router.weight",
    "laurel_l.weight",
    "laurel_r.weight",
    "output.weight",
    "per_layer_token_embd.weight",
    "token_embd.weight",
];

impl OutType {
    /// Returns every name that [`from_name`](Self::from_name) accepts.
    pub fn names() -> impl Iterator<Item = String> {
        let types = TYPES.iter().map(|row| row.name.to_ascii_lowercase());
        ["auto", "exact"].into_iter().map(str::to_owned).chain(types)
    }

    /// Returns the type with this name, ignoring case.
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("auto") {
            return Some(Self::Auto);
        }
        if name.eq_ignore_ascii_case("exact") {
            return Some(Self::Exact);
        }
        let row = TYPES.iter().find(|row| row.name.eq_ignore_ascii_case(name))?;
        Some(Self::Type(Writable(row)))
    }

    /// Resolves [`Auto`](Self::Auto) to the type of the first 16-bit matrix. Tensors of
    /// [`Exact`](Self::Exact) are F32 until their types are chosen.
    pub(super) fn resolve(self, weights: &Weights) -> Writable {
        match self {
            Self::Type(ty) => return ty,
            Self::Exact => return Writable(&TYPES[0]),
            Self::Auto => {}
        }
        let bf16 = weights.half() == Some(DataType::BF16);
        Writable(&TYPES[if bf16 { 2 } else { 1 }])
    }
}

impl Writable {
    /// Returns the name of the type: `BF16`.
    pub const fn name(self) -> &'static str {
        self.0.name
    }

    /// Returns the type if its rows need an encoder.
    pub(super) fn quantized(self) -> Option<BlockType> {
        Some(self.0.ty).filter(|ty| ty.is_quantized())
    }

    /// Returns the name of the mixture in file names and the value of `general.file_type`. `mxfp4`
    /// says whether the experts have that type according to the config, `nvfp4` whether tensors
    /// have that type.
    pub(super) fn mixture(self, mxfp4: bool, nvfp4: bool) -> (&'static str, u32) {
        match self.0.ty {
            BlockType::F32 | BlockType::F16 | BlockType::BF16 if nvfp4 => NVFP4,
            BlockType::F32 | BlockType::F16 | BlockType::BF16 if mxfp4 => MXFP4_EXPERTS,
            _ => (self.0.name, self.0.file_type),
        }
    }

    /// Returns the type of a tensor that a rule makes, given its first part in the checkpoint, its
    /// name in the file and its shape.
    pub(super) fn of_rule(
        self,
        (arch, rule): (&Arch, &TensorRule),
        (weights, stored): (&Weights, &StoredTensor),
        name: &str,
        shape: &Shape,
    ) -> BlockType {
        let matrix = shape.dimensions().len() > 1 && !name.ends_with("_norm.weight");
        let kept = matrix && arch.stored_types;
        if let Some(ty) = stored.ty.copied() {
            return ty;
        }
        match (stored.own_type(), rule.ty) {
            (_, Some(RuleType::F32)) => BlockType::F32,
            (_, Some(RuleType::I32)) => BlockType::I32,
            (_, Some(RuleType::F16)) if matrix => BlockType::F16,
            (_, Some(RuleType::F16OrF32)) if matrix => self.over_patches(),
            (_, Some(RuleType::File)) if matrix => self.of_matrix(name, shape),
            _ if matrix && (weights.is_q8(stored) || kept && stored.is_float8()) => {
                let fits = BlockType::Q8_0.row_bytes(shape.row()).is_some();
                if fits { BlockType::Q8_0 } else { BlockType::F16 }
            }
            (DataType::BF16, _) if kept => BlockType::BF16,
            (DataType::F32, _) if kept => BlockType::F32,
            _ => self.of_tensor(name, shape),
        }
    }

    /// Returns the type of a convolution for which programs have no kernel in all types.
    fn over_patches(self) -> BlockType {
        if self.0.ty == BlockType::F16 { BlockType::F16 } else { BlockType::F32 }
    }

    /// Returns the type of a tensor, given its name in the file and its shape.
    pub(super) fn of_tensor(self, name: &str, shape: &Shape) -> BlockType {
        if shape.dimensions().len() > 1 && OVER_PATCHES.iter().any(|part| name.contains(part)) {
            return self.over_patches();
        }
        if needs_full_precision(name, shape) {
            return BlockType::F32;
        }
        self.of_matrix(name, shape)
    }

    /// Returns the type of a matrix that no program needs in full precision.
    fn of_matrix(self, name: &str, shape: &Shape) -> BlockType {
        let ty = match self.0.embedding {
            Some(ty) if ends_with(name, EMBEDDING) => ty,
            _ => self.0.ty,
        };
        if ty.row_bytes(shape.row()).is_some() { ty } else { BlockType::F16 }
    }
}

/// Returns whether a tensor stays F32, given its name in the file and its shape.
pub(super) fn needs_full_precision(name: &str, shape: &Shape) -> bool {
    shape.dimensions().len() <= 1
        || name.ends_with("_norm.weight")
        || !MATRICES.iter().any(|end| name.ends_with(end))
        || ends_with(name, FULL_PRECISION)
}

/// Returns whether the name, without the number of a block, is one of these.
fn ends_with(name: &str, names: &[&str]) -> bool {
    let rest = |start: &str| Some(name.strip_prefix(start)?.split_once('.')?.1);
    if let Some(rest) = rest("posnet.") {
        return names.iter().any(|known| known.strip_prefix("posnet.") == Some(rest));
    }
    names.contains(&rest("blk.").unwrap_or(name))
}

impl fmt::Display for Writable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.name)
    }
}
