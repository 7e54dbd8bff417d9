use super::{Array, StringArray, Value, ValueType};

/// A metadata entry.
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

/// A metadata entry is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The key is absent.
    #[error("the metadata has no key {key:?}")]
    Missing {
        /// The key.
        key: String,
    },
    /// The value has another type.
    #[error("the metadata value of {key:?} has type {found}, expected {expected}")]
    Type {
        /// The key.
        key: String,
        /// The type it has.
        found: ValueType,
        /// What was asked for.
        expected: &'static str,
    },
    /// The integer does not fit the type that was asked for.
    #[error("the metadata value of {key:?} is {value}, which is out of range")]
    Range {
        /// The key.
        key: String,
        /// The value.
        value: i128,
    },
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
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Set a key: in its place if it is there, else at the end.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.entries.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry.value = value,
            None => self.push(key, value),
        }
    }

    /// Set a key and move it to the end.
    pub fn set_last(&mut self, key: &str, value: impl Into<Value>) {
        self.remove(key);
        self.push(key, value);
    }

    /// Remove a key; its value if it was there.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index).value)
    }

    /// Make room for so many more entries.
    pub(crate) fn reserve_exact(&mut self, entries: usize) {
        self.entries.reserve_exact(entries);
    }

    /// Append without looking whether the key is there already.
    pub(crate) fn push(&mut self, key: &str, value: impl Into<Value>) {
        self.entries.push(Entry { key: key.to_owned(), value: value.into() });
    }

    /// The text of a key, `None` if it is absent.
    ///
    /// # Errors
    /// If the value is not text.
    pub fn text(&self, key: &str) -> Result<Option<&str>, MetadataError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(key, other, "String")),
        }
    }

    /// The integer of a key, whatever the integer type it is stored with; `None` if it is absent.
    ///
    /// # Errors
    /// If the value is not an integer or does not fit `T`.
    pub fn integer<T: TryFrom<i128>>(&self, key: &str) -> Result<Option<T>, MetadataError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.as_integer().ok_or_else(|| wrong_type(key, value, "an integer"))?;
        match T::try_from(number) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(MetadataError::Range { key: key.to_owned(), value: number }),
        }
    }

    /// The floating point number of a key (F32, or F64 rounded), `None` if it is absent.
    ///
    /// # Errors
    /// If the value is not a floating point number.
    pub fn float(&self, key: &str) -> Result<Option<f32>, MetadataError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::F32(number)) => Ok(Some(*number)),
            Some(Value::F64(number)) => Ok(Some(*number as f32)),
            Some(other) => Err(wrong_type(key, other, "F32 or F64")),
        }
    }

    /// The truth value of a key, `None` if it is absent.
    ///
    /// # Errors
    /// If the value is not a Bool.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, MetadataError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(other) => Err(wrong_type(key, other, "Bool")),
        }
    }

    /// The strings of a key, `None` if it is absent. Nothing is copied.
    ///
    /// # Errors
    /// If the value is not an array of strings.
    pub fn strings(&self, key: &str) -> Result<Option<&StringArray>, MetadataError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(Array::String(strings))) => Ok(Some(strings)),
            Some(other) => Err(wrong_type(key, other, "an array of String")),
        }
    }

    /// The array of a key, `None` if it is absent.
    ///
    /// # Errors
    /// If the value is not an array.
    pub fn array(&self, key: &str) -> Result<Option<&Array>, MetadataError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(array)) => Ok(Some(array)),
            Some(other) => Err(wrong_type(key, other, "an array")),
        }
    }
}

impl Value {
    /// The value as an integer if it has one of the integer types.
    pub const fn as_integer(&self) -> Option<i128> {
        Some(match self {
            Self::U8(n) => *n as i128,
            Self::I8(n) => *n as i128,
            Self::U16(n) => *n as i128,
            Self::I16(n) => *n as i128,
            Self::U32(n) => *n as i128,
            Self::I32(n) => *n as i128,
            Self::U64(n) => *n as i128,
            Self::I64(n) => *n as i128,
            _ => return None,
        })
    }
}

fn wrong_type(key: &str, value: &Value, expected: &'static str) -> MetadataError {
    MetadataError::Type { key: key.to_owned(), found: value.value_type(), expected }
}

impl<'a> IntoIterator for &'a Metadata {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
