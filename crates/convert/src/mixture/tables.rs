//! The mixtures as data. `spec/mixtures.md` shows the same tables in words.

use granule_format::{BlockType, FileType};

use super::category::Category;
use super::rule::{Condition, Position, Rule, Table, give, keep_default};

use BlockType as T;
use Category::{
    AttentionOutput, Down, Embedding, Gate, Key, KeyValue, Query, QueryKeyValue, Up, Value,
};
use Condition::*;
use FileType::{
    IQ1_M, IQ1_S, IQ2_M, IQ2_S, IQ2_XS, IQ2_XXS, IQ3_M, IQ3_S, IQ3_XS, IQ3_XXS, IQ4_NL, IQ4_XS,
    MXFP4_MOE, Q2_0, Q2_K, Q2_K_S, Q3_K_L, Q3_K_M, Q3_K_S, Q4_0, Q4_K_M, Q4_K_S, Q5_0, Q5_K_M,
    TQ1_0, TQ2_0,
};

/// Every file type that the table applies to.
const ALL: &[FileType] = &[];
/// No conditions.
const ALWAYS: &[Condition] = &[];
/// The file types with one or two bits and codebooks.
const SMALLEST: &[FileType] = &[IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ2_M];
/// The two larger ones of them.
const S_AND_M: &[FileType] = &[IQ2_S, IQ2_M];
/// The tensors that make attention values.
const VALUES: Condition = Is(&[Value, QueryKeyValue, KeyValue]);

/// The first table that handles a tensor chooses its type. If no table does, the tensor gets the
/// default type.
pub(crate) const TABLES: &[Table] = &[
    Table {
        title: "Queries and next-token projection of glm5-next",
        file_types: ALL,
        when: &[
            Architecture("glm5-next"),
            NameContains(&["attn_q_a", "attn_q_b", "nextn.eh_proj"]),
        ],
        position: Position::None,
        counts: false,
        rules: &[give(T::Q8_0, ALL, ALWAYS)],
        afterwards: &[],
    },
    Table {
        title: "Output",
        file_types: ALL,
        when: &[ServesAsOutput],
        position: Position::None,
        counts: true,
        rules: &[
            give(T::Q8_0, &[MXFP4_MOE], ALWAYS),
            give(T::Q8_0, ALL, &[Architecture("falcon")]),
            give(T::Q8_0, ALL, &[PartialBlocks]),
            give(T::Q5_K, &[IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ2_M, IQ3_XXS], ALWAYS),
            give(T::Q6_K, ALL, &[DefaultIsNot(T::Q8_0)]),
        ],
        afterwards: &[],
    },
    Table {
        title: "Everything else of MXFP4_MOE",
        file_types: &[MXFP4_MOE],
        when: ALWAYS,
        position: Position::None,
        counts: true,
        rules: &[
            give(T::Q8_0, ALL, &[Architecture("bailingmoe3"), IsNot(&[Up, Gate, Down])]),
            give(T::MXFP4, ALL, &[ThirdDimension]),
            give(T::Q8_0, ALL, ALWAYS),
        ],
        afterwards: &[],
    },
    Table {
        title: "Token embedding",
        file_types: ALL,
        when: &[Is(&[Embedding])],
        position: Position::None,
        counts: true,
        rules: &[
            give(T::Q2_K, &[IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS], ALWAYS),
            give(T::IQ3_S, &[IQ2_S, IQ2_M, IQ3_XXS], ALWAYS),
            give(T::Q4_K, &[TQ1_0, TQ2_0, Q2_0], ALWAYS),
        ],
        afterwards: &[],
    },
    Table {
        title: "Everything else of IQ1 and IQ2",
        file_types: SMALLEST,
        when: ALWAYS,
        position: Position::Counter,
        counts: true,
        rules: &[
            give(T::Q4_K, ALL, &[VALUES, HeadsInGroup(4)]),
            give(T::Q4_K, ALL, &[VALUES, ManyExperts(4)]),
            give(T::IQ3_S, S_AND_M, &[VALUES]),
            give(T::Q2_K, ALL, &[VALUES]),
            give(T::Q4_K, ALL, &[Is(&[Key]), Experts(8)]),
            give(T::IQ3_S, S_AND_M, &[Is(&[Down]), FirstPart(8)]),
            give(T::Q2_K, ALL, &[Is(&[Down]), FirstPart(8)]),
            give(T::Q5_K, ALL, &[Is(&[AttentionOutput]), Experts(8)]),
            give(T::IQ2_XXS, &[IQ1_S, IQ1_M], &[Is(&[AttentionOutput])]),
            give(T::IQ3_S, S_AND_M, &[Is(&[AttentionOutput])]),
        ],
        afterwards: &[],
    },
    Table {
        title: "Attention values",
        file_types: ALL,
        when: &[VALUES],
        position: Position::Counter,
        counts: true,
        rules: &[
            give(T::Q4_K, &[Q2_K], &[HeadsInGroup(4)]),
            give(T::Q3_K, &[Q2_K], ALWAYS),
            give(T::Q4_K, &[Q2_K_S, IQ3_XXS, IQ3_XS, IQ3_S], &[HeadsInGroup(4)]),
            give(T::IQ3_S, &[IQ3_XXS], &[WithoutImportance]),
            give(T::IQ3_XXS, &[IQ3_XXS], ALWAYS),
            give(T::Q4_K, &[IQ3_M], ALWAYS),
            give(T::Q5_K, &[Q3_K_M], &[Below(2)]),
            give(T::Q4_K, &[Q3_K_M], ALWAYS),
            give(T::Q5_K, &[Q3_K_L], ALWAYS),
            give(T::Q5_K, &[IQ4_NL, IQ4_XS], &[HeadsInGroup(4)]),
            give(T::Q6_K, &[Q4_K_M, Q5_K_M], &[Outer]),
            give(T::Q5_K, &[Q4_K_S], &[Below(4)]),
        ],
        afterwards: &[
            // many heads share these small matrices, so better types cost little
            give(T::Q5_K, ALL, &[SeventyBillion, Chosen(&[T::Q3_K, T::Q4_K])]),
            give(T::Q8_0, ALL, &[Experts(8)]),
        ],
    },
    Table {
        title: "Attention keys and queries",
        file_types: ALL,
        when: &[Is(&[Key, Query])],
        position: Position::None,
        counts: true,
        rules: &[
            give(T::Q8_0, ALL, &[Is(&[Key]), Experts(8)]),
            give(T::IQ3_XXS, &[IQ3_XS], ALWAYS),
            give(T::IQ2_S, &[IQ3_XXS], ALWAYS),
        ],
        afterwards: &[],
    },
    Table {
        title: "Attention output",
        file_types: ALL,
        when: &[Is(&[AttentionOutput])],
        position: Position::None,
        counts: true,
        rules: ATTENTION_OUTPUT,
        afterwards: &[],
    },
    Table {
        title: "Feed-forward down",
        file_types: ALL,
        when: &[Is(&[Down])],
        position: Position::Layer,
        counts: true,
        rules: FEED_FORWARD_DOWN,
        afterwards: &[],
    },
    Table {
        title: "Feed-forward gate and up",
        file_types: ALL,
        when: &[Is(&[Gate, Up])],
        position: Position::Layer,
        counts: true,
        rules: &[give(T::IQ3_XXS, &[IQ3_XS], &[Middle])],
        afterwards: &[],
    },
];

const ATTENTION_OUTPUT: &[Rule] = &[
    give(T::Q4_K, &[Q3_K_L], &[Architecture("falcon")]),
    keep_default(ALL, &[Architecture("falcon")]),
    give(
        T::Q5_K,
        &[Q2_K, IQ3_XS, IQ3_XXS, Q3_K_S, Q3_K_M, IQ4_NL, Q4_K_S, Q4_K_M, IQ3_S, IQ3_M, IQ4_XS],
        &[Experts(8)],
    ),
    keep_default(ALL, &[Experts(8)]),
    give(T::Q3_K, &[Q2_K], ALWAYS),
    give(T::IQ3_S, &[IQ3_XXS], ALWAYS),
    give(T::Q4_K, &[Q3_K_M, IQ3_M], ALWAYS),
    give(T::Q5_K, &[Q3_K_L], ALWAYS),
];

const FEED_FORWARD_DOWN: &[Rule] = &[
    give(T::Q3_K, &[Q2_K], ALWAYS),
    give(T::Q4_K, &[Q2_K_S], &[FirstPart(8)]),
    give(T::Q4_K, &[IQ3_XXS], &[WithoutImportance, FirstPart(8)]),
    give(T::Q3_K, &[IQ3_XXS], &[WithoutImportance]),
    give(T::Q5_K, &[Q3_K_M], &[FirstPart(16)]),
    give(T::Q3_K, &[Q3_K_M], &[Architecture("falcon"), NotOuter]),
    give(T::Q4_K, &[Q3_K_M], ALWAYS),
    give(T::Q4_K, &[IQ3_M], &[FirstPart(8)]),
    give(T::Q4_K, &[IQ3_M], &[Experts(8), Outer]),
    give(T::Q4_K, &[Q3_K_L], &[Architecture("falcon")]),
    give(T::Q5_K, &[Q3_K_L], ALWAYS),
    give(T::Q6_K, &[Q4_K_M], &[Architecture("falcon"), FirstPart(16)]),
    give(T::Q5_K, &[Q4_K_M], &[Architecture("falcon"), Outer]),
    give(T::Q4_K, &[Q4_K_M], &[Architecture("falcon")]),
    give(T::Q6_K, &[Q4_K_M, Q5_K_M], &[Outer]),
    give(T::Q5_K, &[IQ4_NL, IQ4_XS], &[WithoutImportance, FirstPart(8)]),
    give(T::Q5_K, &[Q4_K_S], &[NotArchitecture("falcon"), FirstPart(8)]),
    give(T::Q4_1, &[Q4_0], &[WithImportance, FirstPart(8)]),
    give(T::Q5_1, &[Q5_0], &[WithImportance, FirstPart(8)]),
];
