use std::fmt;

use granule_format::{BlockType, FileType, Shape};

use super::Model;
use super::category::Category;

/// One part of the mixtures: the tensors it handles, and their types.
#[derive(Debug)]
pub(crate) struct Table {
    /// A description of the tensors it handles.
    pub(crate) title: &'static str,
    /// The file types it applies to; empty: all.
    pub(crate) file_types: &'static [FileType],
    /// The other conditions that must hold.
    pub(crate) when: &'static [Condition],
    /// The meaning of `i` and `n`.
    pub(crate) position: Position,
    /// Whether the tensors it handles advance their counters.
    pub(crate) counts: bool,
    /// The first rule that holds gives the type. If none holds, it is the default type of the file
    /// type.
    pub(crate) rules: &'static [Rule],
    /// Each of these rules that holds then replaces the type, in order.
    pub(crate) afterwards: &'static [Rule],
}

/// The numbers that the conditions on `i` and `n` use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// There are no such conditions.
    None,
    /// The number of earlier tensors of the category.
    Counter,
    /// The same, but the number in the tensor's name in models with several experts.
    Layer,
}

/// A type for the tensors for which these conditions hold in one of these file types.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The file types; empty: every file type that the table applies to.
    pub(crate) file_types: &'static [FileType],
    /// The conditions. All must hold.
    pub(crate) when: &'static [Condition],
    /// The type; `None` is the default type of the file type.
    pub(crate) gives: Option<BlockType>,
}

/// Returns a rule that gives a type.
pub(crate) const fn give(
    ty: BlockType,
    file_types: &'static [FileType],
    when: &'static [Condition],
) -> Rule {
    Rule { file_types, when, gives: Some(ty) }
}

/// Returns a rule that gives the default type of the file type.
pub(crate) const fn keep_default(
    file_types: &'static [FileType],
    when: &'static [Condition],
) -> Rule {
    Rule { file_types, when, gives: None }
}

/// A condition on a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Condition {
    /// The tensor has one of these categories.
    Is(&'static [Category]),
    /// The tensor has none of these categories.
    IsNot(&'static [Category]),
    /// The tensor is the output matrix, or the token embedding of a model without one.
    ServesAsOutput,
    /// The name contains one of these.
    NameContains(&'static [&'static str]),
    /// The model has this architecture.
    Architecture(&'static str),
    /// The model has another architecture.
    NotArchitecture(&'static str),
    /// At least this many query heads share a key and value head.
    HeadsInGroup(u64),
    /// The model has exactly this many experts.
    Experts(u64),
    /// The model has at least this many experts.
    ManyExperts(u64),
    /// The model is one of those that count as 70B.
    SeventyBillion,
    /// An importance matrix is given.
    WithImportance,
    /// No importance matrix is given.
    WithoutImportance,
    /// The third dimension is above 1: a matrix for each expert.
    ThirdDimension,
    /// Rows are not whole blocks of the default type.
    PartialBlocks,
    /// The default type is not this one.
    DefaultIsNot(BlockType),
    /// The type chosen so far is one of these.
    Chosen(&'static [BlockType]),
    /// `i < k`.
    Below(u64),
    /// `i < n / k`.
    FirstPart(u64),
    /// The tensor is in the first or the last eighth, or is every third one in between.
    Outer,
    /// Not [`Outer`](Self::Outer).
    NotOuter,
    /// The tensor is neither in the first nor in the last eighth.
    Middle,
}

/// A tensor whose type is to be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) model: &'a Model,
    pub(crate) file_type: FileType,
    pub(crate) default: BlockType,
    pub(crate) name: &'a str,
    pub(crate) shape: &'a Shape,
    pub(crate) category: Category,
    /// `i`: its number among the tensors of its kind, from 0.
    pub(crate) index: u64,
    /// `n`: the number of tensors of its kind.
    pub(crate) count: u64,
}

impl Table {
    /// Returns whether the table handles the tensor.
    pub(crate) fn handles(&self, tensor: &Candidate<'_>) -> bool {
        // nothing has been chosen yet, so the default stands in
        holds(self.file_types, self.when, tensor, tensor.default)
    }

    /// Returns the type, and the last rule that gave it (`None`: the default type, by no rule).
    pub(crate) fn choose(&self, tensor: &Candidate<'_>) -> (BlockType, Option<&'static Rule>) {
        let rule = self.rules.iter().find(|rule| rule.holds(tensor, tensor.default));
        let first = (rule.and_then(|rule| rule.gives).unwrap_or(tensor.default), rule);
        self.afterwards.iter().fold(first, |(ty, by), rule| {
            if rule.holds(tensor, ty) {
                (rule.gives.unwrap_or(tensor.default), Some(rule))
            } else {
                (ty, by)
            }
        })
    }
}

impl Rule {
    fn holds(&self, tensor: &Candidate<'_>, chosen: BlockType) -> bool {
        holds(self.file_types, self.when, tensor, chosen)
    }
}

fn holds(
    file_types: &[FileType],
    conditions: &[Condition],
    tensor: &Candidate<'_>,
    chosen: BlockType,
) -> bool {
    (file_types.is_empty() || file_types.contains(&tensor.file_type))
        && conditions.iter().all(|condition| condition.holds(tensor, chosen))
}

impl Condition {
    fn holds(&self, tensor: &Candidate<'_>, chosen: BlockType) -> bool {
        let model = tensor.model;
        let (i, n) = (tensor.index, tensor.count);
        match *self {
            Self::Is(categories) => categories.contains(&tensor.category),
            Self::IsNot(categories) => !categories.contains(&tensor.category),
            Self::ServesAsOutput => {
                tensor.category == Category::Output
                    || tensor.category == Category::Embedding && model.tied
            }
            Self::NameContains(parts) => parts.iter().any(|part| tensor.name.contains(part)),
            Self::Architecture(name) => model.architecture == name,
            Self::NotArchitecture(name) => model.architecture != name,
            Self::HeadsInGroup(least) => model.heads_in_group >= least,
            Self::Experts(number) => model.experts == number,
            Self::ManyExperts(least) => model.experts >= least,
            Self::SeventyBillion => model.counts_as_70b,
            Self::WithImportance => model.with_importance,
            Self::WithoutImportance => !model.with_importance,
            Self::ThirdDimension => {
                tensor.shape.dimensions().get(2).is_some_and(|third| *third > 1)
            }
            Self::PartialBlocks => {
                !tensor.shape.row().is_multiple_of(tensor.default.block_values() as u64)
            }
            Self::DefaultIsNot(ty) => tensor.default != ty,
            Self::Chosen(types) => types.contains(&chosen),
            Self::Below(k) => i < k,
            Self::FirstPart(k) => i < n / k,
            Self::Outer => outer(i, n),
            Self::NotOuter => !outer(i, n),
            Self::Middle => n / 8 <= i && i < n * 7 / 8,
        }
    }
}

/// Returns whether `i` is in the first or the last eighth of `n`, or is every third one in between.
fn outer(i: u64, n: u64) -> bool {
    i < n / 8 || i >= n * 7 / 8 || (i - n / 8) % 3 == 2
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(categories) => write!(f, "{}", list(categories)),
            Self::IsNot(categories) => write!(f, "not {}", list(categories)),
            Self::ServesAsOutput => write!(f, "output, or token_embd in a model without output"),
            Self::NameContains(parts) => write!(f, "name contains {}", list(parts)),
            Self::Architecture(name) => write!(f, "{name}"),
            Self::NotArchitecture(name) => write!(f, "not {name}"),
            Self::HeadsInGroup(least) => write!(f, "{least} or more heads in a group"),
            Self::Experts(number) => write!(f, "{number} experts"),
            Self::ManyExperts(least) => write!(f, "{least} or more experts"),
            Self::SeventyBillion => write!(f, "counts as 70B"),
            Self::WithImportance => write!(f, "with importance matrix"),
            Self::WithoutImportance => write!(f, "without importance matrix"),
            Self::ThirdDimension => write!(f, "third dimension above 1"),
            Self::PartialBlocks => write!(f, "rows are not whole blocks of the default type"),
            Self::DefaultIsNot(ty) => write!(f, "the default type is not {ty}"),
            Self::Chosen(types) => write!(f, "{} so far", list(types)),
            Self::Below(k) => write!(f, "i < {k}"),
            Self::FirstPart(k) => write!(f, "i < n/{k}"),
            Self::Outer => write!(f, "outer"),
            Self::NotOuter => write!(f, "not outer"),
            Self::Middle => write!(f, "n/8 <= i < 7n/8"),
        }
    }
}

/// Returns the conditions in words; empty if there are none.
pub(crate) fn words(conditions: &[Condition]) -> String {
    conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Joins items, with `or` before the last.
fn list<T: fmt::Display>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    match texts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => texts.concat(),
    }
}
