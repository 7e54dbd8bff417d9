//! Splits a model's identifier into organization, base name, size, finetune and version.

use std::sync::LazyLock;

use regex::Regex;

/// The parts of an identifier such as `org/Base-7B-Instruct-v1.2`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NameParts {
    /// Everything after the organization.
    pub(super) full: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) base: Option<String>,
    pub(super) finetune: Option<String>,
    pub(super) version: Option<String>,
    pub(super) size: Option<String>,
}

/// The possible meanings of a word in a name.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Kinds {
    base: bool,
    size: bool,
    finetune: bool,
    version: bool,
    ty: bool,
}

impl Kinds {
    fn count(self) -> usize {
        [self.base, self.size, self.finetune, self.version, self.ty]
            .into_iter()
            .filter(|is| *is)
            .count()
    }
}

static VERSION: LazyLock<Regex> = LazyLock::new(|| whole(r"(v|iter)?\d+([.]\d+)*"));
static TYPE: LazyLock<Regex> = LazyLock::new(|| whole(r"i?q\d(_\w)*|b?fp?(16|32)"));
static SIZE: LazyLock<Regex> =
    LazyLock::new(|| whole(r"([A]|\d+[x])?\d+([._]\d+)?[KMBT][\d]?|small|mini|medium|large|x?xl"));
static FINETUNE: LazyLock<Regex> = LazyLock::new(|| whole("chat|instruct|vision|lora"));
static KEEPS_CASE: LazyLock<Regex> = LazyLock::new(|| whole(r"v\d+(\.\d+)*|\d.*"));

/// Compiles a pattern that matches a whole word, ignoring case.
fn whole(pattern: &str) -> Regex {
    Regex::new(&format!("^(?i:{pattern})$")).expect("a constant")
}

impl NameParts {
    /// Splits an identifier. Accepts a size only if it is close to `parameters`, the model's number
    /// of parameters; 0 means unknown. A negative number is that of an adapter, which can be for a
    /// larger model.
    pub(super) fn parse(id: &str, parameters: i64) -> Self {
        if id.contains(' ') {
            return Self { full: Some(id.to_owned()), ..Self::default() };
        }
        let (organization, full) = match id.split_once('/') {
            Some((organization, full)) => (Some(organization), full),
            None => (None, id),
        };
        let organization = organization.filter(|name| !name.starts_with('.')).map(str::to_owned);
        let mut words: Vec<(String, Kinds)> = full
            .split('-')
            .filter(|word| !word.is_empty())
            .enumerate()
            .map(|(i, word)| classify(word, i > 0, parameters))
            .collect();

        // A size in words counts only if there is none in numbers.
        let numeric =
            |(word, kinds): &(String, Kinds)| kinds.size && word.chars().any(char::is_numeric);
        if words.iter().any(numeric) {
            for (word, kinds) in &mut words {
                kinds.size &= !word.chars().all(char::is_alphabetic);
            }
        }
        // The base name comes first; the remaining words name a purpose.
        let mut at_start = true;
        for (word, kinds) in &mut words {
            let alphabetic = word.starts_with(char::is_alphabetic);
            if at_start && (kinds.count() == 0 && alphabetic || kinds.version) {
                kinds.base = true;
            } else {
                at_start = false;
                kinds.finetune |= kinds.count() == 0;
            }
        }
        for (_, kinds) in words.iter_mut().rev() {
            if !(kinds.base && kinds.count() > 1) {
                break;
            }
            kinds.base = false;
        }

        let join = |is: fn(&Kinds) -> bool| {
            let words: Vec<_> = words
                .iter()
                .filter(|(_, kinds)| is(kinds))
                .map(|(word, _)| word.as_str())
                .collect();
            (!words.is_empty()).then(|| words.join("-"))
        };
        let mut parts = Self {
            full: Some(full.to_owned()),
            organization,
            base: join(|kinds| kinds.base),
            finetune: join(|kinds| kinds.finetune),
            version: join(|kinds| kinds.version && !kinds.base),
            size: None,
        };
        let mut sizes: Vec<&str> = Vec::new();
        for (word, _) in words.iter().filter(|(_, kinds)| kinds.size) {
            if !sizes.contains(&word.as_str()) {
                sizes.push(word);
            }
        }
        parts.size = (!sizes.is_empty()).then(|| sizes.join("-"));
        if parts.size.is_none() && parts.finetune.is_none() && parts.version.is_none() {
            parts.base = None;
        }
        parts
    }
}

/// Classifies a word. Returns the spelling to use and the possible meanings.
fn classify(word: &str, inner: bool, parameters: i64) -> (String, Kinds) {
    let none = Kinds::default();
    if VERSION.is_match(word) {
        (word.to_owned(), Kinds { version: true, ..none })
    } else if TYPE.is_match(word) {
        (word.to_uppercase(), Kinds { ty: true, ..none })
    } else if inner && SIZE.is_match(word) {
        size(word, parameters)
    } else if inner && parameters < 0 && word.eq_ignore_ascii_case("lora") {
        (word.to_owned(), Kinds { ty: true, ..none })
    } else {
        (word.to_owned(), Kinds { finetune: inner && FINETUNE.is_match(word), ..none })
    }
}

fn size(word: &str, parameters: i64) -> (String, Kinds) {
    let mut letters: Vec<char> = word.replace('_', ".").chars().collect();
    // `7b1` means 7.1b.
    if let [start @ .., unit, digit] = letters.as_slice()
        && digit.is_numeric()
    {
        letters = [start, &['.', *digit, *unit]].concat();
    }
    if let [.., before, unit] = letters.as_mut_slice()
        && before.is_numeric()
    {
        unit.make_ascii_uppercase();
    }
    let unit = letters.pop().unwrap_or_default();
    let mut word: String = letters.into_iter().collect();
    let mut kinds = Kinds { size: true, ..Kinds::default() };
    if parameters != 0
        && let Ok(number) = word.parse::<f64>()
    {
        let power = " KMBT".find(unit).map_or(-1, |power| power as i32);
        let named = number * 1000_f64.powi(power);
        let unfit = if parameters < 0 {
            named < (parameters.unsigned_abs() / 8) as f64
        } else {
            (named - parameters as f64).abs() > (7 * i128::from(parameters) / 8) as f64
        };
        if unfit {
            // More likely a context length.
            kinds = Kinds { finetune: true, ..Kinds::default() };
            word.push(unit.to_ascii_lowercase());
            return (word, kinds);
        }
    }
    word.push(unit);
    (word, kinds)
}

/// Turns an identifier into a title by capitalizing words that are all lower case.
pub(super) fn title(id: &str) -> String {
    let words = id.trim().replace('-', " ");
    let words = words.split_whitespace().map(|word| {
        let lower = word.chars().any(char::is_lowercase) && !word.chars().any(char::is_uppercase);
        if lower && !keeps_case(word) { capitalize(word) } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Returns whether a word keeps its case: a version number, or a word that begins with a digit.
/// Only called for lower-case words, so only a lower-case `v` counts.
fn keeps_case(word: &str) -> bool {
    KEEPS_CASE.is_match(word)
}

/// Capitalizes the first letter of the word and every letter after a non-letter.
fn capitalize(word: &str) -> String {
    let mut out = String::new();
    let mut behind_letter = false;
    for letter in word.chars() {
        if behind_letter {
            out.extend(letter.to_lowercase());
        } else {
            out.extend(letter.to_uppercase());
        }
        behind_letter = letter.is_lowercase() || letter.is_uppercase();
    }
    out
}

/// Formats the number of parameters with at least two digits: `110K`, `4.1M`.
pub(super) fn rounded(parameters: u64) -> String {
    let parameters = parameters as f64;
    let (scaled, unit) = if parameters > 1e12 {
        (parameters * 1e-12, 'T')
    } else if parameters > 1e9 {
        (parameters * 1e-9, 'B')
    } else if parameters > 1e6 {
        (parameters * 1e-6, 'M')
    } else {
        (parameters * 1e-3, 'K')
    };
    let whole = scaled.round_ties_even();
    let digits = if whole == 0.0 { 0 } else { format!("{whole:.0}").len() };
    let decimals = 2_usize.saturating_sub(digits);
    format!("{scaled:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let table = [
            // identifier, parameters, base, finetune, version, size
            ("meta-llama/Llama-2-7b-chat-hf", 6_738_415_616, "Llama-2", "chat-hf", "", "7B"),
            ("Mixtral-8x7B-Instruct-v0.1", 0, "Mixtral", "Instruct", "v0.1", "8x7B"),
            ("Tiny-Llama2-SPM-110K-chat-v1.1", 180_000, "Tiny-Llama2-SPM", "chat", "v1.1", "110K"),
            ("Tiny-Llama2-SPM-7B-chat-v1.1", 180_000, "Tiny-Llama2-SPM", "7b-chat", "v1.1", ""),
            ("bloom-7b1", 0, "bloom", "", "", "7.1B"),
            ("Qwen3-30B-A3B", 0, "Qwen3", "", "", "30B-A3B"),
            ("all-MiniLM-L6-v2", 0, "all-MiniLM-L6", "", "v2", ""),
            ("phi-3-mini-4k-instruct", 3_800_000_000, "phi-3", "4k-instruct", "", "mini"),
            ("phi-3-mini-4k-instruct", 0, "phi-3-mini", "instruct", "", "4K"),
            ("gpt2", 0, "", "", "", ""),
            ("Llama-3-8B-lora", -40_000_000, "Llama-3", "", "", "8B"),
            ("Llama-3-8K-lora", -40_000_000, "Llama-3", "8k", "", ""),
        ];
        for (id, parameters, base, finetune, version, size) in table {
            let parts = NameParts::parse(id, parameters);
            let found = [parts.base, parts.finetune, parts.version, parts.size];
            let found = found.map(Option::unwrap_or_default);
            assert_eq!(found, [base, finetune, version, size], "{id}");
        }
        assert_eq!(NameParts::parse("org/a-b", 0).organization.as_deref(), Some("org"));
        assert_eq!(NameParts::parse("./a-b", 0).organization, None);
        assert_eq!(NameParts::parse("a name", 0).full.as_deref(), Some("a name"));
    }

    #[test]
    fn titles_capitalize_lower_case_words() {
        let table = [
            ("c4ai-command", "C4Ai Command"),
            ("yahoo_answers", "Yahoo_Answers"),
            ("Tiny-llama-v1.1-7b", "Tiny Llama v1.1 7b"),
            ("s2orc", "S2Orc"),
            ("  a--B ", "A B"),
        ];
        for (id, expected) in table {
            assert_eq!(title(id), expected);
        }
    }

    #[test]
    fn parameters_have_two_digits() {
        let table = [
            (110_000, "110K"),
            (4_100_000, "4.1M"),
            (134_515_008, "135M"),
            (999, "1.0K"),
            (96, "0.10K"),
            (0, "0.00K"),
            (9_960_000, "10M"),
            (2_500_000_000_000, "2.5T"),
        ];
        for (parameters, expected) in table {
            assert_eq!(rounded(parameters), expected, "{parameters}");
        }
    }
}
