//! The cases: types and options.

use granule_convert::Recipe;
use granule_convert::recipe::{parse_layers, parse_tensor_type};
use granule_format::{BlockType, FileType};

/// One file to make with both.
pub(super) struct Case {
    pub(super) recipe: Recipe,
    pub(super) matrix: Option<Form>,
    /// The source is a split set.
    pub(super) split: bool,
}

/// The two kinds of importance matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    Gguf,
    Dat,
}

/// File types that the reference can be asked for.
pub(super) fn file_types() -> impl Iterator<Item = FileType> {
    let offered = |file_type: &FileType| {
        *file_type == FileType::COPY
            || file_type.number().is_some() && !matches!(file_type.name(), "NVFP4" | "MXFP4")
    };
    FileType::ALL.iter().copied().filter(offered)
}

/// Every file type with and without a matrix.
pub(super) fn plain() -> Vec<Case> {
    let matrices = [None, Some(Form::Gguf)];
    file_types()
        .flat_map(|ty| matrices.map(|matrix| Case { recipe: base(ty), matrix, split: false }))
        .collect()
}

/// Options, each with some file types.
pub(super) fn options() -> Result<Vec<Case>, granule_convert::RecipeError> {
    let mut cases = Vec::new();
    for file_type in [FileType::Q4_K_M, FileType::Q2_K, FileType::IQ3_XXS, FileType::Q8_0] {
        let mut add = |matrix, split, change: &dyn Fn(&mut Recipe)| {
            let mut recipe = base(file_type);
            change(&mut recipe);
            cases.push(Case { recipe, matrix, split });
        };
        let gguf = Some(Form::Gguf);
        add(gguf, false, &|recipe| recipe.pure = true);
        add(gguf, false, &|recipe| recipe.leave_output_tensor = true);
        add(gguf, false, &|recipe| recipe.output_tensor_type = Some(BlockType::Q8_0));
        add(gguf, false, &|recipe| recipe.token_embedding_type = Some(BlockType::BF16));
        let patterns = ["attn_k=q5_0", r"blk\.[0-3]\..*(up|down)=iq4_xs", "attn=q6_K"]
            .map(|text| text.parse())
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        add(gguf, false, &|recipe| recipe.tensor_types = patterns.clone());
        let layers = parse_layers("1,2,5,900")?;
        add(gguf, false, &|recipe| recipe.prune_layers = layers.clone());
        let entries = ["general.name=str:another", "a.number=int:-7", "b=float:0.1", "c=bool:true"]
            .map(|text| text.parse())
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        add(gguf, false, &|recipe| recipe.override_kv = entries.clone());
        add(gguf, false, &|recipe| recipe.include_weights = vec!["ffn_".into(), "attn_q".into()]);
        add(gguf, false, &|recipe| recipe.exclude_weights = vec!["blk.1".into()]);
        add(gguf, false, &|recipe| recipe.exclude_weights = vec![String::new()]);
        add(Some(Form::Dat), false, &|_| ());
        add(gguf, true, &|_| ());
        add(gguf, true, &|recipe| recipe.keep_split = true);
        add(gguf, true, &|recipe| {
            recipe.keep_split = true;
            recipe.prune_layers = layers.clone();
        });
    }
    Ok(cases)
}

/// The blocks of a large real model but for the first, with the slow types on the rest.
pub(super) fn pruned(blocks: u64) -> Result<Vec<Case>, granule_convert::RecipeError> {
    let embedding = parse_tensor_type("q8_0")?;
    let mut cases = plain();
    for case in &mut cases {
        case.recipe.prune_layers = (1..blocks).collect();
        case.recipe.token_embedding_type = Some(embedding);
    }
    Ok(cases)
}

/// Some file types of a real model as a whole.
pub(super) fn common() -> Vec<Case> {
    [FileType::COPY, FileType::F16, FileType::Q8_0, FileType::Q4_0, FileType::Q4_K_M]
        .map(|file_type| Case { recipe: base(file_type), matrix: None, split: false })
        .into()
}

/// The reference goes on where options have no effect.
fn base(file_type: FileType) -> Recipe {
    let mut recipe = Recipe::new(file_type);
    recipe.allow_missing = true;
    recipe.allow_requantize = true;
    recipe
}

impl Case {
    /// A short name that tells it from the others.
    pub(super) fn label(&self) -> String {
        let recipe = &self.recipe;
        let mut label = recipe.file_type.name().to_owned();
        for (part, given) in [
            ("--pure", recipe.pure),
            ("--leave-output-tensor", recipe.leave_output_tensor),
            ("--output-tensor-type", recipe.output_tensor_type.is_some()),
            ("--token-embedding-type", recipe.token_embedding_type.is_some()),
            ("--tensor-type", !recipe.tensor_types.is_empty()),
            ("--prune-layers", !recipe.prune_layers.is_empty()),
            ("--override-kv", !recipe.override_kv.is_empty()),
            ("--include-weights", !recipe.include_weights.is_empty()),
            ("--exclude-weights", !recipe.exclude_weights.is_empty()),
            ("split source", self.split),
            ("--keep-split", recipe.keep_split),
            ("matrix", self.matrix == Some(Form::Gguf)),
            ("matrix .dat", self.matrix == Some(Form::Dat)),
        ] {
            if given {
                label += " ";
                label += part;
            }
        }
        label
    }
}
