//! Reads the rules for tensors.

use std::ops::Range;

use toml::Spanned;

use super::Reading;
use super::parts::{Part, Parts};
use super::text::{OutputText, RuleText, Texts};
use crate::arch::rules::NamePattern;
use crate::arch::{
    Arch, Change, ChangeStep, Expression, Output, Pattern, RuleType, TensorRule, ZeroRows,
};

/// A mistake in a rule, and its place.
struct Wrong {
    at: Range<usize>,
    why: String,
}

impl Reading {
    /// Adds the rules that a line of a description stands for.
    pub(super) fn rules(
        &mut self,
        part: &Part<'_>,
        section: &str,
        names: &Spanned<String>,
        text: &RuleText,
        to: &mut Vec<TensorRule>,
    ) {
        match rules_of(section, names, text) {
            Ok(rules) => {
                self.see_rule(part, names, text, &rules);
                rules.into_iter().for_each(|rule| add_rule(to, rule));
            }
            Err(Wrong { at, why }) => {
                let tensor = names.get_ref().split("->").next().unwrap_or_default().trim();
                self.mistakes.push(part.place(&at).error(format!("tensor {tensor}: {why}")));
            }
        }
    }

    /// Records all names in a rule.
    fn see_rule(
        &mut self,
        part: &Part<'_>,
        names: &Spanned<String>,
        text: &RuleText,
        rules: &[TensorRule],
    ) {
        let rule = &rules[0];
        let line = part.place(&names.span());
        let layered = rule.sources[0].layers.is_some();
        for source in &rule.sources {
            for count in [&source.layers, &source.first].into_iter().flatten() {
                self.names.see(line.clone(), count, false);
            }
            if let Some(count) = &source.experts {
                self.names.see(line.clone(), count, layered);
            }
        }
        rule.shape.iter().for_each(|size| self.names.see(line.clone(), size, layered));
        let outputs = text.into.iter().map(|output| &output.rearrange).chain([&text.rearrange]);
        for (at, pattern) in outputs.flat_map(|texts| &texts.0) {
            // It was parsed before, so it has no mistakes.
            let pattern = Pattern::parse(pattern);
            for size in pattern.iter().flat_map(Pattern::expressions) {
                self.names.see(part.place(at), size, layered);
            }
        }
        if let Some(change) = &text.change {
            for number in change.get_ref().0.iter().flat_map(ChangeStep::expressions) {
                self.names.see(part.place(&change.span()), number, layered);
            }
        }
        let conditions = text.into.iter().map(|output| &output.when);
        let padding = [&text.rows, &text.zeros_before];
        let own = [&text.bias, &text.needed, &text.drop, &text.parts, &text.resample];
        for condition in conditions.chain(own).chain(padding).flatten() {
            self.names.see(part.place(&condition.span()), condition.get_ref(), layered);
        }
        if let Some(limit) = &text.ids_below {
            self.names.see(part.place(&limit.span()), limit.get_ref(), layered);
        }
        if let Some(when) = &text.when {
            self.names.see(part.place(&when.span()), when.get_ref(), false);
        }
        if let Some(rows) = &text.zero_rows {
            let (number, from) = (&rows.number, &rows.from);
            self.names.see(part.place(&from.span()), from.get_ref(), layered);
            self.names.define(part.place(&number.span()), number.get_ref(), part.is_file());
        }
        if let Some(number) = &text.number {
            self.names.define(part.place(&number.span()), number.get_ref(), part.is_file());
        }
        if let Some(twin) = &text.unless_equal {
            self.names.twin(part.place(&twin.span()), twin.get_ref());
        }
        for place in rule.outputs.iter().filter_map(|output| output.place.as_ref()) {
            for count in [Some(&place.first), place.end.as_ref()].into_iter().flatten() {
                self.names.see(line.clone(), count, false);
            }
        }
        for output in rules.iter().flat_map(|rule| &rule.outputs) {
            if let Some(number) = &output.number {
                self.names.see(line.clone(), number, layered);
            }
            self.names.target(line.clone(), &output.target);
        }
    }
}

impl Reading {
    /// Repeats the rules whose names have another prefix from some layer on.
    pub(super) fn name_later_layers(&mut self, parts: &[Parts<'_>], arch: &mut Arch) {
        let all = parts.iter().flat_map(|part| part.groups.iter().chain([&part.description]));
        for part in all {
            for (from, to) in &part.text.later_names.0 {
                let place = part.place(&to.span());
                if arch.later_names.iter().any(|(known, _)| known == from.get_ref()) {
                    continue;
                }
                if let Err(why) = repeat(from.get_ref(), to.get_ref(), &mut arch.tensors) {
                    self.mistakes.push(place.error(format!("later-names: {why}")));
                }
                arch.later_names.push((from.get_ref().clone(), to.get_ref().clone()));
            }
        }
    }
}

/// Repeats the rules whose sources have one prefix with another one, which counts from some layer.
fn repeat(from: &str, to: &str, rules: &mut Vec<TensorRule>) -> Result<(), String> {
    let mut later = Vec::new();
    for rule in rules.iter_mut() {
        let sources = rule.sources.iter().map(|source| source.with_start(from, to));
        let Some(sources) = sources.collect::<Option<Result<Vec<_>, _>>>() else { continue };
        let sources = sources?;
        let first = || sources.first()?.first.clone();
        let first = first().ok_or_else(|| format!("{to:?} does not say where it begins"))?;
        for source in &mut rule.sources {
            source.layers = Some(first.clone());
        }
        later.push(TensorRule { sources, ..rule.clone() });
    }
    if later.is_empty() {
        return Err(format!("no rule has the prefix {from:?}"));
    }
    rules.append(&mut later);
    Ok(())
}

/// The rules that a line stands for: one, or one for the weights and one for the bias.
fn rules_of(
    section: &str,
    names: &Spanned<String>,
    text: &RuleText,
) -> Result<Vec<TensorRule>, Wrong> {
    let (from, to) = match section.split_once("->") {
        Some((from, to)) => (from.trim(), to.trim()),
        None => (section, section),
    };
    let (sources, target) = match names.get_ref().split_once("->") {
        Some((sources, target)) => (sources.trim(), Some(target.trim())),
        None => (names.get_ref().trim(), None),
    };
    let fail = |why: String| Wrong { at: names.span(), why };
    let pattern = |source: &str| NamePattern::parse(&format!("{from}{}", source.trim()));
    let layered = from.contains("{layer") || sources.contains("{layer");
    let output = |target: &str, rearrange: &Texts, calculation| {
        let patterns = rearrange
            .0
            .iter()
            .map(|(at, text)| Pattern::parse(text).map_err(|why| Wrong { at: at.clone(), why }));
        let patterns = patterns.collect::<Result<_, _>>()?;
        let (target, number) = numbered(&format!("{to}{target}"), layered).map_err(fail)?;
        let output = Output::new(target, patterns).map_err(fail)?;
        let parts = text.parts.as_ref().map(|parts| parts.get_ref().clone());
        Ok::<_, Wrong>(Output { number, calculation, parts, ..output })
    };
    let mut outputs = Vec::new();
    if let Some(target) = target {
        outputs.push(output(target, &text.rearrange, None)?);
    }
    for OutputText { to, when, again, calculation, rearrange } in &text.into {
        let when = when.as_ref().map(|when| when.get_ref().clone());
        let output = output(to.get_ref(), rearrange, *calculation)?;
        outputs.push(Output { when, again: *again, ..output });
    }
    match (&text.number, outputs.is_empty()) {
        (None, true) => {
            return Err(fail("neither \"->\" nor \"into\" says what it becomes".to_owned()));
        }
        (Some(number), false) => {
            let why = "what becomes a number becomes no tensor".to_owned();
            return Err(Wrong { at: number.span(), why });
        }
        _ => {}
    }
    let sources = sources.split(" + ").map(pattern).collect::<Result<Vec<_>, _>>().map_err(fail)?;
    let shape = match text.shape.trim() {
        "" => Vec::new(),
        shape => Expression::parse_list(shape).map_err(fail)?,
    };
    let condition = |text: &Option<Spanned<Expression>>| Some(text.as_ref()?.get_ref().clone());
    let rule = TensorRule {
        sources,
        shape,
        any_shape: text.any_shape,
        outputs,
        sum: text.sum,
        resample: condition(&text.resample),
        change: Change {
            steps: text.change.as_ref().map(|it| it.get_ref().0.clone()).unwrap_or_default(),
        },
        ids_below: condition(&text.ids_below),
        when: condition(&text.when),
        needed: condition(&text.needed).unwrap_or_else(|| Expression::literal(true.into())),
        advised: text.advised,
        early: text.early,
        by_layer: text.by_layer,
        drop: condition(&text.drop),
        ty: text.ty,
        spare: text.spare,
        unless_equal: text.unless_equal.as_ref().map(|twin| twin.get_ref().clone()),
        number: text.number.as_ref().map(|number| number.get_ref().clone()),
        zero_rows: text.zero_rows.as_ref().map(|rows| ZeroRows {
            number: rows.number.get_ref().clone(),
            from: rows.from.get_ref().clone(),
        }),
        joined: text.joined,
        padded: text.padded,
        rows: condition(&text.rows),
        zeros_before: condition(&text.zeros_before),
    };
    if let Some(rows) = text.rows.as_ref().or(text.zeros_before.as_ref()) {
        let alone = rule.outputs.len() == 1 && rule.stack().is_none();
        if !alone || !rule.change.is_none() {
            let why =
                "only the rows of one tensor whose values do not change are padded".to_owned();
            return Err(Wrong { at: rows.span(), why });
        }
    }
    if (rule.joined || rule.padded) && rule.sources[0].experts.is_none() {
        return Err(fail(
            "what is joined or padded has numbers, for which {expert:..} stands".into(),
        ));
    }
    if let Some(change) = text.change.as_ref().filter(|_| rule.change.rounds())
        && (rule.sources.len() > 1 || rule.stack().is_some())
    {
        let why = "only whole tensors are rounded to three values".to_owned();
        return Err(Wrong { at: change.span(), why });
    }
    let plain = rule.sources.len() == 1
        && rule.stack().is_none()
        && rule.outputs.len() == 1
        && rule.outputs[0].patterns.is_empty();
    if let Some(side) = &text.resample
        && (!plain || !rule.change.is_none() || rule.ty != Some(RuleType::F32))
    {
        let why = "only one tensor that does not move or change is resampled, to type f32";
        return Err(Wrong { at: side.span(), why: why.to_owned() });
    }
    let apart = rule.outputs.iter().any(|output| output.patterns.len() < 2);
    if rule.sum && (apart || rule.stack().is_some() || !rule.change.is_none()) {
        let why = "only the results of several patterns can be added, and do not change then";
        return Err(fail(why.to_owned()));
    }
    let always = rule.needed.to_string() != "false";
    if rule.sources.iter().any(NamePattern::has_number) && always {
        return Err(fail("what has a {number} that is not counted cannot be needed".to_owned()));
    }
    if rule.ids_below.is_some() && !(plain && rule.shape.len() == 1 && rule.change.is_none()) {
        return Err(fail(
            "\"ids-below\" is for tensors of one dimension that do not change".into(),
        ));
    }
    let places = rule.sources[0].layers.is_some();
    for output in &rule.outputs {
        if let Some(calculation) = output.calculation {
            let (count, rule_has) = (calculation.sources(), rule.sources.len());
            if count != rule_has || rule.stack().is_some() || !rule.change.is_none() {
                return Err(fail(format!(
                    "{:?} is calculated from the values of {count} tensors, but the rule has \
                     {rule_has}, or stacks or changes them",
                    output.target
                )));
            }
        }
        let layered = output.target.contains("{layer}");
        if layered != places || places && output.place.is_some() {
            return Err(fail(format!(
                "{:?} must have a layer if the source has one",
                output.target
            )));
        }
        let numbers = rule.sources[0].has_number();
        if output.target.contains("{number}") != numbers {
            return Err(fail(format!(
                "{:?} must have a number if the source has one",
                output.target
            )));
        }
        if output.target.replace("{number}", "").matches('{').count() > 1 {
            return Err(fail(format!("{:?}: more than one place for a number", output.target)));
        }
    }
    let Some(needed) = &text.bias else { return Ok(vec![rule]) };
    let bias = bias(&rule, needed.get_ref()).map_err(fail)?;
    Ok(vec![rule, bias])
}

/// The name of a tensor of the file, with `{layer}` for its number, and the number if an expression
/// in the name gives it.
fn numbered(target: &str, layered: bool) -> Result<(String, Option<Expression>), String> {
    let place = target.split_once('{').and_then(|(start, rest)| {
        let (number, end) = rest.split_once('}')?;
        Some((start, number, end))
    });
    match place {
        Some((start, number, end)) if layered && !matches!(number, "layer" | "number") => {
            Ok((format!("{start}{{layer}}{end}"), Some(Expression::parse(number)?)))
        }
        _ => Ok((target.to_owned(), None)),
    }
}

/// The rule for the bias of a weight.
fn bias(rule: &TensorRule, needed: &Expression) -> Result<TensorRule, String> {
    let end = || "only what ends in .weight has a bias".to_owned();
    let source = |name: &NamePattern| name.with_end(".weight", ".bias").ok_or_else(end);
    let mut bias = rule.clone();
    bias.sources = rule.sources.iter().map(source).collect::<Result<_, _>>()?;
    bias.needed = needed.clone();
    // Norms have as many dimensions as their biases.
    let matrix = bias.shape.len() > 1;
    match bias.shape.len() {
        0 | 1 => {}
        // One value for each result of a convolution.
        4.. => bias.shape.truncate(1),
        _ => drop(bias.shape.pop()),
    }
    for output in &mut bias.outputs {
        output.target = output.target.strip_suffix(".weight").ok_or_else(end)?.to_owned() + ".bias";
        for pattern in output.patterns.iter_mut().filter(|_| matrix) {
            *pattern = pattern.of_bias()?;
        }
    }
    Ok(bias)
}

/// Adds a rule; it replaces one for the same tensor under the same condition.
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
