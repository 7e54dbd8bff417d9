//! Names in an expression, and what can be said of it without a config.

use serde_json::Value;

use super::definitions::{Definitions, Meaning};
use super::{Expression, Node};
use crate::arch::Numbers;

impl Expression {
    /// The names of numbers and keys, as often as they occur.
    pub(in crate::arch) fn names(&self) -> Vec<&str> {
        fn walk<'a>(node: &'a Node, each: bool, names: &mut Vec<&'a str>) {
            match node {
                Node::Name(name) if name == "item" && each => {}
                Node::Name(name) => names.push(name.as_str()),
                Node::Call(function, arguments) if function.name == "each" => {
                    walk(&arguments[0], each, names);
                    walk(&arguments[1], true, names);
                }
                _ => node.children().into_iter().for_each(|child| walk(child, each, names)),
            }
        }
        let mut names = Vec::new();
        walk(&self.node, false, &mut names);
        names
    }

    /// The classes that it looks for in the config: `contains(architectures, 'Class')`.
    pub(in crate::arch) fn classes(&self) -> Vec<&str> {
        let mut classes = Vec::new();
        self.node.visit(&mut |node| {
            if let Node::Call(function, arguments) = node
                && function.name == "contains"
                && let [Node::Name(list), Node::Literal(Value::String(class))] = &arguments[..]
                && list == "architectures"
            {
                classes.push(class.as_str());
            }
        });
        classes
    }

    /// Whether an operand of an `or` in it can be neither true nor false. A key of the config can
    /// be anything as far as this tells.
    pub(in crate::arch) fn misuses_or(&self, numbers: &Numbers) -> bool {
        fn can_be_truth(node: &Node, definitions: Definitions<'_>) -> bool {
            let can = |node: &Node| can_be_truth(node, definitions);
            match node {
                Node::Literal(value) => value.is_boolean(),
                Node::Skip | Node::List(_) => false,
                Node::Item(..) | Node::Not(_) | Node::Or(..) | Node::And(..) => true,
                Node::Coalesce(a, b) => can(a) && can(b),
                Node::Binary(operator, ..) => operator.compares(),
                Node::Call(function, arguments) => match function.choices() {
                    Some(start) => arguments[start..].iter().all(can),
                    None => function.gives_truth(),
                },
                Node::Name(name) => match definitions.meaning(name) {
                    Meaning::Number(node, there) => can_be_truth(node, there),
                    Meaning::Key | Meaning::Endless => true,
                },
            }
        }
        let definitions = Definitions::new(numbers);
        let mut misused = false;
        self.node.visit(&mut |node| {
            if let Node::Or(a, b) = node {
                misused |= !(can_be_truth(a, definitions) && can_be_truth(b, definitions));
            }
        });
        misused
    }

    /// Whether its value depends on the number of a layer, perhaps through definitions.
    pub(in crate::arch) fn asks_for_layer(&self, numbers: &Numbers) -> bool {
        fn walk(node: &Node, definitions: Definitions<'_>) -> bool {
            match node {
                Node::Name(name) if name == "layer" => true,
                Node::Name(name) => match definitions.meaning(name) {
                    Meaning::Number(node, there) => walk(node, there),
                    Meaning::Key | Meaning::Endless => false,
                },
                // It gives each layer its number.
                Node::Call(function, _) if function.gives_layers() => false,
                _ => node.children().into_iter().any(|child| walk(child, definitions)),
            }
        }
        walk(&self.node, Definitions::new(numbers))
    }

    /// The definitions through which `name`, which this defines, refers to itself; `name` is last.
    pub(in crate::arch) fn way_back_to(
        &self,
        name: &str,
        numbers: &Numbers,
    ) -> Option<Vec<String>> {
        fn walk<'a>(
            node: &'a Node,
            goal: &str,
            numbers: &'a Numbers,
            way: &mut Vec<&'a str>,
        ) -> bool {
            if let Node::Name(name) = node {
                // In its own definition, a number's name is that of a key.
                let inside = way.last().copied().unwrap_or(goal);
                let number = numbers.iter().find(|(key, _)| key == name && key != inside);
                let Some((name, number)) = number else { return false };
                if name == goal {
                    way.push(name);
                    return true;
                }
                if way.contains(&name.as_str()) {
                    return false;
                }
                way.push(name);
                let found = walk(&number.node, goal, numbers, way);
                if !found {
                    way.pop();
                }
                return found;
            }
            node.children().into_iter().any(|child| walk(child, goal, numbers, way))
        }
        let mut way = Vec::new();
        let found = walk(&self.node, name, numbers, &mut way);
        found.then(|| way.into_iter().map(str::to_owned).collect())
    }
}

impl Node {
    /// The nodes directly below it.
    pub(super) fn children(&self) -> Vec<&Self> {
        match self {
            Self::Literal(_) | Self::Skip | Self::Name(_) => Vec::new(),
            Self::Not(node) => vec![node],
            Self::Item(a, b)
            | Self::Coalesce(a, b)
            | Self::Or(a, b)
            | Self::And(a, b)
            | Self::Binary(_, a, b) => vec![a, b],
            Self::List(nodes) | Self::Call(_, nodes) => nodes.iter().collect(),
        }
    }

    /// Visits it and all nodes below it.
    fn visit<'a>(&'a self, on: &mut impl FnMut(&'a Self)) {
        on(self);
        self.children().into_iter().for_each(|child| child.visit(on));
    }
}
