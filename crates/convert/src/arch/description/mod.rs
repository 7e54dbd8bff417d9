//! Reading the description of an architecture; `spec/architectures.md` is its reference.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};

use crate::arch::rules::NamePattern;
use crate::arch::{
    Arch, Change, Computed, Entry, EntryKind, Expression, GROUPS, Item, LeftOut, ModelType, Output,
    Pattern, Rename, TensorRule,
};
use crate::tokenizer::{Quirk, TokenizerKind};

/// A description as it stands in its file, or a part of one that several have in common.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    #[serde(default)]
    name: String,
    #[serde(default)]
    classes: Vec<String>,
    #[serde(default)]
    headless: Vec<String>,
    when: Option<Expression>,
    #[serde(default)]
    requires: Vec<Expression>,
    #[serde(default)]
    raw_config: bool,
    #[serde(default, rename = "use")]
    groups: Vec<String>,
    #[serde(default)]
    tokenizers: Vec<TokenizerKind>,
    #[serde(default)]
    quirks: Vec<Quirk>,
    #[serde(default)]
    defaults: Pairs<Pairs<Expression>>,
    #[serde(default)]
    aliases: HashMap<String, Pairs<String>>,
    #[serde(default)]
    numbers: Pairs<Expression>,
    #[serde(default)]
    early_metadata: Vec<ItemText>,
    #[serde(default)]
    metadata: Vec<ItemText>,
    #[serde(default)]
    late_metadata: Vec<ItemText>,
    #[serde(default)]
    tensors: Pairs<Pairs<RuleForm>>,
    #[serde(default)]
    rename: Pairs<String>,
    #[serde(default)]
    saved: Pairs<String>,
    #[serde(default)]
    left_out: Vec<LeftOutText>,
    #[serde(default)]
    left_out_zeros: Vec<LeftOutText>,
    #[serde(default)]
    computed: Pairs<ComputedText>,
}

/// One of the metadata, or the name of some.
#[derive(Clone)]
enum ItemText {
    Name(String),
    Entry(Box<EntryText>),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryText {
    key: String,
    u32: Option<Expression>,
    f32: Option<Expression>,
    bool: Option<Expression>,
    string: Option<Expression>,
}

/// Tensors that are left out; their names alone are enough.
#[derive(Clone)]
struct LeftOutText(LeftOutTable);

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeftOutTable {
    name: String,
    when: Option<Expression>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ComputedText {
    values: Expression,
    length: Option<Expression>,
}

/// What becomes of a tensor; its dimensions alone are enough.
#[derive(Clone)]
struct RuleForm(RuleText);

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleText {
    shape: String,
    #[serde(default)]
    rearrange: Texts,
    #[serde(default)]
    change: Change,
    #[serde(default)]
    into: Vec<OutputText>,
    bias: Option<Expression>,
    when: Option<Expression>,
    needed: Option<Expression>,
    #[serde(default)]
    advised: bool,
    #[serde(default)]
    early: bool,
    #[serde(default)]
    spare: bool,
    unless_equal: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct OutputText {
    to: String,
    #[serde(default)]
    rearrange: Texts,
}

/// A text, or a list of them.
#[derive(Clone, Default, Deserialize)]
#[serde(from = "TextsForm")]
struct Texts(Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum TextsForm {
    One(String),
    Some(Vec<String>),
}

/// A table whose order counts.
#[derive(Clone)]
struct Pairs<T>(Vec<(String, T)>);

static GROUP_TEXTS: LazyLock<HashMap<String, Text>> =
    LazyLock::new(|| toml::from_str(GROUPS.1).unwrap_or_else(|why| panic!("{}: {why}", GROUPS.0)));

/// Read a description.
pub(super) fn parse(text: &str) -> Result<Arch, String> {
    let file: Text = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].lines().count().max(1));
        match line {
            Some(line) => format!("line {line}: {}", error.message()),
            None => error.message().to_owned(),
        }
    })?;
    let group = |name: &String| {
        let group = GROUP_TEXTS.get(name);
        group.ok_or_else(|| format!("there is no group {name:?} to use"))
    };
    let always = ALWAYS.to_owned();
    let groups = std::iter::once(&always).chain(&file.groups);
    let mut groups = groups.map(group).collect::<Result<Vec<_>, _>>()?;
    groups.push(&file);

    let mut numbers: Vec<(String, Expression)> = Vec::new();
    let mut rules: Vec<TensorRule> = Vec::new();
    let mut renames = Vec::new();
    let mut saved = Vec::new();
    let mut left_out = Vec::new();
    let mut requires = Vec::new();
    let mut computed = Vec::new();
    for group in groups {
        for (name, number) in &group.numbers.0 {
            numbers.retain(|(other, _)| other != name);
            numbers.push((name.clone(), number.clone()));
        }
        for (section, texts) in &group.tensors.0 {
            for (names, text) in &texts.0 {
                for rule in rules_of(section, names, &text.0)? {
                    add_rule(&mut rules, rule);
                }
            }
        }
        for (pattern, with) in &group.rename.0 {
            let pattern = Regex::new(pattern).map_err(|why| format!("rename: {why}"))?;
            renames.push(Rename { pattern, with: with.clone() });
        }
        for (pattern, with) in &group.saved.0 {
            let pattern = Regex::new(pattern).map_err(|why| format!("saved: {why}"))?;
            saved.push(Rename { pattern, with: with.clone() });
        }
        for (texts, zeros) in [(&group.left_out, false), (&group.left_out_zeros, true)] {
            for LeftOutText(LeftOutTable { name, when }) in texts {
                left_out.push(LeftOut::new(name, when.clone(), zeros)?);
            }
        }
        requires.extend_from_slice(&group.requires);
        for (name, text) in &group.computed.0 {
            let ComputedText { values, length } = text.clone();
            computed.push(Computed { name: name.clone(), values, length });
        }
    }
    for (empty, what) in [
        (file.name.is_empty(), "name"),
        (file.classes.is_empty(), "classes"),
        (file.tokenizers.is_empty(), "tokenizers"),
    ] {
        if empty {
            return Err(format!("{what:?} is missing"));
        }
    }
    let defaults = file.defaults.0.iter().map(|(name, values)| {
        let aliases = file.aliases.get(name).cloned().unwrap_or_default().0;
        ModelType { name: name.clone(), aliases, values: values.0.clone() }
    });
    let defaults = defaults.collect();
    Ok(Arch {
        name: file.name,
        classes: file.classes,
        headless: file.headless,
        when: file.when,
        requires,
        raw_config: file.raw_config,
        defaults,
        numbers,
        early_metadata: items(&file.early_metadata)?,
        metadata: items(&file.metadata)?,
        late_metadata: items(&file.late_metadata)?,
        tensors: rules,
        renames,
        saved,
        left_out,
        computed,
        tokenizers: file.tokenizers,
        quirks: file.quirks,
    })
}

/// The group that every description uses.
const ALWAYS: &str = "always";

/// The rules that a line of a description stands for: one, or one for the weights and one for the bias.
fn rules_of(section: &str, names: &str, text: &RuleText) -> Result<Vec<TensorRule>, String> {
    let (from, to) = match section.split_once("->") {
        Some((from, to)) => (from.trim(), to.trim()),
        None => (section, section),
    };
    let (sources, target) = match names.split_once("->") {
        Some((sources, target)) => (sources.trim(), Some(target.trim())),
        None => (names.trim(), None),
    };
    let fail = |why: String| format!("tensor {from}{sources}: {why}");
    let pattern = |source: &str| NamePattern::parse(&format!("{from}{}", source.trim()));
    let patterns = |texts: &Texts| {
        texts.0.iter().map(|text| Pattern::parse(text)).collect::<Result<Vec<_>, _>>()
    };
    let output = |target: &str, rearrange: &Texts| {
        let patterns = patterns(rearrange)?;
        Ok::<_, String>(Output { target: format!("{to}{target}"), patterns })
    };
    let mut outputs = Vec::new();
    if let Some(target) = target {
        outputs.push(output(target, &text.rearrange).map_err(fail)?);
    }
    for text in &text.into {
        outputs.push(output(&text.to, &text.rearrange).map_err(fail)?);
    }
    if outputs.is_empty() {
        return Err(fail("neither \"->\" nor \"into\" says what it becomes".to_owned()));
    }
    let sources = sources.split(" + ").map(pattern).collect::<Result<Vec<_>, _>>().map_err(fail)?;
    let shape = match text.shape.trim() {
        "" => Vec::new(),
        shape => Expression::parse_list(shape).map_err(fail)?,
    };
    let layered = |name: &str| name.contains("{layer}");
    let rule = TensorRule {
        sources,
        shape,
        outputs,
        change: text.change,
        when: text.when.clone(),
        needed: text.needed.clone().unwrap_or_else(|| Expression::literal(true.into())),
        advised: text.advised,
        early: text.early,
        spare: text.spare,
        unless_equal: text.unless_equal.clone(),
    };
    for output in &rule.outputs {
        let places = rule.sources[0].layers.is_some();
        if layered(&output.target) != places {
            return Err(fail(format!(
                "{:?} must have a layer if the source has one",
                output.target
            )));
        }
        if output.target.replace("{layer}", "").contains('{') {
            return Err(fail(format!("{:?}: only {{layer}} can be in there", output.target)));
        }
    }
    let Some(needed) = &text.bias else { return Ok(vec![rule]) };
    let bias = bias(&rule, needed).map_err(fail)?;
    Ok(vec![rule, bias])
}

/// The rule for the bias that belongs to weights.
fn bias(rule: &TensorRule, needed: &Expression) -> Result<TensorRule, String> {
    let end = || "only what ends in .weight has a bias".to_owned();
    let source = |name: &NamePattern| name.with_end(".weight", ".bias").ok_or_else(end);
    let mut bias = rule.clone();
    bias.sources = rule.sources.iter().map(source).collect::<Result<_, _>>()?;
    bias.needed = needed.clone();
    // Norms have as many dimensions as their biases.
    let matrix = bias.shape.len() > 1;
    if matrix {
        bias.shape.pop();
    }
    for output in &mut bias.outputs {
        output.target = output.target.strip_suffix(".weight").ok_or_else(end)?.to_owned() + ".bias";
        for pattern in output.patterns.iter_mut().filter(|_| matrix) {
            *pattern = pattern.of_bias()?;
        }
    }
    Ok(bias)
}

/// Add a rule; it replaces those for the same tensor under the same condition.
fn add_rule(rules: &mut Vec<TensorRule>, rule: TensorRule) {
    let names = |rule: &TensorRule| {
        let when = rule.when.as_ref().map(Expression::to_string);
        let names: Vec<_> = rule.sources.iter().map(|name| name.text().to_owned()).collect();
        (names, when)
    };
    let key = names(&rule);
    match rules
        .iter_mut()
        .find(|other| names(other).0 == key.0 && (names(other).1 == key.1 || key.1.is_none()))
    {
        Some(other) => *other = rule,
        None => rules.push(rule),
    }
}

/// Metadata with the groups among them written out.
fn items(texts: &[ItemText]) -> Result<Vec<Item>, String> {
    let mut items: Vec<Item> = Vec::new();
    for text in texts {
        match text {
            ItemText::Entry(entry) => items.push(Item::Entry(EntryText::clone(entry).try_into()?)),
            ItemText::Name(name) => match name.as_str() {
                "rope-scaling" => items.push(Item::RopeScaling),
                "rope-bases" => items.push(Item::RopeBases),
                "pooling" => items.push(Item::Pooling),
                "file-type" => items.push(Item::FileType),
                _ => {
                    let group = GROUP_TEXTS.get(name);
                    let group = group.ok_or_else(|| format!("there are no metadata {name:?}"))?;
                    items.extend(self::items(&group.metadata)?);
                }
            },
        }
    }
    Ok(items)
}

impl TryFrom<EntryText> for Entry {
    type Error = String;

    fn try_from(text: EntryText) -> Result<Self, String> {
        let kinds = [
            (EntryKind::Integer, text.u32),
            (EntryKind::Float, text.f32),
            (EntryKind::Bool, text.bool),
            (EntryKind::Text, text.string),
        ];
        let mut found = kinds.into_iter().filter_map(|(kind, value)| Some((kind, value?)));
        match (found.next(), found.next()) {
            (Some((kind, value)), None) => Ok(Self { key: text.key, kind, value }),
            _ => Err(format!("{}: one of u32, f32, bool, string says the value", text.key)),
        }
    }
}

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
        let shape = |shape| Self(RuleText { shape, ..RuleText::default() });
        text_or_table(from, "dimensions, or a table with a shape", shape, Self)
    }
}

impl From<TextsForm> for Texts {
    fn from(form: TextsForm) -> Self {
        match form {
            TextsForm::One(text) => Self(vec![text]),
            TextsForm::Some(texts) => Self(texts),
        }
    }
}

/// What is a text or a table: the errors of either are better than those of an untagged enum.
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

#[cfg(test)]
mod tests;
