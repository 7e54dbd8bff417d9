//! The metadata of an architecture, whose keys begin with its name.

use granule_reader::format::{Array, Metadata, Value};

use crate::Error;

/// The largest size: products of two fit.
const LARGEST: usize = 1 << 28;

/// Reads the settings of one model.
pub(crate) struct Settings<'s> {
    metadata: &'s Metadata,
    architecture: &'static str,
}

impl<'s> Settings<'s> {
    pub(crate) fn new(metadata: &'s Metadata, architecture: &'static str) -> Self {
        Self { metadata, architecture }
    }

    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&'s Value> {
        self.metadata.get(&self.key(name))
    }

    /// An integer that may be missing.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<usize>, Error> {
        Ok(self.metadata.integer(&self.key(name))?)
    }

    /// An integer that must be there and not zero.
    pub(crate) fn count(&self, name: &str) -> Result<usize, Error> {
        let found: usize = self.metadata.require(&self.key(name))?;
        if found == 0 || found > LARGEST {
            return Err(self.contradiction(name, found, format!("a number from 1 to {LARGEST}")));
        }
        Ok(found)
    }

    /// An integer for each of `layers` layers: an array, or one number for all.
    pub(crate) fn per_layer(&self, name: &str, layers: usize) -> Result<Option<Vec<usize>>, Error> {
        let key = self.key(name);
        let Some(Value::Array(array)) = self.metadata.get(&key) else {
            let number = self.integer(name)?;
            if let Some(number) = number.filter(|number| *number > LARGEST) {
                return Err(self.contradiction(name, number, format!("at most {LARGEST}")));
            }
            return Ok(number.map(|number| vec![number; layers]));
        };
        let numbers: Option<Vec<usize>> = match array {
            Array::I32(numbers) => numbers.iter().map(|n| usize::try_from(*n).ok()).collect(),
            Array::U32(numbers) => numbers.iter().map(|n| usize::try_from(*n).ok()).collect(),
            Array::I64(numbers) => numbers.iter().map(|n| usize::try_from(*n).ok()).collect(),
            Array::U64(numbers) => numbers.iter().map(|n| usize::try_from(*n).ok()).collect(),
            Array::Bool(flags) => Some(flags.iter().map(|flag| usize::from(*flag)).collect()),
            _ => None,
        };
        match numbers {
            // files may have entries for layers that predict further tokens
            Some(mut numbers)
                if numbers.len() >= layers && numbers.iter().all(|n| *n <= LARGEST) =>
            {
                numbers.truncate(layers);
                Ok(Some(numbers))
            }
            _ => Err(self.contradiction(
                name,
                format!("an array of {} values", array.len()),
                format!("{layers} whole numbers, one for each layer"),
            )),
        }
    }

    /// A number with a fraction that may be missing.
    pub(crate) fn float(&self, name: &str) -> Result<Option<f32>, Error> {
        Ok(self.metadata.float(&self.key(name))?)
    }

    /// A flag that may be missing.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        Ok(self.metadata.boolean(&self.key(name))?)
    }

    /// A string that may be missing.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&'s str>, Error> {
        Ok(self.metadata.text(&self.key(name))?)
    }

    /// An error about a value.
    pub(crate) fn contradiction(
        &self,
        name: &str,
        found: impl ToString,
        expected: impl ToString,
    ) -> Error {
        Error::Setting {
            key: self.key(name),
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }
}
