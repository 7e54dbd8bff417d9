//! Expressions over the keys of a config, for the descriptions of architectures.
//!
//! `spec/architectures.md` documents the language. In short:
//!
//! | form | means |
//! |---|---|
//! | `hidden_size`, `in.deep` | a number of the description, else a key of the config, else null |
//! | `rope.factor`, `raw.a` | a key of the rotary embedding; a key without defaults |
//! | `generation.a` | a key of `generation_config.json` |
//! | `12`, `0.5`, `'text'`, `true`, `null`, `[a, b]` | a literal |
//! | `a ?? b` | `a`, or `b` if `a` is null |
//! | `+ - *`, `/` | arithmetic; integers give an integer, except with `/` |
//! | `a // b`, `a % b` | quotient rounded down, remainder |
//! | `== != < <= > >=`, `and`, `not` | truth; null, false, 0 and anything empty count as false |
//! | `a or b` | whether `a` or `b` holds; each must be true or false |
//! | `list[i]` | an item, counted from 0 |
//! | `f(a, b)` | a function of the table [`FUNCTIONS`](function::FUNCTIONS) |
//! | `skip` | ends the evaluation: nothing is written |
//!
//! Arithmetic with null gives null.

mod definitions;
mod evaluate;
mod function;
mod keys;
mod lists;
mod names;
mod normal;
mod parse;
mod sinusoids;
mod stored;

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

pub(super) use evaluate::path;
pub(crate) use evaluate::{Rotary, Scope};
pub(crate) use stored::Stored;

/// An expression, with the text that it was parsed from.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    node: Node,
}

/// A part of an expression.
#[derive(Clone, Debug)]
enum Node {
    Literal(Value),
    Skip,
    Name(String),
    Item(Box<Node>, Box<Node>),
    List(Vec<Node>),
    Not(Box<Node>),
    Coalesce(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(&'static function::Function, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Quotient,
    Remainder,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    const fn compares(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::Unequal
                | Self::Less
                | Self::LessOrEqual
                | Self::Greater
                | Self::GreaterOrEqual
        )
    }
}

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// If `text` is no expression; the error says where and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let node = parse::parse(text).map_err(|why| format!("expression {text:?}: {why}"))?;
        Ok(Self { text: text.trim().to_owned(), node })
    }

    /// Parses expressions separated by commas.
    ///
    /// # Errors
    /// If one of them is no expression.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        parse::split(text, ',').into_iter().map(Self::parse).collect()
    }

    /// Whether it is a literal.
    pub(super) const fn is_literal(&self) -> bool {
        matches!(self.node, Node::Literal(_))
    }

    /// Whether it is the literal `null`.
    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.node, Node::Literal(Value::Null))
    }

    /// A literal.
    pub(super) fn literal(value: Value) -> Self {
        Self { text: value.to_string(), node: Node::Literal(value) }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Expression;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an expression: a string, a number, true, false or a table")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Expression, E> {
                Expression::parse(text).map_err(E::custom)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Expression, E> {
                Ok(Expression::literal(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Expression, E> {
                Ok(Expression::literal(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Expression, E> {
                Ok(Expression::literal(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Expression, E> {
                Ok(Expression::literal(value.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Expression, A::Error> {
                Value::deserialize(MapAccessDeserializer::new(map)).map(Expression::literal)
            }
        }
        from.deserialize_any(Form).map_err(|error| D::Error::custom(error.to_string()))
    }
}
