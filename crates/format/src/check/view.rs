//! A file as the rules see it.

use core::cell::OnceCell;
use core::ops::Deref;

use super::facts::Facts;
use super::options::Options;
use super::report::shortened;
use super::vocabulary::{TOKENS, Vocabulary};
use super::whole::Whole;
use crate::container::{Header, Value};
use crate::prelude::*;

/// The [`Facts`] of a file, and what several rules derive from them, computed once.
pub(crate) struct View<'v> {
    facts: Facts<'v>,
    whole: OnceCell<Option<Whole<'v>>>,
    has_most: OnceCell<bool>,
    vocabulary: OnceCell<Option<Vocabulary<'v>>>,
}

/// Lets rules use a file's facts and what is derived from them in the same way.
impl<'v> Deref for View<'v> {
    type Target = Facts<'v>;

    fn deref(&self) -> &Facts<'v> {
        &self.facts
    }
}

impl<'v> View<'v> {
    pub(crate) fn new(
        file: &'v [u8],
        header: &'v Header,
        all_tensors: bool,
        options: &Options<'v>,
    ) -> Self {
        Self {
            facts: Facts::new(file, header, all_tensors, options),
            whole: OnceCell::new(),
            has_most: OnceCell::new(),
            vocabulary: OnceCell::new(),
        }
    }

    /// The tensors of the whole model, if this is the first or only file of one and all are known.
    pub(crate) fn whole(&self) -> Option<&Whole<'v>> {
        self.whole.get_or_init(|| Whole::new(&self.facts)).as_ref()
    }

    /// Returns whether most of the tensors that the model needs are present. Calls `find` once and
    /// keeps its answer.
    pub(crate) fn has_most(&self, find: impl FnOnce() -> bool) -> bool {
        *self.has_most.get_or_init(find)
    }

    /// The tokens by their strings, unless they are known to be right.
    pub(crate) fn vocabulary(&self) -> Option<&Vocabulary<'v>> {
        let vocabulary = || {
            let wanted = !self.facts.known_vocabulary;
            wanted.then(|| self.header.metadata().strings(TOKENS).ok())??.map(Vocabulary::new)
        };
        self.vocabulary.get_or_init(vocabulary).as_ref()
    }
}

/// Formats a metadata value briefly: `U32 7`, `String "llama"`, `Array of 5 F32`.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Array(array) => format!("Array of {} {}", array.len(), array.element_type()),
        Value::String(text) => format!("String {:?}", shortened(text)),
        Value::Bool(flag) => format!("Bool {flag}"),
        Value::F32(number) => format!("F32 {number}"),
        Value::F64(number) => format!("F64 {number}"),
        other => {
            let number = other.as_integer().map(|number| number.to_string());
            format!("{} {}", other.value_type(), number.unwrap_or_default())
        }
    }
}
