//! Calls of functions.

use serde_json::Value;

use super::{Found, MOST_LAYERS, Scope, Stop, same, truth};
use crate::arch::expression::Node;
use crate::arch::expression::function::{Function, What};
use crate::arch::expression::lists;
use crate::arch::expression::normal;
use crate::arch::expression::sinusoids::sinusoids;
use crate::arch::files;

/// Longer lists are not made.
const MOST_ITEMS: u64 = 1 << 20;

impl<'a> Scope<'a> {
    pub(super) fn call(&self, function: &Function, arguments: &'a [Node]) -> Found {
        let argument = |index: usize| self.node(&arguments[index]);
        let float = |index: usize| {
            let value = argument(index)?;
            match value.as_f64() {
                None if value.is_null() => Ok(None),
                None => Err(Stop::Error(self.wrong(function.name, &value, "a number"))),
                number => Ok(number),
            }
        };
        Ok(match function.what {
            What::If if truth(&argument(0)?) => argument(1)?,
            What::If => argument(2)?,
            What::First => match arguments.iter().find(|node| self.has(node)) {
                Some(node) => self.node(node)?,
                None => Value::Null,
            },
            What::Has => self.has(&arguments[0]).into(),
            What::Any => {
                for index in 0..arguments.len() {
                    if truth(&argument(index)?) {
                        return Ok(true.into());
                    }
                }
                false.into()
            }
            What::Contains => {
                let (list, item) = (argument(0)?, argument(1)?);
                if let (Some(text), Some(part)) = (list.as_str(), item.as_str()) {
                    return Ok(text.contains(part).into());
                }
                let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
                items.iter().any(|other| same(other, &item)).into()
            }
            What::Truncate => float(0)?.map_or(Value::Null, |x| Value::from(x as i64)),
            What::Ceiling => float(0)?.map_or(Value::Null, |x| Value::from(x.ceil() as i64)),
            What::Root => float(0)?.map_or(Value::Null, |x| Value::from(x.sqrt())),
            What::Logarithm => float(0)?.map_or(Value::Null, |x| Value::from(x.ln())),
            What::Round => {
                float(0)?.map_or(Value::Null, |x| Value::from(x.round_ties_even() as i64))
            }
            What::Power => match (float(0)?, float(1)?) {
                (Some(x), Some(y)) => Value::from(x.powf(y)),
                _ => Value::Null,
            },
            What::Quantile => match float(0)? {
                None => Value::Null,
                Some(p) => match normal::quantile(p as f32) {
                    Some(quantile) => Value::from(quantile),
                    None => {
                        let found = Value::from(p);
                        return Err(self.wrong("a probability", &found, "from 0 to 1").into());
                    }
                },
            },
            What::Sinusoids => {
                let (positions, channels) = (argument(0)?, argument(1)?);
                let sizes = positions.as_u64().zip(channels.as_u64());
                match sizes.and_then(|(positions, channels)| sinusoids(positions, channels)) {
                    Some(table) => table.into_iter().map(f64::from).collect(),
                    None => {
                        let expected = "an even number of at least 4, and at most 2^22 values";
                        return Err(self.wrong("channels", &channels, expected).into());
                    }
                }
            }
            What::Least | What::Greatest => {
                let (a, b) = (argument(0)?, argument(1)?);
                let (Some(x), Some(y)) = (float(0)?, float(1)?) else { return Ok(Value::Null) };
                if (x < y) == matches!(function.what, What::Least) { a } else { b }
            }
            What::Length => match argument(0)? {
                Value::Array(items) => items.len().into(),
                Value::Object(keys) => keys.len().into(),
                Value::String(text) => text.len().into(),
                _ => Value::Null,
            },
            What::EachEquals => {
                let (list, item) = (argument(0)?, argument(1)?);
                let Value::Array(items) = list else { return Ok(Value::Null) };
                items.iter().map(|other| Value::from(same(other, &item))).collect()
            }
            What::Leading => {
                let (list, item) = (argument(0)?, argument(1)?);
                let Value::Array(items) = list else { return Ok(Value::Null) };
                items.iter().take_while(|other| same(other, &item)).count().into()
            }
            What::Integers => match argument(0)? {
                Value::String(text) => {
                    let parts = text.split(',').filter(|part| !part.trim().is_empty());
                    let numbers = parts.map(|part| part.trim().parse::<i64>().ok());
                    let Some(mut numbers) = numbers.collect::<Option<Vec<_>>>() else {
                        let found = Value::String(text);
                        return Err(self
                            .wrong(function.name, &found, "integers and commas")
                            .into());
                    };
                    numbers.sort_unstable();
                    numbers.into()
                }
                _ => Value::Null,
            },
            What::SortedValues => match argument(0)? {
                Value::Object(map) => {
                    let mut items: Vec<_> = map.into_iter().collect();
                    let number = |key: &String| key.parse::<i64>().ok();
                    if items.iter().all(|(key, _)| number(key).is_some()) {
                        items.sort_by_key(|(key, _)| number(key));
                    } else {
                        items.sort_by(|(a, _), (b, _)| a.cmp(b));
                    }
                    items.into_iter().map(|(_, value)| value).collect()
                }
                _ => Value::Null,
            },
            What::EachLayer | What::FirstLayer => {
                let layers = match arguments.get(1) {
                    Some(_) => match argument(1)? {
                        Value::Null => return Ok(Value::Null),
                        count => match count.as_u64() {
                            Some(layers) if layers <= MOST_ITEMS => layers,
                            _ => {
                                let what = "a number of layers";
                                return Err(self.wrong(what, &count, "at most 2^20").into());
                            }
                        },
                    },
                    None => match self.numbers.iter().find(|(key, _)| key == "blocks") {
                        Some((_, layers)) => self.count(layers)?,
                        None => return Ok(Value::Null),
                    },
                };
                let mut items = (0..layers).map(|layer| self.at(Some(layer)).node(&arguments[0]));
                match function.what {
                    What::EachLayer => Value::Array(items.collect::<Result<_, _>>()?),
                    _ => items
                        .find(|item| !matches!(item, Ok(Value::Null)))
                        .transpose()?
                        .unwrap_or_default(),
                }
            }
            What::StoredLayers => match argument(0)?.as_str() {
                Some(prefix) => self.stored.layers(prefix).into(),
                None => Value::Null,
            },
            What::Repeat => {
                let (item, count) = (argument(0)?, argument(1)?);
                match count.as_u64() {
                    _ if item.is_null() || count.is_null() => Value::Null,
                    Some(count) if count <= MOST_ITEMS => vec![item; count as usize].into(),
                    _ => return Err(self.wrong("a count of items", &count, "at most 2^20").into()),
                }
            }
            What::Join => match (argument(0)?, argument(1)?) {
                (Value::Array(first), Value::Array(second)) => [first, second].concat().into(),
                _ => Value::Null,
            },
            What::Each => match argument(0)? {
                Value::Array(items) => {
                    let each = |item| Scope { item: Some(item), ..*self }.node(&arguments[1]);
                    Value::Array(items.iter().map(each).collect::<Result<_, _>>()?)
                }
                Value::Null => Value::Null,
                other => return Err(self.wrong(function.name, &other, "a list").into()),
            },
            What::Order => match argument(0)? {
                Value::Null => Value::Null,
                list => match lists::order(&list) {
                    Some(order) => order.into(),
                    None => {
                        let expected = "a list of numbers, or of lists of numbers";
                        return Err(self.wrong(function.name, &list, expected).into());
                    }
                },
            },
            What::Flat => match argument(0)? {
                Value::Array(items) if items.iter().all(Value::is_array) => {
                    let lists = items.into_iter().filter_map(|item| match item {
                        Value::Array(list) => Some(list),
                        _ => None,
                    });
                    lists.flatten().collect()
                }
                Value::Null => Value::Null,
                other => return Err(self.wrong(function.name, &other, "a list of lists").into()),
            },
            What::Fraction => match argument(0)? {
                Value::Null => Value::Null,
                text => match text.as_str().and_then(lists::fraction) {
                    Some(numbers) => numbers.to_vec().into(),
                    None => {
                        let expected = "two integers with a slash between them";
                        return Err(self.wrong(function.name, &text, expected).into());
                    }
                },
            },
            What::Stored | What::Shape | What::Lengths => match argument(0)?.as_str() {
                None => Value::Null,
                Some(pattern) if matches!(function.what, What::Lengths) => {
                    self.stored.lengths(pattern).into()
                }
                Some(pattern) if matches!(function.what, What::Stored) => {
                    self.stored.count(pattern).into()
                }
                Some(pattern) => {
                    self.stored.shape(pattern).map_or(Value::Null, |shape| shape.to_vec().into())
                }
            },
            What::Shards => self.stored.shards.unwrap_or(1).into(),
            What::RopeFactors => {
                let head = argument(0)?;
                let Some(head) = head.as_u64().filter(|head| *head <= MOST_LAYERS) else {
                    return Err(self.wrong("head size", &head, "at most 65536").into());
                };
                let precise = arguments.len() > 1 && truth(&argument(1)?);
                let factors = match self.rope {
                    Some(rope) => rope.llama3_factors(head, precise)?,
                    None => None,
                };
                factors.map_or(Value::Null, |factors| factors.into_iter().map(f64::from).collect())
            }
            What::OwnTokens => files::own_token_count(self)?.map_or(Value::Null, Value::from),
            What::Tokens => match self.tokens {
                Some(tokens) => tokens.into(),
                None => files::token_count(self)?.map_or(Value::Null, Value::from),
            },
            What::Token => match argument(0)?.as_str() {
                Some(text) => files::token_id(self, text)?.map_or(Value::Null, Value::from),
                None => Value::Null,
            },
            What::FolderName => match self.folder.path().file_name() {
                Some(name) => name.to_string_lossy().into(),
                None => Value::Null,
            },
            What::Named => {
                let names = (0..arguments.len()).map(argument).collect::<Result<Vec<_>, _>>()?;
                let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
                files::is_named(self, &names).into()
            }
            What::Lower => match argument(0)?.as_str() {
                Some(text) => text.to_lowercase().into(),
                None => Value::Null,
            },
        })
    }
}
