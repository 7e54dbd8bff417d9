//! From the value of an expression back to the keys of a config.

use super::definitions::{Definitions, MOST_DEPTH, Meaning};
use super::function::Function;
use super::{Expression, Node};
use crate::arch::Numbers;

impl Expression {
    /// The keys of the config that the expression hands on unchanged: it has the value of the first
    /// that is there. Empty if the expression calculates.
    pub(crate) fn keys<'a>(&'a self, numbers: &'a Numbers) -> Vec<&'a str> {
        let mut keys = self.paths(numbers);
        keys.retain(|key| !key.contains('.'));
        keys
    }

    /// The same with keys inside others, such as `a.b`.
    pub(crate) fn paths<'a>(&'a self, numbers: &'a Numbers) -> Vec<&'a str> {
        let mut keys = Vec::new();
        collect(&self.node, Definitions::new(numbers), &mut keys);
        keys
    }

    /// Whether it calculates something else where its [keys](Self::keys) are absent.
    pub(crate) fn calculates(&self, numbers: &Numbers) -> bool {
        fn walk(node: &Node, definitions: Definitions<'_>) -> bool {
            match node {
                Node::Coalesce(a, b) => {
                    !matches!(**b, Node::Literal(_) | Node::Skip) || walk(a, definitions)
                }
                Node::Name(name) => match definitions.meaning(name) {
                    Meaning::Number(node, there) => walk(node, there),
                    Meaning::Key | Meaning::Endless => false,
                },
                _ => false,
            }
        }
        walk(&self.node, Definitions::new(numbers))
    }

    /// Whether it is nothing but the name of a key, perhaps through definitions.
    pub(crate) fn is_key(&self, numbers: &Numbers) -> bool {
        let mut at = (&self.node, Definitions::new(numbers));
        for _ in 0..=MOST_DEPTH {
            let Node::Name(name) = at.0 else { return false };
            match at.1.meaning(name) {
                Meaning::Number(node, there) => at = (node, there),
                Meaning::Key => return !name.contains('.') && name != "layer",
                Meaning::Endless => return false,
            }
        }
        false
    }

    /// All names that the value may depend on, those in definitions too, without `layer`; `None` if
    /// it also depends on something without a name, such as the files of a tokenizer.
    pub(crate) fn dependencies<'a>(&'a self, numbers: &'a Numbers) -> Option<Vec<&'a str>> {
        let mut names = Vec::new();
        all_names(&self.node, Definitions::new(numbers), &mut names).then_some(names)
    }
}

/// Whether everything that the value depends on has a name.
fn all_names<'a>(node: &'a Node, definitions: Definitions<'a>, names: &mut Vec<&'a str>) -> bool {
    match node {
        Node::Name(name) if name == "layer" || name == "item" => true,
        Node::Name(name) => match definitions.meaning(name) {
            Meaning::Number(node, there) => all_names(node, there, names),
            Meaning::Key => {
                names.push(name);
                true
            }
            Meaning::Endless => false,
        },
        // It looks at files.
        Node::Call(function, arguments) if arguments.is_empty() || looks(function) => false,
        _ => node.children().into_iter().all(|child| all_names(child, definitions, names)),
    }
}

/// Whether a function looks at the tensors of the checkpoint.
fn looks(function: &Function) -> bool {
    matches!(function.name, "stored" | "shape")
}

fn collect<'a>(node: &'a Node, definitions: Definitions<'a>, keys: &mut Vec<&'a str>) {
    match node {
        Node::Name(name) => match definitions.meaning(name) {
            Meaning::Number(node, there) => collect(node, there, keys),
            Meaning::Key => {
                let key = name.strip_prefix("rope.").or(name.strip_prefix("raw."));
                let key = key.unwrap_or(name);
                if key != "layer" {
                    keys.push(key);
                }
            }
            Meaning::Endless => {}
        },
        Node::Coalesce(first, _) => collect(first, definitions, keys),
        Node::Call(function, arguments) => match (function.name, &arguments[..]) {
            ("first", all) => all.iter().for_each(|node| collect(node, definitions, keys)),
            ("if", [_, value, Node::Skip] | [_, Node::Skip, value]) => {
                collect(value, definitions, keys);
            }
            _ => {}
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_hands_on_a_key_leads_back_to_it() {
        let parse = |text| Expression::parse(text).unwrap();
        let numbers = vec![
            ("layers".to_owned(), parse("first(n_layers, n_layer)")),
            ("head_dim".to_owned(), parse("head_dim ?? width // heads")),
            ("loop".to_owned(), parse("pool")),
            ("pool".to_owned(), parse("loop")),
        ];
        for (text, keys) in [
            ("a", &["a"][..]),
            ("a ?? skip", &["a"]),
            ("first(a, b) ?? skip", &["a", "b"]),
            ("layers", &["n_layers", "n_layer"]),
            ("head_dim", &["head_dim"]),
            ("if(a, a, skip)", &["a"]),
            ("if(b == 1, skip, a)", &["a"]),
            ("rope.rope_theta", &["rope_theta"]),
            ("a.b", &[]),
            ("2 * a", &[]),
            ("if(a, b, c)", &[]),
            ("layer", &[]),
            ("loop", &[]),
        ] {
            assert_eq!(parse(text).keys(&numbers), keys, "{text}");
        }
        assert_eq!(parse("first(a, b.c) ?? skip").paths(&numbers), ["a", "b.c"]);
        for (text, calculates) in [
            ("a", false),
            ("layers", false),
            ("head_dim", true),
            ("a ?? 3", false),
            ("loop", false),
        ] {
            assert_eq!(parse(text).calculates(&numbers), calculates, "{text}");
        }
        for (text, names) in [
            ("a + b.c * layer", Some(&["a", "b.c"][..])),
            ("if(layers, not contains(list, 3), skip)", Some(&["n_layers", "n_layer", "list"])),
            ("head_dim", Some(&["head_dim", "width", "heads"])),
            ("[a[b], 2] or any(a == b, has(c))", Some(&["a", "b", "a", "b", "c"])),
            ("3", Some(&[])),
            ("a + tokens()", None),
        ] {
            assert_eq!(parse(text).dependencies(&numbers).as_deref(), names, "{text}");
        }
        // no end to it
        assert_eq!(parse("loop").dependencies(&numbers), None);
        for (text, is_key) in [("a", true), ("a ?? b", false), ("loop", false), ("layer", false)] {
            assert_eq!(parse(text).is_key(&numbers), is_key, "{text}");
        }
    }
}
