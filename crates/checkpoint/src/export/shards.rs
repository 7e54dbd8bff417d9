//! Divides the tensors among files, and builds the headers of the files.

use std::collections::BTreeMap;

use granule_format::BlockType;
use serde_json::{Map, Value, json};

use super::invert::Saved;

/// A file to write.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    pub(super) name: String,
    /// Its tensors in data order: the index of each and the offset of its data.
    pub(super) tensors: Vec<(usize, u64)>,
    /// Everything before the data.
    pub(super) header: Vec<u8>,
    /// Length of the data in bytes.
    pub(super) data_bytes: u64,
}

/// Divides tensors of these types among files with at most `most` bytes of data each, unless a
/// single tensor is larger.
///
/// A conversion reads file by file, and the tensors of each file by name. To preserve the order of
/// the GGUF file, a new file begins wherever the names stop ascending; the original was cut at
/// these places too. A checkpoint that was not sorted at all, such as one of PyTorch, would need
/// too many files. In that case, or if the order is not `wanted`, only the names count and the
/// second result is `false`.
pub(super) fn cut(
    (saved, types): (&[Saved], &[BlockType]),
    most: u64,
    wanted: bool,
) -> (Vec<Shard>, bool) {
    let bytes = |index: usize| saved[index].values() * types[index].block_bytes() as u64;
    // Tensors that are written together are placed where the last of them is.
    let mut groups: Vec<(usize, bool, Vec<usize>)> = Vec::new();
    let mut places = BTreeMap::new();
    for (index, tensor) in saved.iter().enumerate() {
        let place = *places.entry((tensor.group, tensor.early)).or_insert_with(|| {
            groups.push((tensor.group, tensor.early, Vec::new()));
            groups.len() - 1
        });
        groups[place].2.push(index);
    }
    let last = |group: &Vec<usize>| group.iter().map(|i| saved[*i].name.as_str()).max();
    let breaks: Vec<bool> =
        groups.windows(2).map(|pair| !pair[0].1 && last(&pair[1].2) < last(&pair[0].2)).collect();
    let count = breaks.iter().filter(|cut| **cut).count();
    let in_order = count <= MOST_CUTS.max(groups.len() / GROUPS_FOR_A_CUT);

    let mut files: Vec<Vec<usize>> = vec![Vec::new()];
    let mut filled = 0_u64;
    let mut sorted: Vec<(bool, Vec<usize>)> = Vec::new();
    if in_order && wanted {
        for (number, (_, _, group)) in groups.into_iter().enumerate() {
            sorted.push((number > 0 && breaks[number - 1], group));
        }
    } else {
        let mut all: Vec<usize> = (0..saved.len()).collect();
        all.sort_by_key(|i| &saved[*i].name);
        sorted.extend(all.into_iter().map(|index| (false, vec![index])));
    }
    for (cut, group) in sorted {
        let size: u64 = group.iter().map(|i| bytes(*i)).fold(0, u64::saturating_add);
        if cut || filled > 0 && filled.saturating_add(size) > most {
            files.push(Vec::new());
            filled = 0;
        }
        // A group may be larger than a file: split it into parts by name.
        let mut group = group;
        group.sort_by_key(|i| &saved[*i].name);
        for index in group {
            if filled > 0 && filled.saturating_add(bytes(index)) > most {
                files.push(Vec::new());
                filled = 0;
            }
            filled = filled.saturating_add(bytes(index));
            if let Some(file) = files.last_mut() {
                file.push(index);
            }
        }
    }
    let count = files.len();
    let shards = files.into_iter().enumerate().map(|(number, tensors)| {
        let name = match count {
            1 => SINGLE.to_owned(),
            _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
        };
        shard(name, tensors, saved, types)
    });
    (shards.collect(), in_order)
}

/// The name of a single file.
const SINGLE: &str = "model.safetensors";

/// The name of the index, which assigns each tensor to a file.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// A number of cuts that is always acceptable.
const MOST_CUTS: usize = 8;

/// Beyond that, one cut for this many groups is acceptable.
const GROUPS_FOR_A_CUT: usize = 16;

/// Lays out a file of these tensors, widest numbers first so that all are aligned.
fn shard(name: String, mut tensors: Vec<usize>, saved: &[Saved], types: &[BlockType]) -> Shard {
    tensors.sort_by_key(|i| (std::cmp::Reverse(types[*i].block_bytes()), &saved[*i].name));
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut start = 0;
    let mut placed = Vec::new();
    for index in tensors {
        let tensor = &saved[index];
        let end = start + tensor.values() * types[index].block_bytes() as u64;
        let entry = json!({
            "dtype": types[index].name(), "shape": tensor.shape, "data_offsets": [start, end]
        });
        header.insert(tensor.name.clone(), entry);
        placed.push((index, start));
        start = end;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.append(&mut text);
    Shard { name, tensors: placed, header, data_bytes: start }
}

/// Returns the text of the index; `None` for a single file.
pub(super) fn index(shards: &[Shard], saved: &[Saved]) -> Option<String> {
    if shards.len() == 1 {
        return None;
    }
    let total: u64 = shards.iter().map(|shard| shard.data_bytes).sum();
    let map: BTreeMap<&str, &str> = shards
        .iter()
        .flat_map(|shard| {
            shard.tensors.iter().map(|(index, _)| (saved[*index].name.as_str(), &*shard.name))
        })
        .collect();
    let index = json!({"metadata": {"total_size": total}, "weight_map": map});
    Some(format!("{index:#}\n"))
}

#[cfg(test)]
mod tests {
    use granule_format::Shape;

    use super::*;

    fn saved(names: &[&str]) -> Vec<Saved> {
        let shape = Shape::new(&[4, 2]).expect("two dimensions");
        names.iter().enumerate().map(|(i, name)| Saved::plain(name, shape, i)).collect()
    }

    fn names(files: &[Shard], saved: &[Saved]) -> Vec<Vec<String>> {
        let of = |shard: &Shard| {
            shard.tensors.iter().map(|(index, _)| saved[*index].name.clone()).collect()
        };
        files.iter().map(of).collect()
    }

    #[test]
    fn files_begin_where_the_order_of_names_goes_back_or_the_size_is_reached() {
        let all = saved(&["a", "c", "b", "d", "e"]);
        let types = vec![BlockType::F16; 5];
        let (files, in_order) = cut((&all, &types), 1000, true);
        assert!(in_order);
        assert_eq!(names(&files, &all), [vec!["a", "c"], vec!["b", "d", "e"]]);
        assert_eq!(files[0].name, "model-00001-of-00002.safetensors");
        let (files, _) = cut((&all, &types), 32, true);
        assert_eq!(names(&files, &all), [vec!["a", "c"], vec!["b", "d"], vec!["e"]]);
        let index = index(&files, &all).expect("there are several");
        let index: Value = serde_json::from_str(&index).expect("JSON");
        assert_eq!(index["metadata"]["total_size"], 80);
        assert_eq!(index["weight_map"]["e"], files[2].name);
    }

    #[test]
    fn what_has_no_order_is_sorted_by_names() {
        let texts: Vec<String> = (0..40).rev().map(|i| format!("{i:02}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let all = saved(&texts);
        let (files, in_order) = cut((&all, &[BlockType::F32; 40]), 1000, true);
        assert!(!in_order);
        assert_eq!(files.len(), 2);
        let found: Vec<String> = names(&files, &all).concat();
        assert!(found.is_sorted());
    }
}
