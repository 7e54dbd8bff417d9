//! The functions that expressions can call.

use std::ops::RangeInclusive;

/// A function that expressions can call.
#[derive(Debug)]
pub(in crate::arch) struct Function {
    pub(super) name: &'static str,
    pub(super) arguments: RangeInclusive<usize>,
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    If,
    First,
    Has,
    Any,
    Contains,
    Truncate,
    Ceiling,
    Round,
    Root,
    Logarithm,
    Power,
    Quantile,
    Sinusoids,
    Least,
    Greatest,
    Length,
    Leading,
    EachEquals,
    Integers,
    SortedValues,
    EachLayer,
    StoredLayers,
    FirstLayer,
    Repeat,
    Join,
    Each,
    Order,
    Flat,
    Fraction,
    Stored,
    Shape,
    Lengths,
    Shards,
    RopeFactors,
    Tokens,
    OwnTokens,
    Token,
    FolderName,
    Named,
    Lower,
}

/// The table of functions.
#[rustfmt::skip]
pub(super) const FUNCTIONS: &[Function] = &[
    // `if(condition, a, b)`: only one of the two is evaluated.
    Function { name: "if", arguments: 3..=3, what: What::If },
    // `first(a, b, ...)`: the first of these keys that is present, even if it is null.
    Function { name: "first", arguments: 1..=16, what: What::First },
    // `has(key)`: whether the key is present, even if it is null.
    Function { name: "has", arguments: 1..=1, what: What::Has },
    // `any(a, b, ...)`: whether one of them holds.
    Function { name: "any", arguments: 1..=16, what: What::Any },
    // `contains(list, x)`: whether the list has the item, or the string the substring.
    Function { name: "contains", arguments: 2..=2, what: What::Contains },
    // To an integer: towards 0, upwards.
    Function { name: "trunc", arguments: 1..=1, what: What::Truncate },
    Function { name: "ceil", arguments: 1..=1, what: What::Ceiling },
    // To the nearest integer; to the even one if two are equally near.
    Function { name: "round", arguments: 1..=1, what: What::Round },
    Function { name: "sqrt", arguments: 1..=1, what: What::Root },
    Function { name: "ln", arguments: 1..=1, what: What::Logarithm },
    // `pow(x, y)`: x to the power of y.
    Function { name: "pow", arguments: 2..=2, what: What::Power },
    // `quantile(p)`: the number below which a normal variable is with probability p.
    Function { name: "quantile", arguments: 1..=1, what: What::Quantile },
    // `sinusoids(positions, channels)`: Whisper's table of positions, row by row.
    Function { name: "sinusoids", arguments: 2..=2, what: What::Sinusoids },
    Function { name: "min", arguments: 2..=2, what: What::Least },
    Function { name: "max", arguments: 2..=2, what: What::Greatest },
    // `len(x)`: the number of items of a list, of keys of an object, of bytes of a string.
    Function { name: "len", arguments: 1..=1, what: What::Length },
    // `leading(list, x)`: how many items at the beginning of the list are equal to `x`.
    Function { name: "leading", arguments: 2..=2, what: What::Leading },
    // `each_equals(list, x)`: a list of whether each item is equal to `x`.
    Function { name: "each_equals", arguments: 2..=2, what: What::EachEquals },
    // `integers(string)`: those that commas separate in a string, in ascending order.
    Function { name: "integers", arguments: 1..=1, what: What::Integers },
    // `sorted_values(x)`: the values of an object in the order of its keys, as numbers if all are.
    Function { name: "sorted_values", arguments: 1..=1, what: What::SortedValues },
    // `each_layer(x)`, `each_layer(x, n)`: a list of `x` for each layer, or for the first `n`;
    // `layer` is its number in there.
    Function { name: "each_layer", arguments: 1..=2, what: What::EachLayer },
    // `stored_layers(prefix)`: the number of layers whose tensors have this prefix.
    Function { name: "stored_layers", arguments: 1..=1, what: What::StoredLayers },
    // `first_layer(x)`: `x` for the first layer for which it is not null.
    Function { name: "first_layer", arguments: 1..=1, what: What::FirstLayer },
    // `repeat(x, n)`: a list with `x` n times.
    Function { name: "repeat", arguments: 2..=2, what: What::Repeat },
    // `join(a, b)`: the items of two lists.
    Function { name: "join", arguments: 2..=2, what: What::Join },
    // `each(list, x)`: a list of `x` for each item of a list; `item` is the item in there.
    Function { name: "each", arguments: 2..=2, what: What::Each },
    // `order(list)`: the numbers of the items from the least one to the greatest.
    Function { name: "order", arguments: 1..=1, what: What::Order },
    // `flat(list)`: the items of the lists in a list.
    Function { name: "flat", arguments: 1..=1, what: What::Flat },
    // `fraction(string)`: the two integers of a string such as `4/8`.
    Function { name: "fraction", arguments: 1..=1, what: What::Fraction },
    // `stored(pattern)`: how many tensors of the checkpoint have such a name; `*` is anything.
    Function { name: "stored", arguments: 1..=1, what: What::Stored },
    // `shape(pattern)`: the dimensions of the first tensor with such a name; null if there is none.
    Function { name: "shape", arguments: 1..=1, what: What::Shape },
    // `lengths(pattern)`: the outermost dimension of each tensor with such a name, in the order of
    // the numbers in the names.
    Function { name: "lengths", arguments: 1..=1, what: What::Lengths },
    // `shards()`: the number of processors whose rows `sharded` tensors hold; 1 if it is one.
    Function { name: "shards", arguments: 0..=0, what: What::Shards },
    // `llama3_factors(head)`: the divisors of frequencies if the rope type is llama3, else null.
    Function { name: "llama3_factors", arguments: 1..=2, what: What::RopeFactors },
    // `tokens()`: the number of tokens in the file.
    Function { name: "tokens", arguments: 0..=0, what: What::Tokens },
    // `own_tokens()`: the number of tokens of the tokenizer's model, without added ones.
    Function { name: "own_tokens", arguments: 0..=0, what: What::OwnTokens },
    // `token(string)`: the id of this token.
    Function { name: "token", arguments: 1..=1, what: What::Token },
    // `folder_name()`: the name of the checkpoint's folder.
    Function { name: "folder_name", arguments: 0..=0, what: What::FolderName },
    // `named(a, b, ...)`: whether the model's name contains one of these, ignoring case.
    Function { name: "named", arguments: 1..=16, what: What::Named },
    // `lower(string)`: the string in lower case.
    Function { name: "lower", arguments: 1..=1, what: What::Lower },
];

impl Function {
    /// Whether it gives its argument the number of a layer.
    pub(super) const fn gives_layers(&self) -> bool {
        matches!(self.what, What::EachLayer | What::FirstLayer)
    }

    /// Whether its value is true or false whatever its arguments are.
    pub(super) const fn gives_truth(&self) -> bool {
        matches!(self.what, What::Has | What::Any | What::Contains | What::Named)
    }

    /// Whether its value is that of one of its arguments, which begin at this place.
    pub(super) const fn choices(&self) -> Option<usize> {
        match self.what {
            What::If => Some(1),
            What::First => Some(0),
            _ => None,
        }
    }
}
