//! As much of Markdown as the checks of documents need.

/// The lines of a document that are text, with their numbers from 1. Code blocks are left out, and
/// code in a line is blanked.
pub(super) fn text_lines(document: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    let mut after_blank = true;
    let mut in_code = false;
    for (number, line) in (1..).zip(document.lines()) {
        let trimmed = line.trim_start();
        let opens = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark));
        match (fence, opens) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(mark), Some(other)) if mark == other => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                let indented = line.starts_with("    ");
                in_code = indented && (after_blank || in_code);
                if !in_code {
                    found.push((number, without_code(line)));
                }
            }
        }
        after_blank = trimmed.is_empty();
    }
    found
}

/// The line with blanks in place of what stands between backticks.
pub(super) fn without_code(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let ticks = rest[start..].bytes().take_while(|byte| *byte == b'`').count();
        let mark = &rest[start..start + ticks];
        let inside = &rest[start + ticks..];
        let Some(length) = inside.find(mark) else { break };
        text += &rest[..start];
        text.extend(std::iter::repeat_n(' ', length + 2 * ticks));
        rest = &inside[length + ticks..];
    }
    text + rest
}

/// The targets of links and images in a line of text: `[text](target)`, `[name]: target`, and the
/// attributes `href`, `src` and `srcset` of HTML.
pub(super) fn targets(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("](") {
        let rest = &line[at + 2..];
        if let Some(end) = rest.find(')') {
            found.push(rest[..end].split_whitespace().next().unwrap_or_default());
        }
    }
    if let Some((name, target)) = line.trim_start().split_once("]: ")
        && name.starts_with('[')
    {
        found.push(target.split_whitespace().next().unwrap_or_default());
    }
    for attribute in ["href=\"", "src=\"", "srcset=\""] {
        for (at, _) in line.match_indices(attribute) {
            let rest = &line[at + attribute.len()..];
            found.push(rest.split('"').next().unwrap_or_default());
        }
    }
    found
}

/// The anchors of a document's headings, as forges make them: lower case, blanks as dashes, no
/// other punctuation, and a number after a heading that occurred before.
pub(super) fn anchors(document: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let numbers: Vec<usize> = text_lines(document).into_iter().map(|(number, _)| number).collect();
    for (number, line) in (1..).zip(document.lines()) {
        let Some((marks, title)) = line.split_once(' ') else { continue };
        let is_heading = (1..=6).contains(&marks.len()) && marks.bytes().all(|byte| byte == b'#');
        if !is_heading || !numbers.contains(&number) {
            continue;
        }
        let kept = title.trim().chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c if c.is_alphanumeric() => Some(c),
            _ => None,
        });
        let anchor = kept.collect::<String>().to_lowercase();
        let again = (0..).find(|again| !found.contains(&numbered(&anchor, *again)));
        found.push(numbered(&anchor, again.unwrap_or_default()));
    }
    found
}

fn numbered(anchor: &str, again: usize) -> String {
    if again == 0 { anchor.to_owned() } else { format!("{anchor}-{again}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_no_text() {
        let document =
            "a `b` c\n\n    code\n    code\n\ntext\n    goes on\n```\ncode\n```\nend ``x`y``";
        let lines = text_lines(document);
        let expected = [
            (1, "a     c"),
            (2, ""),
            (5, ""),
            (6, "text"),
            (7, "    goes on"),
            (11, "end        "),
        ];
        assert_eq!(lines, expected.map(|(number, line)| (number, line.to_owned())));
    }

    #[test]
    fn links_of_every_form() {
        let line = "[a](b.md#c) ![d](e.svg \"title\") <img src=\"f.png\"> [g][h]";
        assert_eq!(targets(line), ["b.md#c", "e.svg", "f.png"]);
        assert_eq!(targets("[h]: i.md"), ["i.md"]);
    }

    #[test]
    fn headings_become_anchors() {
        let document = "# One two\n## `Code`, and more!\n# One two\n```\n# not\n```\n#no\n";
        assert_eq!(anchors(document), ["one-two", "code-and-more", "one-two-1"]);
    }
}
