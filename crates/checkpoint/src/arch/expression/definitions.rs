//! What names in an expression stand for, where no config is at hand.

use super::Node;
use crate::arch::Numbers;

/// Definitions may refer to each other this deeply.
pub(super) const MOST_DEPTH: u32 = 32;

/// The definitions that are in sight on a walk through an expression.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definitions<'a> {
    numbers: &'a Numbers,
    /// The definition that the walk is in. Its own name is that of a key there.
    inside: Option<&'a str>,
    /// How many more definitions the walk may enter.
    depth: u32,
}

/// What a name stands for.
pub(super) enum Meaning<'a> {
    /// A key of the config.
    Key,
    /// A number: its definition, and what is in sight there.
    Number(&'a Node, Definitions<'a>),
    /// Definitions that refer to each other without end.
    Endless,
}

impl<'a> Definitions<'a> {
    pub(super) const fn new(numbers: &'a Numbers) -> Self {
        Self { numbers, inside: None, depth: MOST_DEPTH }
    }

    /// What a name stands for.
    pub(super) fn meaning(self, name: &str) -> Meaning<'a> {
        let number = self.numbers.iter().find(|(key, _)| key == name);
        match number.filter(|(key, _)| self.inside != Some(key.as_str())) {
            None => Meaning::Key,
            Some(_) if self.depth == 0 => Meaning::Endless,
            Some((key, number)) => {
                let there = Self { inside: Some(key), depth: self.depth - 1, ..self };
                Meaning::Number(&number.node, there)
            }
        }
    }
}
