use granule_format::{Array, Metadata, Value};

/// How many positions of an array are remembered.
const MOST_POSITIONS: usize = 5;

/// A key that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataChange<'m> {
    /// The key.
    pub key: &'m str,
    /// Its value before; `None` if it was added.
    pub before: Option<&'m Value>,
    /// Its value after; `None` if it was removed.
    pub after: Option<&'m Value>,
    /// Where two arrays of the same element type differ.
    pub positions: Option<Positions>,
}

/// Where two arrays differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions {
    /// The number of positions, those that only one of the arrays has included.
    pub count: usize,
    /// The first of them.
    pub first: Vec<usize>,
}

/// The keys that differ: those that were removed or changed in the order of `before`, then those
/// that were added. The order of keys is no difference; floating-point numbers are compared by
/// their bits.
pub fn metadata<'m>(before: &'m Metadata, after: &'m Metadata) -> Vec<MetadataChange<'m>> {
    let mut changes = Vec::new();
    for entry in before {
        let (key, old) = (entry.key.as_str(), &entry.value);
        match after.get(key) {
            None => {
                let (before, after, positions) = (Some(old), None, None);
                changes.push(MetadataChange { key, before, after, positions });
            }
            Some(new) => {
                let positions = match (old, new) {
                    (Value::Array(old), Value::Array(new)) => positions(old, new),
                    _ => None,
                };
                let same = match &positions {
                    Some(positions) => positions.count == 0,
                    None => same(old, new),
                };
                if !same {
                    let (before, after) = (Some(old), Some(new));
                    changes.push(MetadataChange { key, before, after, positions });
                }
            }
        }
    }
    for entry in after {
        if before.get(&entry.key).is_none() {
            changes.push(MetadataChange {
                key: &entry.key,
                before: None,
                after: Some(&entry.value),
                positions: None,
            });
        }
    }
    changes
}

/// Whether two values have the same type and bits.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::F32(one), Value::F32(other)) => one.to_bits() == other.to_bits(),
        (Value::F64(one), Value::F64(other)) => one.to_bits() == other.to_bits(),
        (Value::Array(one), Value::Array(other)) => {
            positions(one, other).is_some_and(|positions| positions.count == 0)
        }
        (one, other) => one == other,
    }
}

/// Where two arrays differ; `None` if their elements have different types.
fn positions(one: &Array, other: &Array) -> Option<Positions> {
    fn compare<T>(one: &[T], other: &[T], same: impl Fn(&T, &T) -> bool) -> Positions {
        over(one.len(), other.len(), one.iter().zip(other).map(|(one, other)| same(one, other)))
    }
    /// From whether each pair is the same, and the lengths.
    fn over(one: usize, other: usize, same: impl Iterator<Item = bool>) -> Positions {
        let (least, most) = (one.min(other), one.max(other));
        let differing = same.enumerate().filter(|(_, same)| !same).map(|(index, _)| index);
        let mut positions = Positions { count: 0, first: Vec::new() };
        for index in differing.chain(least..most) {
            positions.count += 1;
            if positions.first.len() < MOST_POSITIONS {
                positions.first.push(index);
            }
        }
        positions
    }
    Some(match (one, other) {
        (Array::U8(one), Array::U8(other)) => compare(one, other, PartialEq::eq),
        (Array::I8(one), Array::I8(other)) => compare(one, other, PartialEq::eq),
        (Array::U16(one), Array::U16(other)) => compare(one, other, PartialEq::eq),
        (Array::I16(one), Array::I16(other)) => compare(one, other, PartialEq::eq),
        (Array::U32(one), Array::U32(other)) => compare(one, other, PartialEq::eq),
        (Array::I32(one), Array::I32(other)) => compare(one, other, PartialEq::eq),
        (Array::U64(one), Array::U64(other)) => compare(one, other, PartialEq::eq),
        (Array::I64(one), Array::I64(other)) => compare(one, other, PartialEq::eq),
        (Array::Bool(one), Array::Bool(other)) => compare(one, other, PartialEq::eq),
        (Array::F32(one), Array::F32(other)) => {
            compare(one, other, |one, other| one.to_bits() == other.to_bits())
        }
        (Array::F64(one), Array::F64(other)) => {
            compare(one, other, |one, other| one.to_bits() == other.to_bits())
        }
        (Array::String(one), Array::String(other)) => {
            let pairs = one.iter().zip(other.iter()).map(|(one, other)| one == other);
            over(one.len(), other.len(), pairs)
        }
        (Array::Array(one), Array::Array(other)) => compare(one, other, |one, other| {
            positions(one, other).is_some_and(|positions| positions.count == 0)
        }),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(entries: &[(&str, Value)]) -> Metadata {
        let mut metadata = Metadata::new();
        entries.iter().for_each(|(key, value)| metadata.set(key, value.clone()));
        metadata
    }

    #[test]
    fn what_was_added_removed_and_changed() {
        let strings = |all: &[&str]| Value::from(Array::String(all.iter().collect()));
        let before = of(&[
            ("gone", 1_u32.into()),
            ("nan", f32::NAN.into()),
            ("type", 1_u32.into()),
            ("list", strings(&["a", "b", "c"])),
            ("nested", Array::Array(vec![Array::U8(vec![1])]).into()),
            ("other", Array::U8(vec![1]).into()),
        ]);
        let after = of(&[
            ("new", true.into()),
            ("nan", f32::NAN.into()),
            ("type", 1_i32.into()),
            ("list", strings(&["a", "x", "c", "d"])),
            ("nested", Array::Array(vec![Array::U8(vec![1])]).into()),
            ("other", Array::I8(vec![1]).into()),
        ]);
        let changes = metadata(&before, &after);
        let keys: Vec<_> = changes.iter().map(|change| change.key).collect();
        assert_eq!(keys, ["gone", "type", "list", "other", "new"]);
        let positions = changes[2].positions.as_ref().unwrap();
        assert_eq!((positions.count, &positions.first[..]), (2, &[1, 3][..]));
        assert_eq!((changes[0].after, changes[4].before), (None, None));
        assert!(changes[3].positions.is_none());
        assert!(metadata(&before, &before).is_empty());
    }
}
