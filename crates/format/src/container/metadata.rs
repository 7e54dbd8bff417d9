use super::from_value::{FromValue, MetadataError, integer};
use super::{Array, StringArray, Value};
use crate::prelude::*;

/// A metadata entry.
///
/// Exhaustive: a key and its value are all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its key, such as `llama.block_count`.
    pub key: String,
    /// Its value.
    pub value: Value,
}

/// Metadata entries in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    entries: Vec<Entry>,
}

impl Metadata {
    /// No entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in their order.
    pub fn iter(&self) -> core::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Sets a key: in place if it exists, otherwise at the end.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry.value = value,
            None => self.push(key, value),
        }
    }

    /// Sets a key and moves it to the end.
    pub fn set_last(&mut self, key: &str, value: impl Into<Value>) {
        self.remove(key);
        self.push(key, value);
    }

    /// Removes a key and returns its value, if it existed.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index).value)
    }

    /// Reserves memory for this many more entries.
    pub(crate) fn reserve_exact(&mut self, entries: usize) {
        self.entries.reserve_exact(entries);
    }

    /// Appends an entry without checking whether the key exists.
    pub(crate) fn push(&mut self, key: &str, value: impl Into<Value>) {
        self.entries.push(Entry { key: key.to_owned(), value: value.into() });
    }

    /// The value of a key as a `T`, `None` if the key is absent.
    ///
    /// ```
    /// use granule_format::{Metadata, MetadataError};
    ///
    /// let mut metadata = Metadata::new();
    /// metadata.set("llama.block_count", 32_u32);
    /// assert_eq!(metadata.find("llama.block_count")?, Some(32_u64));
    /// assert_eq!(metadata.find::<&str>("general.name")?, None);
    /// assert!(metadata.find::<bool>("llama.block_count").is_err());
    /// # Ok::<(), MetadataError>(())
    /// ```
    ///
    /// # Errors
    /// If the value has a type that is not accepted for `T`, or is an integer out of its range.
    pub fn find<'v, T: FromValue<'v>>(&'v self, key: &str) -> Result<Option<T>, MetadataError> {
        self.get(key).map(|value| T::from_value(key, value)).transpose()
    }

    /// The value of a key as a `T`.
    ///
    /// ```
    /// use granule_format::{Metadata, MetadataError};
    ///
    /// let mut metadata = Metadata::new();
    /// metadata.set("general.architecture", "llama");
    /// assert_eq!(metadata.require::<&str>("general.architecture")?, "llama");
    /// let error = metadata.require::<u32>("llama.block_count").unwrap_err();
    /// assert_eq!(error, MetadataError::Missing { key: "llama.block_count".to_owned() });
    /// # Ok::<(), MetadataError>(())
    /// ```
    ///
    /// # Errors
    /// If the key is absent; otherwise as [`find`](Self::find).
    pub fn require<'v, T: FromValue<'v>>(&'v self, key: &str) -> Result<T, MetadataError> {
        self.find(key)?.ok_or_else(|| MetadataError::Missing { key: key.to_owned() })
    }

    /// The string of a key, `None` if it is absent.
    ///
    /// # Errors
    /// If the value is not a string.
    pub fn text(&self, key: &str) -> Result<Option<&str>, MetadataError> {
        self.find(key)
    }

    /// The integer of a key, whatever integer type it is stored with; `None` if it is absent.
    ///
    /// # Errors
    /// If the value is not an integer or does not fit `T`.
    pub fn integer<T: TryFrom<i128>>(&self, key: &str) -> Result<Option<T>, MetadataError> {
        self.get(key).map(|value| integer(key, value)).transpose()
    }

    /// The floating-point number of a key (F32, or F64 rounded), `None` if it is absent.
    ///
    /// # Errors
    /// If the value is not a floating-point number.
    pub fn float(&self, key: &str) -> Result<Option<f32>, MetadataError> {
        self.find(key)
    }

    /// The boolean of a key, `None` if it is absent.
    ///
    /// # Errors
    /// If the value is not a Bool.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, MetadataError> {
        self.find(key)
    }

    /// The strings of a key, `None` if it is absent. Nothing is copied.
    ///
    /// # Errors
    /// If the value is not an array of strings.
    pub fn strings(&self, key: &str) -> Result<Option<&StringArray>, MetadataError> {
        self.find(key)
    }

    /// The array of a key, `None` if it is absent.
    ///
    /// # Errors
    /// If the value is not an array.
    pub fn array(&self, key: &str) -> Result<Option<&Array>, MetadataError> {
        self.find(key)
    }
}

impl<'a> IntoIterator for &'a Metadata {
    type Item = &'a Entry;
    type IntoIter = core::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
