//! `{ftype}` in the name of an output, as convert_hf_to_gguf.py fills it in.

use std::path::{Path, PathBuf};

use anyhow::bail;

/// The path with the type in its last part: lower case for `{ftype}`, `{outtype}` and `{}`, upper
/// case for `{FTYPE}` and `{OUTTYPE}`; `{{` and `}}` stand for braces.
///
/// # Errors
/// If something else is in braces: hardly anybody means such a name.
pub(super) fn fill(path: &Path, type_name: &str) -> anyhow::Result<PathBuf> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Ok(path.to_owned());
    };
    let mut filled = String::new();
    let mut rest = name;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        filled += before;
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            filled += &from[..1];
            rest = after;
            continue;
        }
        let inner = from.strip_prefix('{').and_then(|from| from.split_once('}'));
        match inner {
            Some(("ftype" | "outtype" | "" | "0", _)) => filled += &type_name.to_lowercase(),
            Some(("FTYPE" | "OUTTYPE", _)) => filled += &type_name.to_uppercase(),
            _ => bail!(
                "{}: only {{ftype}} and {{FTYPE}} are filled in; write {{{{ and }}}} for braces",
                path.display()
            ),
        }
        rest = inner.map_or("", |(_, after)| after);
    }
    Ok(path.with_file_name(filled + rest))
}

/// Whether the name depends on the type.
pub(super) fn is_pattern(path: &Path) -> bool {
    matches!((fill(path, "a"), fill(path, "b")), (Ok(a), Ok(b)) if a != b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that the reference's function gives.
    #[test]
    fn types_are_filled_in() {
        for (name, expected) in [
            ("m-{ftype}.gguf", "m-q4_k_m.gguf"),
            ("m-{FTYPE}.gguf", "m-Q4_K_M.gguf"),
            ("m-{outtype}-{OUTTYPE}.gguf", "m-q4_k_m-Q4_K_M.gguf"),
            ("m-{}-{0}.gguf", "m-q4_k_m-q4_k_m.gguf"),
            ("m-{{ftype}}.gguf", "m-{ftype}.gguf"),
            ("{{{ftype}}}", "{q4_k_m}"),
            ("{ftype}/m.gguf", "{ftype}/m.gguf"),
            ("a/b", "a/b"),
        ] {
            assert_eq!(fill(Path::new(name), "Q4_K_M").unwrap(), Path::new(expected), "{name}");
        }
        for name in ["m-{fytpe}.gguf", "m-{ftype", "m-ftype}", "a}b{ftype}", "{ftype!r}"] {
            let problem = fill(Path::new(name), "F16").unwrap_err().to_string();
            assert!(problem.contains(name) && problem.contains("{ftype}"), "{problem}");
            assert!(!is_pattern(Path::new(name)), "{name}");
        }
        assert!(is_pattern(Path::new("a-{ftype}")) && !is_pattern(Path::new("{ftype}/a")));
    }
}
