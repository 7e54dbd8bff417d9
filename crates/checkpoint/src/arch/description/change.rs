//! The TOML form of changes of values.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::arch::change::RowsOf;
use crate::arch::{ChangeKind, ChangeStep, Expression};

/// Changes of values: a name, a table with a number, or a list of both.
#[derive(Clone, Default)]
pub(super) struct ChangeText(pub(super) Vec<ChangeStep>);

/// A change with a number.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    add: Option<Expression>,
    multiply: Option<Expression>,
    rows: Option<String>,
    every: Option<Expression>,
}

impl Table {
    fn step(self) -> Result<ChangeStep, String> {
        let kind = match (self.add, self.multiply) {
            (Some(number), None) => ChangeKind::Add(number),
            (None, Some(number)) => ChangeKind::Multiply(number),
            _ => return Err("a change either adds or multiplies".to_owned()),
        };
        let rows = self.rows.as_deref().map(|rows| {
            let wrong = || format!("rows {rows:?} are no range \"start:end\"");
            let (start, end) = rows.split_once(':').ok_or_else(wrong)?;
            let place = |text: &str| match text.trim() {
                "" => Ok(None),
                text => Expression::parse(text).map(Some),
            };
            Ok::<_, String>([place(start)?, place(end)?])
        });
        let rows = match (rows.transpose()?, self.every) {
            (None, Some(_)) => return Err("\"every\" says where \"rows\" repeat".to_owned()),
            (rows, every) => rows.map(|range| RowsOf { range, every }),
        };
        Ok(ChangeStep { kind, rows })
    }
}

impl<'de> Deserialize<'de> for ChangeText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = ChangeText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a change: a name, a table with \"add\" or \"multiply\", or a list")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<ChangeText, E> {
                ChangeStep::named(name).map(|step| ChangeText(vec![step])).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ChangeText, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                table.step().map(|step| ChangeText(vec![step])).map_err(A::Error::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ChangeText, A::Error> {
                let mut steps = Vec::new();
                while let Some(ChangeText(more)) = list.next_element()? {
                    steps.extend(more);
                }
                Ok(ChangeText(steps))
            }
        }
        from.deserialize_any(Form)
    }
}
