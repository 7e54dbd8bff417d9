//! From the value of an expression back to the keys of a config.

use super::{Expression, Node};
use crate::arch::Numbers;

/// Definitions may refer to each other this deeply.
const MOST_DEPTH: u32 = 32;

impl Expression {
    /// Keys of the config, each of which gives the expression the value that it has itself, if those before it in the
    /// list are absent. Empty if the expression calculates.
    pub(crate) fn keys<'a>(&'a self, numbers: &'a Numbers) -> Vec<&'a str> {
        let mut keys = Vec::new();
        collect(&self.node, numbers, None, MOST_DEPTH, &mut keys);
        keys
    }

    /// Whether it calculates something else where its [keys](Self::keys) are absent.
    pub(crate) fn calculates(&self, numbers: &Numbers) -> bool {
        fn walk(node: &Node, numbers: &Numbers, inside: Option<&str>, depth: u32) -> bool {
            match node {
                Node::Coalesce(a, b) => {
                    !matches!(**b, Node::Literal(_) | Node::Skip) || walk(a, numbers, inside, depth)
                }
                Node::Name(name) => {
                    let number = numbers.iter().find(|(key, _)| key == name);
                    number.filter(|(key, _)| depth > 0 && inside != Some(key.as_str())).is_some_and(
                        |(key, number)| walk(&number.node, numbers, Some(key), depth - 1),
                    )
                }
                _ => false,
            }
        }
        walk(&self.node, numbers, None, MOST_DEPTH)
    }

    /// Whether it is nothing but the name of a key, perhaps through definitions.
    pub(crate) fn is_key(&self, numbers: &Numbers) -> bool {
        let mut node = &self.node;
        for _ in 0..MOST_DEPTH {
            let Node::Name(name) = node else { return false };
            match numbers.iter().find(|(key, _)| key == name) {
                Some((_, number)) => node = &number.node,
                None => return !name.contains('.') && name != "layer",
            }
        }
        false
    }
}

impl Expression {
    /// All names that the value may depend on, those in definitions too, without `layer`; `None` if it
    /// also depends on something without a name, as the files of a tokenizer.
    pub(crate) fn dependencies<'a>(&'a self, numbers: &'a Numbers) -> Option<Vec<&'a str>> {
        let mut names = Vec::new();
        all_names(&self.node, numbers, None, MOST_DEPTH, &mut names).then_some(names)
    }
}

/// Whether all that the value depends on has names.
fn all_names<'a>(
    node: &'a Node,
    numbers: &'a Numbers,
    inside: Option<&str>,
    depth: u32,
    names: &mut Vec<&'a str>,
) -> bool {
    if depth == 0 {
        return false;
    }
    let mut all = |node: &'a Node| all_names(node, numbers, inside, depth - 1, names);
    match node {
        Node::Literal(_) | Node::Skip => true,
        Node::Name(name) if name == "layer" => true,
        Node::Name(name) => {
            let number = numbers.iter().find(|(key, _)| key == name);
            match number.filter(|(key, _)| inside != Some(key.as_str())) {
                Some((key, number)) => {
                    all_names(&number.node, numbers, Some(key), depth - 1, names)
                }
                None => {
                    names.push(name);
                    true
                }
            }
        }
        Node::Not(node) => all(node),
        Node::Item(a, b)
        | Node::Coalesce(a, b)
        | Node::Or(a, b)
        | Node::And(a, b)
        | Node::Binary(_, a, b) => all(a) && all(b),
        Node::List(nodes) => nodes.iter().all(all),
        Node::Call(_, arguments) => !arguments.is_empty() && arguments.iter().all(all),
    }
}

fn collect<'a>(
    node: &'a Node,
    numbers: &'a Numbers,
    inside: Option<&str>,
    depth: u32,
    keys: &mut Vec<&'a str>,
) {
    if depth == 0 {
        return;
    }
    match node {
        Node::Name(name) => {
            let number = numbers.iter().find(|(key, _)| key == name);
            match number.filter(|(key, _)| inside != Some(key.as_str())) {
                Some((key, number)) => collect(&number.node, numbers, Some(key), depth - 1, keys),
                None => {
                    let key = name.strip_prefix("rope.").or(name.strip_prefix("raw."));
                    let key = key.unwrap_or(name);
                    if !key.contains('.') && key != "layer" {
                        keys.push(key);
                    }
                }
            }
        }
        Node::Coalesce(first, _) => collect(first, numbers, inside, depth - 1, keys),
        Node::Call(function, arguments) => match (function.name, &arguments[..]) {
            ("first", all) => {
                all.iter().for_each(|node| collect(node, numbers, inside, depth - 1, keys));
            }
            ("if", [_, value, Node::Skip] | [_, Node::Skip, value]) => {
                collect(value, numbers, inside, depth - 1, keys);
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
