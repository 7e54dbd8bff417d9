//! `attention.head_count` is not above 0 (in one block at least, if it is an array), or not divisible by
//! `attention.head_count_kv`. Models without attention (with keys `ssm.` or `wkv.`) may have 0 heads.
//!
//! **Why it is bad.** Readers divide by both.
//!
//! **How to fix.** Write the right numbers.

use super::Check;
use crate::{Array, Value};

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let Some((key, value)) = view.hyper("attention.head_count") else { return };
    let Some(heads) = numbers(value) else { return };
    let is_recurrent = view.architecture().is_some_and(|name| {
        let is_state = |key: &str| {
            let rest = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|rest| rest.starts_with("ssm.") || rest.starts_with("wkv."))
        };
        view.header.metadata().iter().any(|entry| is_state(&entry.key))
    });
    let has_some = heads.iter().any(|count| *count > 0) || is_recurrent;
    if !has_some || heads.iter().any(|count| *count < 0) {
        return out.value_is(view, &key, "at least 1");
    }
    let groups = view.hyper("attention.head_count_kv").and_then(|(_, value)| numbers(value));
    let groups = groups.unwrap_or_default();
    for i in 0..heads.len().max(groups.len()) {
        if let (Some(heads), Some(groups)) = (at(&heads, i), at(&groups, i))
            && groups > 0
            && heads % groups != 0
        {
            return out.value_is(view, &key, format_args!("a multiple of head_count_kv, {groups}"));
        }
    }
});

/// The number for block `i`: one number holds for every block.
pub(super) fn at(list: &[i128], i: usize) -> Option<i128> {
    list.get(if list.len() == 1 { 0 } else { i }).copied()
}

/// A number, or the numbers of an array; `None` if they are not integers.
pub(super) fn numbers(value: &Value) -> Option<Vec<i128>> {
    match value {
        Value::Array(Array::U32(items)) => Some(items.iter().map(|n| i128::from(*n)).collect()),
        Value::Array(array) => {
            (0..array.len()).map(|i| array.get(i).and_then(|item| item.as_integer())).collect()
        }
        other => Some(vec![other.as_integer()?]),
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
