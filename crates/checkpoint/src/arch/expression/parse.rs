//! Parses expressions.

use serde_json::Value;

use super::function::FUNCTIONS;
use super::{Node, Operator};
use crate::arch::mistake::did_you_mean;

/// Expressions nested more deeply are rejected.
const MOST_DEPTH: usize = 32;

/// The operators of each level, beginning with those that bind least. Longer ones come before
/// their prefixes.
const LEVELS: &[&[(&str, Operator)]] = &[
    &[
        ("==", Operator::Equal),
        ("!=", Operator::Unequal),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[
        ("*", Operator::Multiply),
        ("//", Operator::Quotient),
        ("/", Operator::Divide),
        ("%", Operator::Remainder),
    ],
];

pub(super) fn parse(text: &str) -> Result<Node, String> {
    let mut parser = Parser { rest: text, depth: 0 };
    let node = parser.expression()?;
    match parser.peek() {
        "" => Ok(node),
        rest => Err(format!("{rest:?} is left over")),
    }
}

/// Splits a text at separators outside brackets and quotes.
pub(crate) fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut depth, mut quoted, mut start) = (0_i32, false, 0);
    let mut parts = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth -= 1,
            _ if letter == separator && !quoted && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Parser<'t> {
    /// The rest, without leading spaces.
    fn peek(&mut self) -> &'t str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    /// Consumes a sign, if it comes next.
    fn sign(&mut self, sign: &str) -> bool {
        let rest = self.peek().strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.sign(sign) {
            return Ok(());
        }
        Err(format!("{sign:?} is missing before {:?}", self.peek()))
    }

    /// Consumes a name, which may contain dots.
    fn word(&mut self) -> &'t str {
        let rest = self.peek();
        let part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.';
        let end =
            match rest.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_') {
                true => rest.find(|letter| !part(letter)).unwrap_or(rest.len()),
                false => 0,
            };
        self.rest = &rest[end..];
        &rest[..end]
    }

    /// Consumes a name, if it is this one.
    fn keyword(&mut self, word: &str) -> bool {
        let before = self.rest;
        let is = self.word() == word;
        if !is {
            self.rest = before;
        }
        is
    }

    fn expression(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err("it is nested too deeply".to_owned());
        }
        let mut node = self.either()?;
        while self.sign("??") {
            node = Node::Coalesce(Box::new(node), Box::new(self.either()?));
        }
        self.depth -= 1;
        Ok(node)
    }

    fn either(&mut self) -> Result<Node, String> {
        let mut node = self.both()?;
        while self.keyword("or") {
            node = Node::Or(Box::new(node), Box::new(self.both()?));
        }
        Ok(node)
    }

    fn both(&mut self) -> Result<Node, String> {
        let mut node = self.negated()?;
        while self.keyword("and") {
            node = Node::And(Box::new(node), Box::new(self.negated()?));
        }
        Ok(node)
    }

    fn negated(&mut self) -> Result<Node, String> {
        if self.keyword("not") {
            let node = self.level(0)?;
            return Ok(Node::Not(Box::new(node)));
        }
        self.level(0)
    }

    fn level(&mut self, level: usize) -> Result<Node, String> {
        let Some(operators) = LEVELS.get(level) else { return self.item() };
        let mut node = self.level(level + 1)?;
        while let Some((_, operator)) = operators.iter().find(|(text, _)| self.sign(text)) {
            let right = self.level(level + 1)?;
            node = Node::Binary(*operator, Box::new(node), Box::new(right));
        }
        Ok(node)
    }

    fn item(&mut self) -> Result<Node, String> {
        let mut node = self.single()?;
        while self.sign("[") {
            node = Node::Item(Box::new(node), Box::new(self.expression()?));
            self.expect("]")?;
        }
        Ok(node)
    }

    fn single(&mut self) -> Result<Node, String> {
        if self.sign("(") {
            let node = self.expression()?;
            self.expect(")")?;
            return Ok(node);
        }
        if self.sign("[") {
            return Ok(Node::List(self.list("]")?));
        }
        if self.sign("'") {
            let mut text = String::new();
            loop {
                let (part, rest) = self.rest.split_once('\'').ok_or("a quote is open")?;
                text.push_str(part);
                self.rest = rest;
                // A double quote stands for one.
                let Some(rest) = rest.strip_prefix('\'') else { break };
                text.push('\'');
                self.rest = rest;
            }
            return Ok(Node::Literal(text.into()));
        }
        if self.peek().starts_with(|sign: char| sign.is_ascii_digit() || sign == '-') {
            return self.number();
        }
        let word = self.word();
        Ok(match word {
            "" => return Err(format!("no value begins with {:?}", self.peek())),
            "null" => Node::Literal(Value::Null),
            "true" => Node::Literal(true.into()),
            "false" => Node::Literal(false.into()),
            "skip" => Node::Skip,
            _ if self.rest.starts_with('(') => {
                self.expect("(")?;
                let function = FUNCTIONS.iter().find(|function| function.name == word);
                let function = function.ok_or_else(|| {
                    let known = FUNCTIONS.iter().map(|function| function.name);
                    format!("there is no function {word:?}{}", did_you_mean(word, known))
                })?;
                let arguments = self.list(")")?;
                if !function.arguments.contains(&arguments.len()) {
                    let (least, most) = (function.arguments.start(), function.arguments.end());
                    let wanted = match least == most {
                        true => least.to_string(),
                        false => format!("{least} to {most}"),
                    };
                    let found = arguments.len();
                    return Err(format!("{word} has {found} arguments, expected {wanted}"));
                }
                Node::Call(function, arguments)
            }
            _ => Node::Name(word.to_owned()),
        })
    }

    fn number(&mut self) -> Result<Node, String> {
        let rest = self.peek();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let mut length = rest.len() - digits.len();
        let mut last = ' ';
        for sign in digits.chars() {
            let exponent = matches!(last, 'e' | 'E') && matches!(sign, '-' | '+');
            if !(sign.is_ascii_digit() || matches!(sign, '.' | 'e' | 'E') || exponent) {
                break;
            }
            length += sign.len_utf8();
            last = sign;
        }
        let (text, rest) = rest.split_at(length);
        self.rest = rest;
        let integer = text.parse::<i64>().map(Value::from);
        let value = integer.or_else(|_| text.parse::<f64>().map(Value::from));
        value.map(Node::Literal).map_err(|_| format!("{text:?} is no number"))
    }

    fn list(&mut self, end: &str) -> Result<Vec<Node>, String> {
        let mut items = Vec::new();
        while !self.sign(end) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(self.expression()?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Expression;

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("", "no value"),
            ("a b", "left over"),
            ("(a", "is missing"),
            ("f(a)", "no function"),
            ("len()", "len has 0 arguments, expected 1"),
            ("lenn(a)", "did you mean \"len\""),
            ("'a", "quote"),
            ("1.2.3", "no number"),
            ("a ||", "left over"),
            ("a ? b", "left over"),
            ("a ??", "no value"),
        ] {
            let error = Expression::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(Expression::parse(&"(".repeat(100_000)).is_err());
        assert!(Expression::parse(&"[".repeat(100_000)).is_err());
    }
}
