//! `attention.head_count` is not above 0 (if it is an array, for at least one block), or is not
//! divisible by `attention.head_count_kv`. Models without attention, which have keys with `ssm.`
//! or `wkv.`, may have 0 heads.
//!
//! **Why it is bad.** Readers divide by both.
//!
//! **How to fix.** Write the right numbers.

use super::Check;
use crate::{Array, Value, ValueType};

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let Some((key, value)) = view.hyper("attention.head_count") else { return };
    let Some(heads) = Numbers::of(value) else { return };
    let is_recurrent = view.architecture().is_some_and(|name| {
        let is_state = |key: &str| {
            let rest = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|rest| rest.starts_with("ssm.") || rest.starts_with("wkv."))
        };
        view.header.metadata().iter().any(|entry| is_state(&entry.key))
    });
    let has_some = heads.iter().any(|count| count > 0) || is_recurrent;
    if !has_some || heads.iter().any(|count| count < 0) {
        return out.value_is(view, &key, "at least 1");
    }
    let groups = view.hyper("attention.head_count_kv");
    let Some(groups) = groups.and_then(|(_, value)| Numbers::of(value)) else { return };
    for i in 0..heads.len().max(groups.len()) {
        if let (Some(heads), Some(groups)) = (heads.at(i), groups.at(i))
            && groups > 0
            && heads % groups != 0
        {
            return out.value_is(view, &key, format_args!("a multiple of head_count_kv, {groups}"));
        }
    }
});

/// One number for all blocks, or one for each.
#[derive(Clone, Copy)]
pub(super) enum Numbers<'v> {
    One(i128),
    Each(&'v Array),
}

impl<'v> Numbers<'v> {
    /// The number or numbers that a value holds; `None` if they are not integers.
    pub(super) fn of(value: &'v Value) -> Option<Self> {
        use ValueType::{Array, Bool, F32, F64, String};
        match value {
            Value::Array(array) => match array.element_type() {
                String | Array | Bool | F32 | F64 => array.is_empty().then_some(Self::Each(array)),
                _ => Some(Self::Each(array)),
            },
            other => Some(Self::One(other.as_integer()?)),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Each(array) => array.len(),
        }
    }

    /// The number for block `i`. An array of one number holds for every block.
    pub(super) fn at(self, i: usize) -> Option<i128> {
        match self {
            Self::One(number) => Some(number),
            Self::Each(array) => array.get(if array.len() == 1 { 0 } else { i })?.as_integer(),
        }
    }

    pub(super) fn iter(self) -> impl Iterator<Item = i128> {
        (0..self.len()).filter_map(move |i| self.at(i))
    }
}

#[cfg(test)]
mod tests {
    use crate::Array;
    use crate::check::testing::Forge;

    #[test]
    fn heads() {
        let model = |heads: u32, groups: u32| {
            Forge::model()
                .key("test.attention.head_count", heads)
                .key("test.attention.head_count_kv", groups)
        };
        model(0, 1).gives(&["S017"]);
        model(4, 3).gives(&["S017"]);
        model(4, 2).gives(&[]);
        model(0, 0).key("test.ssm.conv_kernel", 4_u32).gives(&[]);
        let array =
            |items: Vec<i32>| Forge::model().key("test.attention.head_count", Array::I32(items));
        array(vec![]).gives(&["S017"]);
        array(vec![4, -1]).gives(&["S017"]);
        array(vec![4, 0]).gives(&[]);
    }
}
