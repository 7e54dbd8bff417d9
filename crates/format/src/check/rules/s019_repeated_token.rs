//! Two tokens have the same string, compared up to the first NUL byte. (Several tokens may have an
//! empty string: readers give these names of their own.)
//!
//! **Why it is bad.** The reference ends the process when it loads such a vocabulary. Other
//! readers use one of the tokens and never the other.
//!
//! **How to fix.** Convert the checkpoint again. Tokens that only pad the vocabulary need distinct
//! strings, such as `[PAD151665]`; an added token must not repeat one of the vocabulary.

use super::{Check, note};
use crate::check::Field;
use crate::check::report::shortened;
use crate::check::vocabulary::{TOKENS, has_vocabulary, shown};

pub(super) const CHECK: Check = Check::Header(|view, out| {
    let metadata = view.header.metadata();
    let Some(vocabulary) = view.vocabulary().filter(|_| has_vocabulary(metadata)) else { return };
    let repeated = vocabulary.repeated();
    let (times, first) = repeated.fold((0, None), |(times, first), pair: (u32, u32)| {
        let earliest = first.filter(|first: &(u32, u32)| first.1 < pair.1).unwrap_or(pair);
        (times + 1, Some(earliest))
    });
    let Some((original, copy)) = first else { return };
    let text = metadata.strings(TOKENS).ok().flatten().and_then(|all| all.get(copy as usize));
    let text = shortened(&shown(text.unwrap_or_default()));
    let found = format_args!("{text:?} for token {copy}, as for token {original}");
    let note = note(found, "a distinct string for each token");
    out.times(view.value_offset(TOKENS), Field::metadata(TOKENS), note, times);
});

#[cfg(test)]
mod tests {
    use crate::check::Options;
    use crate::check::testing::{Forge, strings};

    #[test]
    fn repeated() {
        let tokens = |tokens: &[&str]| Forge::model().key("tokenizer.ggml.tokens", strings(tokens));
        tokens(&["a", "b", "c", "b", "a", "b"]).gives(&["S019"]);
        let report = tokens(&["a", "b", "c", "b", "a", "b"]).report();
        assert_eq!(report.findings[0].times, 3);
        assert_eq!(report.findings[0].found, "\"b\" for token 3, as for token 1");
        // programs in C see the same string
        tokens(&["a\0b", "a\0c"]).gives(&["S019"]);
        tokens(&["a", "A", " a", ""]).gives(&[]);
        tokens(&["a", "", ""]).gives(&[]);
        tokens(&["a", "a"]).key("tokenizer.ggml.model", "none").gives(&[]);
        let known = Options::default().with_known_vocabulary(true);
        assert!(crate::check(&tokens(&["a", "a"]).bytes(), &known).findings.is_empty());
    }
}
