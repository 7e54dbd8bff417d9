//! What functions do with lists, and with strings that hold several numbers.

use std::cmp::Ordering;

use serde_json::Value;

/// The numbers of a list's items from the least one to the greatest. Equal ones keep their order;
/// lists are compared item by item. `None` if anything is not a number.
pub(super) fn order(list: &Value) -> Option<Vec<usize>> {
    let items = list.as_array()?.iter().map(numbers).collect::<Option<Vec<_>>>()?;
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| items[*a].partial_cmp(&items[*b]).unwrap_or(Ordering::Equal));
    Some(order)
}

/// A number, or a list of numbers.
fn numbers(value: &Value) -> Option<Vec<f64>> {
    match value {
        Value::Array(items) => items.iter().map(Value::as_f64).collect(),
        number => Some(vec![number.as_f64()?]),
    }
}

/// The two integers of a string such as `4/8`.
pub(super) fn fraction(text: &str) -> Option<[u64; 2]> {
    let (first, second) = text.split_once('/')?;
    Some([first.trim().parse().ok()?, second.trim().parse().ok()?])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_are_ordered_and_equal_ones_stay() {
        for (list, expected) in [
            (json!([]), Some(vec![])),
            (json!([3, 1.5, 3, -1]), Some(vec![3, 1, 0, 2])),
            (json!([[2, 1], [1, 9], [2, 0], [2]]), Some(vec![1, 3, 2, 0])),
            (json!([1, "a"]), None),
            (json!([[1, null]]), None),
            (json!(7), None),
        ] {
            assert_eq!(order(&list), expected, "{list}");
        }
    }

    #[test]
    fn fractions_are_two_integers() {
        assert_eq!(fraction("4/8"), Some([4, 8]));
        for text in ["4", "4/", "4/8/2", "a/b", "-1/2", ""] {
            assert_eq!(fraction(text), None, "{text}");
        }
    }
}
