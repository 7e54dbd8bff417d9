//! Suggestions for misspelt names.

use crate::prelude::*;

/// The most names to suggest at a time.
const MOST: usize = 4;

/// Returns the known names nearest to `word`, in the order of `names`; empty if none is close.
///
/// Ignores case. Names that begin with `word` win. Otherwise the names with the fewest edits
/// (letters added, omitted, replaced or swapped) win, with at most one edit for every three
/// letters, because a far guess helps nobody.
///
/// ```
/// use granule_format::nearest::nearest;
/// let names = ["Q4_K_S", "Q4_K_M", "Q8_0"];
/// assert_eq!(nearest("q4_k_x", names), ["Q4_K_S", "Q4_K_M"]);
/// assert_eq!(nearest("Q8", names), ["Q8_0"]);
/// assert!(nearest("fast", names).is_empty());
/// ```
pub fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let allowed = (word.len() / 3).max(1);
    let mut fewest = allowed;
    let (mut completed, mut close) = (Vec::new(), Vec::new());
    for name in names {
        let lower: Vec<char> = name.to_lowercase().chars().collect();
        if word.len() > 1 && lower.starts_with(&word) {
            completed.push(name);
        }
        let slips = slips(&word, &lower);
        // A one-letter name is one edit away from every other.
        if slips > fewest || slips >= word.len().max(lower.len()) {
            continue;
        }
        if slips < fewest {
            (fewest, close) = (slips, Vec::new());
        }
        close.push(name);
    }
    let mut found = if completed.is_empty() { close } else { completed };
    found.truncate(MOST);
    found
}

/// Counts the edits that turn one word into the other: the optimal string alignment distance.
pub fn distance(one: &str, other: &str) -> usize {
    let letters = |word: &str| word.to_lowercase().chars().collect::<Vec<_>>();
    slips(&letters(one), &letters(other))
}

fn slips(one: &[char], other: &[char]) -> usize {
    // The usual table needs three rows: the two previous ones and the current one.
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut row = Vec::from([i + 1]);
        for (j, against) in other.iter().enumerate() {
            let replaced = last[j] + usize::from(letter != against);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == other[j - 1] && one[i - 1] == *against {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = core::mem::replace(&mut last, row);
    }
    last[other.len()]
}

/// Formats names as a question: `; did you mean Q4_0, Q4_1 or Q4_K_M?`. Empty if there are no
/// names.
pub fn did_you_mean(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("; did you mean {only}?"),
        [first @ .., last] => format!("; did you mean {} or {last}?", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted() {
        for (one, other, slips) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "ABD", 1),
            ("abc", "acb", 1),
            ("abcd", "acbd", 1),
            ("abc", "xabc", 1),
            ("kitten", "sitting", 3),
            ("remote", "resume", 3),
        ] {
            assert_eq!(distance(one, other), slips, "{one} {other}");
            assert_eq!(distance(other, one), slips, "{other} {one}");
        }
    }

    #[test]
    fn only_what_is_close_is_suggested() {
        let names = ["check", "convert", "inspect", "types", "t"];
        for (word, expected) in [
            ("inpsect", &["inspect"][..]),
            ("conv", &["convert"]),
            ("chek", &["check"]),
            ("type", &["types"]),
            ("run", &[]),
            ("", &[]),
            ("x", &[]),
            ("exhort", &[]),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
    }

    #[test]
    fn the_question() {
        assert_eq!(did_you_mean(&[]), "");
        assert_eq!(did_you_mean(&["a"]), "; did you mean a?");
        assert_eq!(did_you_mean(&["a", "b", "c"]), "; did you mean a, b or c?");
    }

    #[test]
    fn letters_that_differ_are_counted() {
        for (a, b, expected) in [
            ("head", "head", 0),
            ("haed", "head", 1),
            ("hed", "head", 1),
            ("heads", "head", 1),
            ("hoad", "head", 1),
            ("", "head", 4),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
