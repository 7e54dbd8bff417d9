//! The page of a report.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use super::picture::{self, Shade};
use super::{FindingFacts, Report, TensorFacts};

const STYLE: &str = include_str!("style.css");

/// The page: sections without content are left out.
pub(super) fn page(report: &Report) -> String {
    let title = escape(&report.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
         name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta \
         name=\"generator\" content=\"granule {}\">\n<title>{title}</title>\n<link rel=\"icon\" \
         href=\"data:,\">\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        env!("CARGO_PKG_VERSION"),
    );
    page += &head(report, &title);
    for (heading, content) in [
        ("Notes", notes(report)),
        ("The model", facts(report)),
        ("Types of the tensors", types(report)),
        ("Where the bytes are", roles(report)),
        ("Errors of the tensors", errors(report)),
        ("Choices of types", trials(report)),
        ("Sizes of the blocks", scales(report)),
        ("Memory", memory(report)),
        ("Tokenizer", tokenizer(report)),
        ("Check", findings(&report.findings)),
        ("All tensors", tensors(report)),
    ] {
        if !content.is_empty() {
            let _ = write!(page, "<section>\n<h2>{heading}</h2>\n{content}</section>\n");
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let _ = write!(page, "<footer>Written by granule {version}.</footer>\n</body>\n</html>\n");
    page
}

fn head(report: &Report, title: &str) -> String {
    let total: u64 = report.files.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes));
    let names: Vec<String> = report.files.iter().take(3).map(|(name, _)| escape(name)).collect();
    let more = match report.files.len().saturating_sub(3) {
        0 => String::new(),
        more => format!(" and {more} more files"),
    };
    let mut out = format!(
        "<header>\n<h1>{title}</h1>\n<p class=\"files\">{}{more}</p>\n<dl class=\"figures\">\n",
        names.join(", ")
    );
    let bits = (report.weights > 0)
        .then(|| format!("{:.2}", report.data_bytes as f64 * 8.0 / report.weights as f64));
    let faults = report.findings.iter().filter(|finding| finding.is_error).count();
    let verdict = match (faults, report.findings.len() - faults) {
        (0, 0) => "valid".to_owned(),
        (0, warnings) => counted(warnings, "warning"),
        (faults, _) => counted(faults, "fault"),
    };
    let figures = [
        ("Size", Some(size(total))),
        ("Weights", Some(count(report.weights))),
        ("Bits per weight", bits),
        ("Tensors", Some(report.tensors.len().to_string())),
        ("Check", Some(verdict)),
    ];
    for (label, value) in figures {
        if let Some(value) = value {
            let _ = writeln!(out, "<div><dt>{label}</dt><dd>{value}</dd></div>");
        }
    }
    out + "</dl>\n</header>\n"
}

fn notes(report: &Report) -> String {
    let notes: Vec<String> = report.notes.iter().map(|note| escape(note)).collect();
    let mut text: String = notes.iter().map(|note| format!("<p>{note}</p>\n")).collect();
    let odd: Vec<&TensorFacts> =
        report.tensors.iter().filter(|tensor| tensor.wanted.is_some()).collect();
    if let Some(first) = odd.first() {
        let _ = writeln!(
            text,
            "<p>The rows of {} are not whole blocks of the type that was chosen, for example {}: \
             {} instead of {}.</p>",
            counted(odd.len(), "tensor"),
            escape(&first.name),
            escape(&first.ty),
            escape(first.wanted.as_deref().unwrap_or_default()),
        );
    }
    text
}

fn facts(report: &Report) -> String {
    if report.facts.is_empty() {
        return String::new();
    }
    let rows = report
        .facts
        .iter()
        .map(|(label, value)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(label), escape(value)));
    format!("<dl class=\"facts\">\n{}</dl>\n", rows.collect::<String>())
}

fn types(report: &Report) -> String {
    let mut sums: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for tensor in &report.tensors {
        let sum = sums.entry(&tensor.ty).or_default();
        sum.0 += 1;
        sum.1 = sum.1.saturating_add(tensor.values);
        sum.2 = sum.2.saturating_add(tensor.bytes);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, (_, _, bytes))| std::cmp::Reverse(*bytes));
    let mut rows = String::new();
    for (ty, (tensors, values, bytes)) in sums {
        let share = share(bytes, report.data_bytes);
        let bits = if values > 0 { bytes as f64 * 8.0 / values as f64 } else { 0.0 };
        let _ = writeln!(
            rows,
            "<tr><td class=\"name\">{}</td><td class=\"n\">{tensors}</td><td \
             class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{bits:.2}</td><td \
             class=\"bars\">{}</td></tr>",
            escape(ty),
            count(values),
            size(bytes),
            picture::bar(share),
        );
    }
    if rows.is_empty() {
        return String::new();
    }
    let grid = figure(report, Shade::Bits, "One square for each tensor of each layer.");
    let head = ["type", "#tensors", "#weights", "#size", "#bits", "-share"];
    grid + &table(&head, &rows)
}

fn figure(report: &Report, shade: Shade, caption: &str) -> String {
    picture::grid(report, shade).map_or(String::new(), |grid| {
        format!(
            "<figure>\n<div class=\"scroll\" tabindex=\"0\">\n{grid}</div>\n{}<figcaption>\
             {caption} The table of all tensors has the numbers.</figcaption>\n</figure>\n",
            picture::legend(report, shade)
        )
    })
}

fn roles(report: &Report) -> String {
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for tensor in &report.tensors {
        let sum = sums.entry(&tensor.role).or_default();
        sum.0 += 1;
        sum.1 = sum.1.saturating_add(tensor.bytes);
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(name, (_, bytes))| (std::cmp::Reverse(*bytes), *name));
    let least = report.data_bytes / 1000;
    let (shown, rest): (Vec<_>, Vec<_>) =
        sums.into_iter().partition(|(_, (_, bytes))| *bytes >= least.max(1));
    let row = |name: &str, tensors: u64, bytes: u64| {
        let share = share(bytes, report.data_bytes);
        format!(
            "<tr><td class=\"name\">{}</td><td class=\"n\">{tensors}</td><td \
             class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"bars\">{}</td></tr>\n",
            escape(name),
            size(bytes),
            percent(share),
            picture::bar(share),
        )
    };
    let mut rows: String =
        shown.iter().map(|(name, (tensors, bytes))| row(name, *tensors, *bytes)).collect();
    if !rest.is_empty() {
        let (tensors, bytes) =
            rest.iter().fold((0, 0), |sum, (_, it)| (sum.0 + it.0, sum.1 + it.1));
        rows += &row("everything else", tensors, bytes);
    }
    if rows.is_empty() {
        return rows;
    }
    table(&["role", "#tensors", "#size", "#share", "-"], &rows)
}

fn errors(report: &Report) -> String {
    let mut worst: Vec<(&TensorFacts, f64)> = report
        .tensors
        .iter()
        .filter_map(|tensor| Some((tensor, tensor.error.filter(|error| *error > 0.0)?)))
        .collect();
    if worst.is_empty() {
        return String::new();
    }
    worst.sort_by(|one, other| other.1.total_cmp(&one.1));
    let mut rows = String::new();
    for (tensor, error) in worst.iter().take(8) {
        let _ = writeln!(
            rows,
            "<tr><td class=\"name\">{}</td><td class=\"name\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&tensor.name),
            escape(&tensor.ty),
            percent(*error),
        );
    }
    let caption = "The root mean square of the error by that of the values.";
    figure(report, Shade::Error, caption)
        + "<p class=\"faint\">The largest errors:</p>\n"
        + &table(&["tensor", "type", "#error"], &rows)
}

fn trials(report: &Report) -> String {
    let best = report.trials.iter().map(|trial| trial.2).min_by(f64::total_cmp);
    let Some(best) = best else { return String::new() };
    let mut rows = String::new();
    for (name, bytes, divergence) in &report.trials {
        let is_best = if *divergence == best { " class=\"best\"" } else { "" };
        let _ = writeln!(
            rows,
            "<tr{is_best}><td>{}</td><td class=\"n\">{}</td><td \
             class=\"n\">{divergence:.5}</td></tr>",
            escape(name),
            size(*bytes),
        );
    }
    let about = "<p>Choices for the size were run over a text. The divergence is that of their \
                 predictions from the original's, as a mean over tokens; the least was \
                 taken.</p>\n";
    about.to_owned() + &table(&["choice", "#size", "#divergence"], &rows)
}

fn scales(report: &Report) -> String {
    if report.scales.is_empty() {
        return String::new();
    }
    let figure = |scales: &super::Scales| {
        let zeros = match scales.zeros {
            0 => String::new(),
            zeros => format!(", {zeros} of zeros"),
        };
        let blocks = scales.counts.iter().fold(scales.zeros, |sum, it| sum + it);
        format!(
            "<figure>{}<figcaption>{}: {} blocks{zeros}</figcaption></figure>\n",
            picture::histogram(scales),
            escape(&scales.ty),
            count(blocks),
        )
    };
    format!(
        "<p class=\"faint\">The largest value of each block in a sample, by powers of two.</p>\n\
         <div class=\"histograms\">\n{}</div>\n",
        report.scales.iter().map(figure).collect::<String>()
    )
}

fn memory(report: &Report) -> String {
    let mut rows = String::new();
    for at in &report.memory {
        let _ = writeln!(
            rows,
            "<tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td \
             class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            at.context,
            size(at.weights),
            size(at.cache),
            size(at.compute),
            size(at.total),
        );
    }
    if rows.is_empty() {
        let none = report.no_memory.as_ref().map(|why| format!("<p>{}</p>\n", escape(why)));
        return none.unwrap_or_default();
    }
    let head = ["#tokens of text", "#weights", "#keys, values, states", "#computing", "#together"];
    "<p class=\"faint\">Estimated for llama.cpp on a processor, with keys and values in 16 \
     bits.</p>\n"
        .to_owned()
        + &table(&head, &rows)
}

fn tokenizer(report: &Report) -> String {
    let Some(tokenizer) = &report.tokenizer else { return String::new() };
    let mut out =
        format!("<dl class=\"facts\">\n<dt>Kind</dt><dd>{}</dd>\n", escape(&tokenizer.model));
    if let Some(pre) = &tokenizer.pre {
        let _ = writeln!(out, "<dt>Pre-tokenizer</dt><dd>{}</dd>", escape(pre));
    }
    let _ = writeln!(out, "<dt>Tokens</dt><dd>{}</dd>", tokenizer.tokens);
    for (name, id, text) in &tokenizer.special {
        let _ =
            writeln!(out, "<dt>{}</dt><dd><code>{}</code> {id}</dd>", escape(name), escape(text));
    }
    out += "</dl>\n";
    match &tokenizer.template {
        Some(template) => {
            let _ = writeln!(
                out,
                "<details>\n<summary>Template of conversations, {} characters</summary>\n\
                 <pre>{}</pre>\n</details>",
                template.chars().count(),
                escape(template)
            );
        }
        None => out += "<p class=\"faint\">There is no template of conversations.</p>\n",
    }
    out
}

fn findings(findings: &[FindingFacts]) -> String {
    if findings.is_empty() {
        return "<p>No rule of <code>granule check</code> has anything to say.</p>\n".to_owned();
    }
    const MOST: usize = 50;
    let mut rows = String::new();
    for finding in findings.iter().take(MOST) {
        let kind = if finding.is_error { "error" } else { "warning" };
        let _ = writeln!(
            rows,
            "<tr><td class=\"name {kind}\">{} {kind}</td><td>{}</td></tr>",
            escape(&finding.rule),
            escape(&finding.text),
        );
    }
    if findings.len() > MOST {
        let more = findings.len() - MOST;
        let _ = writeln!(rows, "<tr><td></td><td>and {more} more</td></tr>");
    }
    table(&["rule", "what was found"], &rows)
}

fn tensors(report: &Report) -> String {
    if report.tensors.is_empty() {
        return String::new();
    }
    let has_error = report.tensors.iter().any(|tensor| tensor.error.is_some());
    let has_reason = report.tensors.iter().any(|tensor| tensor.reason.is_some());
    let mut head = vec!["name", "shape", "type", "#size", "#bits"];
    head.extend(has_error.then_some("#error"));
    head.extend(has_reason.then_some("why"));
    let mut rows = String::new();
    for tensor in &report.tensors {
        let bits = tensor.bits.map_or("?".to_owned(), |bits| format!("{bits:.2}"));
        let _ = write!(
            rows,
            "<tr><td class=\"name\">{}</td><td class=\"name\">{}</td><td \
             class=\"name\">{}</td><td class=\"n\">{}</td><td class=\"n\">{bits}</td>",
            escape(&tensor.name),
            escape(&tensor.shape),
            escape(&tensor.ty),
            size(tensor.bytes),
        );
        if has_error {
            let error = tensor.error.map_or(String::new(), percent);
            let _ = write!(rows, "<td class=\"n\">{error}</td>");
        }
        if has_reason {
            let why = tensor.reason.as_deref().unwrap_or_default();
            let _ = write!(rows, "<td>{}</td>", escape(why));
        }
        rows += "</tr>\n";
    }
    format!(
        "<details>\n<summary>{}</summary>\n{}</details>\n",
        counted(report.tensors.len(), "tensor"),
        table(&head, &rows)
    )
}

/// A table; a heading that begins with `#` is that of numbers, one with `-` is only for bars.
fn table(head: &[&str], rows: &str) -> String {
    let cell = |text: &&str| match (text.strip_prefix('#'), text.strip_prefix('-')) {
        (Some(text), _) => format!("<th scope=\"col\" class=\"n\">{text}</th>"),
        (_, Some(text)) => format!("<th scope=\"col\" class=\"bars\">{text}</th>"),
        _ => format!("<th scope=\"col\">{text}</th>"),
    };
    let head: String = head.iter().map(cell).collect();
    format!(
        "<div class=\"scroll\" tabindex=\"0\">\n<table>\n<thead><tr>{head}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Text that HTML shows as it is. Control characters become a sign for what cannot be shown.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' | '\t' => out.push(c),
            // also those that change the direction of what follows
            c if c.is_control() => out.push('\u{fffd}'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent > 0.0 && percent < 0.1 {
        format!("{percent:.3} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// Bytes in decimal units.
pub(super) fn size(bytes: u64) -> String {
    scaled(bytes, "B")
}

fn count(number: u64) -> String {
    if number < 10_000 { number.to_string() } else { scaled(number, "") }
}

fn scaled(number: u64, unit: &str) -> String {
    if number < 1000 {
        return format!("{number} {unit}").trim_end().to_owned();
    }
    let (mut value, mut steps) = (number as f64, 0);
    while value >= 999.95 && steps < 6 {
        value /= 1000.0;
        steps += 1;
    }
    let prefix = ["", "k", "M", "G", "T", "P", "E"][steps];
    let digits = if value < 10.0 { 2 } else { 1 };
    format!("{value:.digits$} {prefix}{unit}")
}

fn counted(number: usize, what: impl Display) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
