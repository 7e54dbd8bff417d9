//! The TOML form of a description, with the position of each value.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

use super::change::ChangeText;
use crate::arch::{Calculation, Expression, FromTarget, Kind, Quirk, RuleType, TokenizerKind};

/// A description, or a group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Text {
    pub(super) name: Option<String>,
    pub(super) models: Option<String>,
    #[serde(default)]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) classes: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) headless: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) outermost: Vec<Spanned<String>>,
    pub(super) like: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) model_types: Vec<Spanned<String>>,
    pub(super) optional_prefix: Option<String>,
    #[serde(default)]
    pub(super) keys: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) loader_needs: Vec<Spanned<String>>,
    pub(super) when: Option<Spanned<Expression>>,
    #[serde(default)]
    pub(super) requires: Vec<Spanned<Expression>>,
    #[serde(default)]
    pub(super) warnings: Vec<DoubtText>,
    #[serde(default)]
    pub(super) raw_config: bool,
    #[serde(default)]
    pub(super) stored_types: bool,
    pub(super) mxfp4_experts: Option<Spanned<Expression>>,
    pub(super) unnamed: Option<String>,
    pub(super) text_part: Option<String>,
    #[serde(default)]
    pub(super) config: Pairs<Spanned<Expression>>,
    #[serde(default)]
    pub(super) folded: Pairs<FoldedText>,
    #[serde(default, rename = "use")]
    pub(super) groups: Vec<Spanned<String>>,
    pub(super) tokenizers: Option<Vec<TokenizerKind>>,
    pub(super) quirks: Option<Vec<Quirk>>,
    pub(super) target: Option<FromTarget>,
    #[serde(default)]
    pub(super) draft_of: Vec<String>,
    #[serde(default)]
    pub(super) defaults: Pairs<Pairs<Spanned<Expression>>>,
    #[serde(default)]
    pub(super) aliases: Pairs<Pairs<Spanned<String>>>,
    #[serde(default)]
    pub(super) numbers: Pairs<Spanned<Expression>>,
    #[serde(default)]
    pub(super) early_metadata: Vec<Spanned<ItemText>>,
    #[serde(default)]
    pub(super) metadata: Vec<Spanned<ItemText>>,
    #[serde(default)]
    pub(super) late_metadata: Vec<Spanned<ItemText>>,
    #[serde(default)]
    pub(super) last_metadata: Vec<Spanned<ItemText>>,
    #[serde(default)]
    pub(super) tensors: Pairs<Pairs<RuleForm>>,
    #[serde(default)]
    pub(super) rename: Pairs<Spanned<String>>,
    #[serde(default)]
    pub(super) saved: Pairs<Spanned<String>>,
    #[serde(default)]
    pub(super) left_out: Vec<Spanned<LeftOutText>>,
    #[serde(default)]
    pub(super) left_out_zeros: Vec<Spanned<LeftOutText>>,
    #[serde(default)]
    pub(super) only: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) sharded: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) parts: Pairs<Spanned<String>>,
    #[serde(default)]
    pub(super) computed: Pairs<ComputedText>,
    #[serde(default)]
    pub(super) later_names: Pairs<Spanned<String>>,
    #[serde(default)]
    pub(super) modules: Pairs<ModuleText>,
    #[serde(default)]
    pub(super) rope_types: Vec<String>,
}

/// The tables of defaults that are made from the library of the classes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DefaultsText {
    pub(super) defaults: Pairs<Pairs<Spanned<Expression>>>,
    pub(super) aliases: Pairs<Pairs<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DoubtText {
    pub(super) when: Spanned<Expression>,
    pub(super) text: String,
}

/// An entry of the metadata, or the name of several.
#[derive(Clone)]
pub(super) enum ItemText {
    Name(String),
    Entry(Box<EntryText>),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryText {
    pub(super) key: Spanned<String>,
    pub(super) u32: Option<Spanned<Expression>>,
    pub(super) u64: Option<Spanned<Expression>>,
    pub(super) f32: Option<Spanned<Expression>>,
    pub(super) bool: Option<Spanned<Expression>>,
    pub(super) string: Option<Spanned<Expression>>,
}

/// Tensors to drop: their name, or a table.
#[derive(Clone)]
pub(super) struct LeftOutText(pub(super) LeftOutTable);

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LeftOutTable {
    pub(super) name: String,
    pub(super) when: Option<Spanned<Expression>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ComputedText {
    pub(super) values: Spanned<Expression>,
    pub(super) length: Option<Spanned<Expression>>,
    pub(super) row: Option<Spanned<Expression>>,
    pub(super) before: Option<Spanned<String>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ModuleText {
    pub(super) name: String,
    #[serde(default)]
    pub(super) by_option: bool,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FoldedText {
    #[serde(default)]
    pub(super) layers: Vec<String>,
    pub(super) divisors: Option<String>,
    pub(super) activation: Option<Spanned<Expression>>,
}

/// What a tensor becomes: its dimensions, or a table.
#[derive(Clone)]
pub(super) struct RuleForm(pub(super) RuleText);

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RuleText {
    pub(super) shape: String,
    #[serde(default)]
    pub(super) any_shape: bool,
    #[serde(default)]
    pub(super) rearrange: Texts,
    pub(super) parts: Option<Spanned<Expression>>,
    #[serde(default)]
    pub(super) sum: bool,
    pub(super) resample: Option<Spanned<Expression>>,
    pub(super) change: Option<Spanned<ChangeText>>,
    pub(super) ids_below: Option<Spanned<Expression>>,
    #[serde(default)]
    pub(super) into: Vec<OutputText>,
    pub(super) bias: Option<Spanned<Expression>>,
    pub(super) when: Option<Spanned<Expression>>,
    pub(super) needed: Option<Spanned<Expression>>,
    #[serde(default)]
    pub(super) advised: bool,
    #[serde(default)]
    pub(super) early: bool,
    #[serde(default)]
    pub(super) by_layer: bool,
    pub(super) drop: Option<Spanned<Expression>>,
    #[serde(rename = "type")]
    pub(super) ty: Option<RuleType>,
    #[serde(default)]
    pub(super) spare: bool,
    pub(super) unless_equal: Option<Spanned<String>>,
    pub(super) number: Option<Spanned<String>>,
    pub(super) zero_rows: Option<ZeroRowsText>,
    #[serde(default)]
    pub(super) joined: bool,
    #[serde(default)]
    pub(super) padded: bool,
    pub(super) rows: Option<Spanned<Expression>>,
    pub(super) zeros_before: Option<Spanned<Expression>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ZeroRowsText {
    pub(super) number: Spanned<String>,
    pub(super) from: Spanned<Expression>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct OutputText {
    pub(super) to: Spanned<String>,
    pub(super) when: Option<Spanned<Expression>>,
    #[serde(default)]
    pub(super) again: bool,
    #[serde(alias = "normalization")]
    pub(super) calculation: Option<Calculation>,
    #[serde(default)]
    pub(super) rearrange: Texts,
}

/// A string or a list of strings, each with its position.
#[derive(Clone, Default)]
pub(super) struct Texts(pub(super) Vec<(Range<usize>, String)>);

/// A table that keeps its order.
#[derive(Clone)]
pub(super) struct Pairs<T>(pub(super) Vec<(Spanned<String>, T)>);

impl<'de> Deserialize<'de> for ItemText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text_or_table(from, "the name of a group, or a table with a key", Self::Name, |entry| {
            Self::Entry(Box::new(entry))
        })
    }
}

impl<'de> Deserialize<'de> for LeftOutText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let always = |name| Self(LeftOutTable { name, when: None });
        text_or_table(from, "the name of tensors, or a table with one", always, Self)
    }
}

impl<'de> Deserialize<'de> for RuleForm {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let shape = |shape| {
            Self(RuleText {
                shape,
                any_shape: false,
                rearrange: Texts::default(),
                parts: None,
                sum: false,
                resample: None,
                change: None,
                ids_below: None,
                into: Vec::new(),
                bias: None,
                when: None,
                needed: None,
                advised: false,
                early: false,
                by_layer: false,
                drop: None,
                ty: None,
                spare: false,
                unless_equal: None,
                number: None,
                zero_rows: None,
                joined: false,
                padded: false,
                rows: None,
                zeros_before: None,
            })
        };
        text_or_table(from, "dimensions, or a table with a shape", shape, Self)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        /// Strings; only those in a list know their positions.
        struct Strings(Vec<(Option<Range<usize>>, String)>);
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Strings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pattern, or a list of them")
            }

            fn visit_str<E>(self, text: &str) -> Result<Strings, E> {
                Ok(Strings(vec![(None, text.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Strings, A::Error> {
                let mut strings = Vec::new();
                while let Some(text) = list.next_element::<Spanned<String>>()? {
                    strings.push((Some(text.span()), text.into_inner()));
                }
                Ok(Strings(strings))
            }
        }
        impl<'de> Deserialize<'de> for Strings {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(Form)
            }
        }
        let whole = Spanned::<Strings>::deserialize(from)?;
        let span = whole.span();
        let strings = whole.into_inner().0.into_iter();
        Ok(Self(strings.map(|(own, text)| (own.unwrap_or_else(|| span.clone()), text)).collect()))
    }
}

/// Reads a string or a table. Its errors are better than those of an untagged enum.
fn text_or_table<'de, D: Deserializer<'de>, T: DeserializeOwned, R>(
    from: D,
    expected: &'static str,
    text: fn(String) -> R,
    table: fn(T) -> R,
) -> Result<R, D::Error> {
    struct Form<T, R> {
        expected: &'static str,
        text: fn(String) -> R,
        table: fn(T) -> R,
    }
    impl<'de, T: DeserializeOwned, R> Visitor<'de> for Form<T, R> {
        type Value = R;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expected)
        }

        fn visit_str<E>(self, text: &str) -> Result<R, E> {
            Ok((self.text)(text.to_owned()))
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<R, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(self.table)
        }
    }
    from.deserialize_any(Form { expected, text, table })
}

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Form<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Form<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Form(PhantomData))
    }
}
