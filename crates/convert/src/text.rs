//! Types, file types and efforts as strings, for saved recipes and plans.

use granule_encode::Effort;
use granule_format::{BlockType, FileType, TensorType};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};

/// A value that is saved as one string.
pub(crate) trait Text: Sized {
    const WHAT: &'static str;
    fn to_text(&self) -> String;
    fn from_text(text: &str) -> Option<Self>;
}

pub(crate) fn serialize<T: Text, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&value.to_text())
}

pub(crate) fn deserialize<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    T::from_text(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is not a {}", T::WHAT)))
}

/// The same for optional values.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Text};

    pub(crate) fn serialize<T: Text, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Text::to_text).serialize(to)
    }

    pub(crate) fn deserialize<'de, T: Text, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        struct One<T>(T);
        impl<'de, T: Text> Deserialize<'de> for One<T> {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                super::deserialize(from).map(One)
            }
        }
        Ok(Option::<One<T>>::deserialize(from)?.map(|one| one.0))
    }
}

impl Text for FileType {
    const WHAT: &'static str = "file type";

    fn to_text(&self) -> String {
        self.name().to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::from_name(text)
    }
}

impl Text for Effort {
    const WHAT: &'static str = "effort";

    fn to_text(&self) -> String {
        self.number().to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::from_number(text.parse().ok()?)
    }
}

impl Text for BlockType {
    const WHAT: &'static str = "block type";

    fn to_text(&self) -> String {
        self.name().to_owned()
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::from_name(text)
    }
}

impl Text for TensorType {
    const WHAT: &'static str = "tensor type";

    fn to_text(&self) -> String {
        self.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        match text.strip_prefix("type ") {
            Some(number) => number.parse().ok().map(Self::from_id),
            None => BlockType::from_name(text).map(Self::Known),
        }
    }
}
