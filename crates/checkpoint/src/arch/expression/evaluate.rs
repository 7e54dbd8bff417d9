//! Evaluates expressions.

mod call;

use std::fmt::Debug;
use std::path::Path;

use serde_json::{Map, Value};

use super::definitions::MOST_DEPTH;
use super::function::{Function, What};
use super::stored::Stored;
use super::{Expression, Node, Operator};
use crate::arch::{Numbers, part};
use crate::json::read_object_if_there;
use crate::{Error, Folder, Problem};

/// A config with more layers is damaged.
const MOST_LAYERS: u64 = 65_536;

/// The values of names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// The folder of the checkpoint.
    pub(in crate::arch) folder: &'a dyn Folder,
    /// The folder's path as it was given.
    pub(in crate::arch) given: &'a Path,
    /// The file that errors name.
    pub(in crate::arch) path: &'a Path,
    pub(in crate::arch) raw: &'a Map<String, Value>,
    pub(in crate::arch) config: &'a Map<String, Value>,
    pub(in crate::arch) numbers: &'a Numbers,
    /// Numbers that are values of tensors.
    pub(in crate::arch) of_tensors: Option<&'a Map<String, Value>>,
    pub(in crate::arch) rope: Option<&'a dyn Rotary>,
    pub(in crate::arch) layer: Option<u64>,
    /// The number of tokens, if not to be counted in the tokenizer's files.
    pub(in crate::arch) tokens: Option<u64>,
    /// What the checkpoint has besides its config.
    pub(in crate::arch) stored: Stored<'a>,
    /// The item of the list that is being walked through.
    pub(in crate::arch) item: Option<&'a Value>,
    pub(in crate::arch) depth: u32,
    /// The definition that is being evaluated. Its own name is that of a key there.
    pub(in crate::arch) inside: Option<&'a str>,
}

/// What expressions ask of the config's rotary embedding.
pub(crate) trait Rotary: Debug {
    /// The value of a key for layers with full attention.
    fn get(&self, key: &str) -> Option<&Value>;

    /// The factors of rope type `llama3` for a head of this size; `None` for other types.
    ///
    /// # Errors
    /// If the config has no number where one is needed.
    fn llama3_factors(&self, head: u64, precise: bool) -> Result<Option<Vec<f32>>, Error>;
}

/// Why there is no value.
enum Stop {
    Skip,
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

type Found = Result<Value, Stop>;

impl<'a> Scope<'a> {
    /// The file that errors name.
    pub(crate) const fn file(&self) -> &'a Path {
        self.path
    }

    /// The same scope inside a layer.
    pub(crate) const fn at(self, layer: Option<u64>) -> Self {
        Self { layer, ..self }
    }

    /// The same scope with a known number of tokens.
    pub(crate) const fn with_tokens(self, tokens: Option<u64>) -> Self {
        Self { tokens, ..self }
    }

    /// The same scope with numbers that are values of tensors.
    pub(crate) const fn with_tensors(self, numbers: &'a Map<String, Value>) -> Self {
        Self { of_tensors: Some(numbers), ..self }
    }

    /// The same scope with tensors.
    pub(crate) const fn with_stored(self, stored: Stored<'a>) -> Self {
        Self { stored, ..self }
    }

    /// Evaluates an expression; `None` if it skips.
    pub(crate) fn value(&self, expression: &'a Expression) -> Result<Option<Value>, Error> {
        match self.node(&expression.node) {
            Ok(value) => Ok(Some(value)),
            Err(Stop::Skip) => Ok(None),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    /// Evaluates an expression that must not be null; `None` if it skips.
    pub(crate) fn needed(&self, expression: &'a Expression) -> Result<Option<Value>, Error> {
        match self.value(expression)? {
            Some(Value::Null) => {
                let keys = self.missing(&expression.node);
                if keys.is_empty() {
                    return Err(self.contradiction(expression));
                }
                Err(part::lacks(keys, self.folder, self.path))
            }
            value => Ok(value),
        }
    }

    /// The error that no value follows from keys that are all there.
    fn contradiction(&self, expression: &'a Expression) -> Error {
        let mut keys = expression.dependencies(self.numbers).unwrap_or_default();
        keys.sort_unstable();
        keys.dedup();
        let values = keys.into_iter().filter_map(|key| match self.name(key) {
            Ok(value) if !value.is_null() => Some(format!("{key} = {value}")),
            _ => None,
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let problem = Problem::Contradiction { values, expression: expression.to_string() };
        Error::in_file(self.path, problem)
    }

    /// The value as an unsigned integer.
    pub(crate) fn unsigned(&self, expression: &'a Expression) -> Result<u64, Error> {
        let value = self.needed(expression)?.unwrap_or(Value::Null);
        let integer = value.as_u64();
        integer.ok_or_else(|| self.wrong(expression, &value, "an integer that is not negative"))
    }

    /// The value as a signed integer.
    pub(crate) fn signed(&self, expression: &'a Expression) -> Result<i64, Error> {
        let value = self.needed(expression)?.unwrap_or(Value::Null);
        value.as_i64().ok_or_else(|| self.wrong(expression, &value, "an integer"))
    }

    /// The value as a number.
    pub(crate) fn float(&self, expression: &'a Expression) -> Result<f64, Error> {
        let value = self.needed(expression)?.unwrap_or(Value::Null);
        value.as_f64().ok_or_else(|| self.wrong(expression, &value, "a number"))
    }

    /// Whether the value counts as true.
    pub(crate) fn holds(&self, expression: &'a Expression) -> Result<bool, Error> {
        Ok(self.value(expression)?.is_some_and(|value| truth(&value)))
    }

    /// The value as a number of layers or experts.
    pub(crate) fn count(&self, expression: &'a Expression) -> Result<u64, Error> {
        match self.unsigned(expression)? {
            count if count <= MOST_LAYERS => Ok(count),
            count => Err(self.wrong(expression, &count.into(), "at most 65536")),
        }
    }

    /// The number of layers before those that predict further tokens.
    pub(crate) fn layers(&self) -> Result<u64, Error> {
        let number = self.numbers.iter().find(|(name, _)| name == "layers");
        number.map_or(Ok(0), |(_, layers)| self.count(layers))
    }

    /// The error for a value of the wrong type.
    pub(crate) fn wrong(
        &self,
        expression: impl ToString,
        value: &Value,
        expected: &'static str,
    ) -> Error {
        let problem =
            Problem::KeyType { key: expression.to_string(), found: value.to_string(), expected };
        Error::in_file(self.path, problem)
    }

    fn node(&self, node: &'a Node) -> Found {
        match node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Skip => Err(Stop::Skip),
            Node::Name(name) => self.name(name),
            Node::Item(list, index) => {
                let (list, index) = (self.node(list)?, self.node(index)?);
                let item = match &index {
                    Value::String(key) => list.get(key),
                    // The keys of an object are numbers in decimal digits.
                    index if list.is_object() => list.get(index.to_string()),
                    _ => {
                        let index = index.as_u64().and_then(|index| usize::try_from(index).ok());
                        if let (Value::String(text), Some(index)) = (&list, index) {
                            let letter = text.chars().nth(index).map(|it| it.to_string());
                            return Ok(letter.map_or(Value::Null, Value::from));
                        }
                        index.and_then(|index| list.get(index))
                    }
                };
                Ok(item.cloned().unwrap_or_default())
            }
            Node::List(items) => items.iter().map(|item| self.node(item)).collect(),
            Node::Not(node) => Ok((!truth(&self.node(node)?)).into()),
            Node::Coalesce(first, second) => match self.node(first)? {
                Value::Null => self.node(second),
                value => Ok(value),
            },
            Node::Or(first, second) => {
                Ok((self.strict_truth(first)? || self.strict_truth(second)?).into())
            }
            Node::And(first, second) => {
                Ok((truth(&self.node(first)?) && truth(&self.node(second)?)).into())
            }
            Node::Binary(operator, left, right) => {
                let (a, b) = (self.node(left)?, self.node(right)?);
                self.binary(*operator, &a, &b, right)
            }
            Node::Call(function, arguments) => self.call(function, arguments),
        }
    }

    /// An operand of `or`. Null is refused like any other value that is neither true nor false:
    /// where it can appear, `??` was probably meant.
    fn strict_truth(&self, node: &'a Node) -> Result<bool, Stop> {
        let value = self.node(node)?;
        value.as_bool().ok_or_else(|| {
            let operand = match node {
                Node::Name(name) => name,
                _ => "an operand of \"or\"",
            };
            self.wrong(operand, &value, "true or false (\"??\" replaces null)").into()
        })
    }

    fn name(&self, name: &'a str) -> Found {
        let (root, rest) =
            name.split_once('.').map_or((name, None), |(root, rest)| (root, Some(rest)));
        let value = match root {
            "layer" if rest.is_none() => return Ok(self.layer.map_or(Value::Null, Value::from)),
            "item" if rest.is_none() && self.item.is_some() => self.item,
            "rope" => match self.rope {
                Some(rope) => rope.get(rest.unwrap_or_default()),
                None => None,
            },
            "raw" => path(self.raw, rest.unwrap_or_default()),
            "mtp_layers" if self.stored.without => return Ok(0.into()),
            "generation" => return Ok(self.generation(rest.unwrap_or_default())?),
            _ => match self.numbers.iter().find(|(key, _)| key == name) {
                Some((key, expression)) if self.inside != Some(key.as_str()) => {
                    if self.depth == MOST_DEPTH {
                        return Err(self
                            .wrong(name, &Value::Null, "no definition by itself")
                            .into());
                    }
                    let inside = Self { inside: Some(key), depth: self.depth + 1, ..*self };
                    return inside.node(&expression.node);
                }
                _ => {
                    let of_tensors = self.of_tensors.and_then(|numbers| numbers.get(name));
                    of_tensors.or_else(|| path(self.config, name))
                }
            },
        };
        Ok(value.cloned().unwrap_or_default())
    }

    /// A key of `generation_config.json`; null if there is none.
    fn generation(&self, key: &str) -> Result<Value, Error> {
        let file = read_object_if_there(&self.folder.at("generation_config.json"))?;
        Ok(file.and_then(|keys| path(&keys, key).cloned()).unwrap_or_default())
    }

    /// Whether a name is present, even if it is null.
    fn has(&self, node: &Node) -> bool {
        let Node::Name(name) = node else { return true };
        match name.split_once('.') {
            Some(("rope", rest)) => self.rope.is_some_and(|rope| rope.get(rest).is_some()),
            Some(("raw", rest)) => path(self.raw, rest).is_some(),
            _ => {
                let defined = self.numbers.iter().any(|(key, _)| key == name);
                (defined && self.inside != Some(name)) || path(self.config, name).is_some()
            }
        }
    }

    fn binary(&self, operator: Operator, a: &Value, b: &Value, right: &Node) -> Found {
        use Operator::{
            Add, Divide, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Multiply, Quotient,
            Remainder, Subtract, Unequal,
        };
        match operator {
            Equal => return Ok(same(a, b).into()),
            Unequal => return Ok((!same(a, b)).into()),
            _ => {}
        }
        if a.is_null() || b.is_null() {
            return Ok(match operator {
                Less | LessOrEqual | Greater | GreaterOrEqual => false.into(),
                _ => Value::Null,
            });
        }
        let number = |value: &Value| {
            let found = value.as_f64();
            found.ok_or_else(|| self.wrong("a value in a calculation", value, "a number"))
        };
        let (x, y) = (number(a)?, number(b)?);
        match operator {
            Less => return Ok((x < y).into()),
            LessOrEqual => return Ok((x <= y).into()),
            Greater => return Ok((x > y).into()),
            GreaterOrEqual => return Ok((x >= y).into()),
            Divide | Quotient | Remainder if y == 0.0 => {
                let name = match right {
                    Node::Name(name) => name,
                    _ => "a divisor",
                };
                return Err(self.wrong(name, b, "a number above 0").into());
            }
            _ => {}
        }
        if let (Some(i), Some(j)) = (a.as_i64(), b.as_i64())
            && operator != Divide
        {
            let exact = match operator {
                Add => i.checked_add(j),
                Subtract => i.checked_sub(j),
                Multiply => i.checked_mul(j),
                Quotient => i.checked_div_euclid(j),
                _ => i.checked_rem_euclid(j),
            };
            if let Some(exact) = exact {
                return Ok(exact.into());
            }
        }
        Ok(Value::from(match operator {
            Add => x + y,
            Subtract => x - y,
            Multiply => x * y,
            Divide => x / y,
            Quotient => (x / y).floor(),
            _ => x - y * (x / y).floor(),
        }))
    }

    /// The keys whose absence makes the value null.
    fn missing(&self, node: &'a Node) -> Vec<String> {
        let null = |node: &&'a Node| matches!(self.node(node), Ok(Value::Null));
        let first = |nodes: &[&'a Node]| {
            let node = nodes.iter().copied().find(null);
            node.map(|node| self.missing(node)).unwrap_or_default()
        };
        match node {
            Node::Name(name) => {
                let defined = self.numbers.iter().find(|(key, _)| key == name);
                match defined {
                    Some((key, expression)) if self.inside != Some(key.as_str()) => {
                        let inside = Self { inside: Some(key), depth: self.depth + 1, ..*self };
                        inside.missing(&expression.node)
                    }
                    _ => vec![name.clone()],
                }
            }
            Node::Coalesce(a, b) => [self.missing(a), self.missing(b)].concat(),
            Node::Call(Function { what: What::First, .. }, names) => {
                names.iter().flat_map(|name| self.missing(name)).collect()
            }
            Node::Call(_, nodes) | Node::List(nodes) => first(&nodes.iter().collect::<Vec<_>>()),
            Node::Binary(_, a, b) | Node::Item(a, b) => first(&[a, b]),
            _ => Vec::new(),
        }
    }
}

/// The value at a path such as `a.b` in an object.
pub(in crate::arch) fn path<'m>(map: &'m Map<String, Value>, path: &str) -> Option<&'m Value> {
    match path.split_once('.') {
        Some((key, rest)) => map.get(key)?.as_object().and_then(|map| self::path(map, rest)),
        None => map.get(path),
    }
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(keys) => !keys.is_empty(),
    }
}

/// Equality; 1 and 1.0 are equal.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests;
