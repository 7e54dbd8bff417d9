//! Paths and URLs of the command line.

use std::ffi::OsString;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::bail;
#[cfg(feature = "remote")]
use granule_remote::Address;

/// Where a model is: a path, or a URL. As a path, a URL is without its secrets, so it can be shown.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    path: PathBuf,
    remote: Remote,
}

/// Whether a place is on a disk.
#[derive(Clone, Debug)]
enum Remote {
    No,
    #[cfg(feature = "remote")]
    At(Address),
    /// A URL that cannot be read, and why.
    Wrong(String),
}

impl Place {
    /// The path, if the place is on a disk.
    ///
    /// # Errors
    /// If it is a URL.
    pub(crate) fn local(&self) -> anyhow::Result<&Path> {
        match &self.remote {
            Remote::No => Ok(&self.path),
            #[cfg(feature = "remote")]
            Remote::At(_) => bail!("{}: this has to be on a disk", self.display()),
            Remote::Wrong(why) => bail!("{}: {why}", self.display()),
        }
    }

    /// The address, if the place is a URL.
    ///
    /// # Errors
    /// If it is a URL that cannot be read.
    #[cfg(feature = "remote")]
    pub(crate) fn address(&self) -> anyhow::Result<Option<&Address>> {
        match &self.remote {
            Remote::No => Ok(None),
            Remote::At(address) => Ok(Some(address)),
            Remote::Wrong(why) => bail!("{}: {why}", self.display()),
        }
    }

    /// Whether the place is a URL.
    pub(crate) const fn is_url(&self) -> bool {
        !matches!(self.remote, Remote::No)
    }

    /// The place of a file with another name next to this one.
    pub(crate) fn sibling(&self, name: &str) -> Self {
        match &self.remote {
            #[cfg(feature = "remote")]
            Remote::At(address) => Self::at(address.with_file_name(name)),
            _ => Self::from(self.path.with_file_name(name)),
        }
    }

    #[cfg(feature = "remote")]
    pub(super) fn at(address: Address) -> Self {
        Self { path: PathBuf::from(address.to_string()), remote: Remote::At(address) }
    }
}

impl Deref for Place {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

/// A path, whatever it looks like.
impl From<PathBuf> for Place {
    fn from(path: PathBuf) -> Self {
        Self { path, remote: Remote::No }
    }
}

/// What a user names. `file://` URLs are paths.
impl From<OsString> for Place {
    fn from(word: OsString) -> Self {
        let Some((scheme, rest)) = word.to_str().and_then(secrets::split) else {
            return Self::from(PathBuf::from(word));
        };
        if scheme == "file" {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            return Self::from(PathBuf::from(path));
        }
        let text = word.to_string_lossy();
        #[cfg(feature = "remote")]
        let wrong = match Address::parse(&text) {
            Ok(address) => return Self::at(address),
            Err(error) => error.to_string(),
        };
        #[cfg(not(feature = "remote"))]
        let wrong = "this program was built without the feature `remote`, and reads no URLs".into();
        Self { path: PathBuf::from(secrets::hidden(&text)), remote: Remote::Wrong(wrong) }
    }
}

impl From<&str> for Place {
    fn from(word: &str) -> Self {
        Self::from(OsString::from(word))
    }
}

/// Whether a path is a URL.
pub(super) fn is_url(path: &Path) -> bool {
    let scheme = path.to_str().and_then(secrets::split);
    scheme.is_some_and(|(scheme, _)| scheme != "file")
}

/// What of URLs may not be shown.
pub(crate) mod secrets {
    /// The scheme of a URL in lower case, and what follows `://`.
    pub(super) fn split(word: &str) -> Option<(String, &str)> {
        let (scheme, rest) = word.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        is_scheme.then(|| (scheme.to_ascii_lowercase(), rest))
    }

    /// The text with the user, the query and the fragment of every URL left out.
    pub(crate) fn hidden(text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("://") {
            let (before, url) = rest.split_at(at + 3);
            let end = url.find(|c: char| c.is_whitespace() || "\"'`<>".contains(c));
            let (url, after) = url.split_at(end.unwrap_or(url.len()));
            out += before;
            let host = url.split('/').next().unwrap_or_default();
            if host.split_once(['?', '#']).is_some_and(|(_, after)| after.contains('@')) {
                // perhaps a password with such a sign: then what is before it is secret too
                out += "...";
                rest = after;
                continue;
            }
            let shown = url.split(['?', '#']).next().unwrap_or_default();
            let host = shown.find('/').unwrap_or(shown.len());
            let user = shown[..host].rfind('@').map_or(0, |at| at + 1);
            out += &shown[user..];
            // what ends a sentence is no part of the URL
            if shown.len() < url.len() {
                out += url.get(url.len() - 1..).filter(|last| ",;:.)".contains(last)).unwrap_or("");
            }
            rest = after;
        }
        out + rest
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn no_secret_is_shown() {
            for (text, shown) in [
                ("cannot read https://u:p@h.org/a?b=c#d: no", "cannot read https://h.org/a: no"),
                ("\"s3://K:S@bucket/x\" and hf://o/n@v/x", "\"s3://bucket/x\" and hf://o/n@v/x"),
                ("two: http://a/?x=1, http://b", "two: http://a/, http://b"),
                ("a/b?c", "a/b?c"),
                ("https://u:p?q@h: no URL", "https://... no URL"),
                ("https://u:p#q@h/a", "https://..."),
                ("https://h/a?b=@c", "https://h/a"),
                ("https://h/ä?ö", "https://h/ä"),
            ] {
                assert_eq!(hidden(text), shown);
            }
        }
    }
}
