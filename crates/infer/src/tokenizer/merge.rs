use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Joins neighbouring pieces of a text, at first its characters, until no two can be joined. Of all
/// pairs, the one with the highest score is joined first; of equal ones, the first.
///
/// `score` returns the score of two pieces, or `None` if they must not be joined.
pub(super) fn merge<'t>(
    text: &'t str,
    score: impl Fn(&'t str, &'t str) -> Option<f32>,
) -> Vec<&'t str> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (start, character) in text.char_indices() {
        let (i, end) = (pieces.len(), start + character.len_utf8());
        pieces.push(Piece { start, end, before: i.checked_sub(1), behind: Some(i + 1) });
    }
    if let Some(last) = pieces.last_mut() {
        last.behind = None;
    }
    let piece = |piece: &Piece| &text[piece.start..piece.end];
    let pair = |pieces: &[Piece], left: usize, right: usize| {
        let score = score(piece(&pieces[left]), piece(&pieces[right]))?;
        let range = (pieces[left].start, pieces[right].end);
        Some(Pair { score: Score(score), left: Reverse(left), right, range })
    };

    let mut queue: BinaryHeap<Pair> =
        (1..pieces.len()).filter_map(|right| pair(&pieces, right - 1, right)).collect();
    while let Some(Pair { left: Reverse(left), right, range, .. }) = queue.pop() {
        // one of the two may have been joined with another piece meanwhile
        let same = !pieces[left].is_gone() && pieces[left].behind == Some(right);
        if !same || (pieces[left].start, pieces[right].end) != range {
            continue;
        }
        let behind = pieces[right].behind;
        pieces[left].end = pieces[right].end;
        pieces[left].behind = behind;
        pieces[right].end = pieces[right].start;
        if let Some(behind) = behind {
            pieces[behind].before = Some(left);
            queue.extend(pair(&pieces, left, behind));
        }
        if let Some(before) = pieces[left].before {
            queue.extend(pair(&pieces, before, left));
        }
    }
    pieces.iter().filter(|piece| !piece.is_gone()).map(piece).collect()
}

/// A piece of the text and its neighbours.
struct Piece {
    start: usize,
    end: usize,
    before: Option<usize>,
    behind: Option<usize>,
}

impl Piece {
    /// Whether it was joined to the one before it.
    fn is_gone(&self) -> bool {
        self.start == self.end
    }
}

/// Two pieces that can be joined. Fields are in the order in which pairs are compared.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    score: Score,
    left: Reverse<usize>,
    right: usize,
    /// The text that both cover.
    range: (usize, usize),
}

/// A number with a total order.
struct Score(f32);

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Score {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<&str> {
        let scores =
            [("ab", 2.0), ("bc", 3.0), ("aa", 1.0), ("bcd", 4.0), ("ää", 1.0), ("cx", 1.0)];
        merge(text, |left, right| {
            let joined = format!("{left}{right}");
            scores.iter().find(|(text, _)| *text == joined).map(|(_, score)| *score)
        })
    }

    #[test]
    fn the_best_pair_first() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("x", &["x"]),
            ("abx", &["ab", "x"]),
            ("abc", &["a", "bc"]),
            ("abcd", &["a", "bcd"]),
            ("bcx", &["bc", "x"]), // `c` is gone before it could be joined with `x`
            ("aaa", &["aa", "a"]), // of equal ones, the first
            ("aaaab", &["aa", "a", "ab"]),
            ("äää", &["ää", "ä"]),
        ];
        for (text, expected) in cases {
            assert_eq!(pieces(text), *expected, "{text:?}");
        }
    }
}
