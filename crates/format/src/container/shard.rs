//! Split sets: a model in several files named `<stem>-00001-of-00003.gguf`.

use crate::prelude::*;

/// The number of the shard, from 0: a U16.
pub const SHARD_NUMBER: &str = "split.no";
/// How many shards there are: a U16.
pub const SHARD_COUNT: &str = "split.count";
/// How many tensors all shards have together: an I32.
pub const SHARD_TENSORS: &str = "split.tensors.count";

/// The parts of the name of a file of a split set.
///
/// Exhaustive: the convention has these three parts, and callers build names from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardName {
    /// The part before the numbers.
    pub stem: String,
    /// The number of the shard, from 1.
    pub number: u32,
    /// How many shards there are.
    pub count: u32,
}

impl ShardName {
    /// Splits a file name (without folders) into its parts; `None` if it does not end in
    /// `-NNNNN-of-NNNNN.gguf` with a number between 1 and the count.
    pub fn parse(name: &str) -> Option<Self> {
        let rest = name.strip_suffix(".gguf")?;
        let (rest, count) = rest.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let five_digits = |text: &str| {
            (text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| text.parse::<u32>().ok())
                .flatten()
        };
        let (number, count) = (five_digits(number)?, five_digits(count)?);
        (1..=count).contains(&number).then(|| Self { stem: stem.to_owned(), number, count })
    }

    /// The names of all shards in their order.
    pub fn all(&self) -> impl Iterator<Item = String> {
        (1..=self.count)
            .map(|number| format!("{}-{number:05}-of-{:05}.gguf", self.stem, self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let name = ShardName::parse("a-of-b-00002-of-00003.gguf").unwrap();
        assert_eq!((name.stem.as_str(), name.number, name.count), ("a-of-b", 2, 3));
        assert_eq!(name.all().nth(2).unwrap(), "a-of-b-00003-of-00003.gguf");
        for bad in [
            "a.gguf",
            "a-00000-of-00003.gguf",
            "a-00004-of-00003.gguf",
            "a-0001-of-0003.gguf",
            "a-00001-of-00003.bin",
            "a-+0001-of-00003.gguf",
        ] {
            assert_eq!(ShardName::parse(bad), None, "{bad}");
        }
    }
}
