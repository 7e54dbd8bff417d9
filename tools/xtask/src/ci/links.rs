//! Relative links in Markdown files: the file exists, and the heading in it.

use std::fs;
use std::path::Path;

use anyhow::bail;

use super::markdown::{anchors, targets, text_lines};
use super::{Outcome, files};
use xtask::run::root;

pub(super) fn check() -> anyhow::Result<Outcome> {
    let mut broken = 0;
    for path in files("md")? {
        for problem in problems(&path, &fs::read_to_string(&path)?) {
            println!("{}{problem}", path.strip_prefix(root()).unwrap_or(&path).display());
            broken += 1;
        }
    }
    if broken > 0 {
        bail!("{broken} links lead nowhere");
    }
    Ok(Outcome::Passed)
}

/// What is wrong with the links of a document: `:LINE: problem`.
fn problems(path: &Path, document: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text_lines(document) {
        for target in targets(&line) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if let Some(problem) = problem(path, document, target) {
                found.push(format!(":{number}: {target}: {problem}"));
            }
        }
    }
    found
}

fn problem(path: &Path, document: &str, target: &str) -> Option<&'static str> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let other = path.parent()?.join(file);
    if !file.is_empty() && !other.exists() {
        return Some("there is no such file");
    }
    if anchor.is_empty() {
        return None;
    }
    let text = if file.is_empty() { Ok(document.to_owned()) } else { fs::read_to_string(other) };
    let known = text.is_ok_and(|text| anchors(&text).iter().any(|known| known == anchor));
    (!known).then_some("there is no such heading")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_is_found() {
        let path = root().join("README.md");
        let document = "# Here\n[a](#here) [b](#there) [c](spec/container.md)\n[d](nosuch.md) \
                        [e](ARCHITECTURE.md#numbers) [f](ARCHITECTURE.md#nosuch)\n\
                        [g](https://example.org/x) `[h](in-code.md)`";
        assert_eq!(
            problems(&path, document),
            [
                ":2: #there: there is no such heading",
                ":3: nosuch.md: there is no such file",
                ":3: ARCHITECTURE.md#nosuch: there is no such heading",
            ]
        );
    }
}
