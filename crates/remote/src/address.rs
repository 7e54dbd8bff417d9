//! URLs, and what of them may be shown.

use std::fmt::{self, Debug, Display, Formatter};

use percent_encoding::percent_decode_str;
use reqwest::Url;

/// The URL of a file or a folder. Shown, it has no user, password, query or fragment.
///
/// | form | what |
/// |---|---|
/// | `https://HOST/PATH`, `http://HOST/PATH` | a web server |
/// | `s3://BUCKET/KEY` | Amazon S3 and what speaks its protocol |
/// | `gs://BUCKET/KEY` | Google Cloud Storage |
/// | `az://CONTAINER/KEY` | Azure Blob Storage |
/// | `hf://ORG/NAME[@REVISION][/PATH]` | a model of the Hugging Face hub |
///
/// ```
/// use granule_remote::Address;
///
/// let address = Address::parse("https://me:secret@example.org/a.gguf?signature=123")?;
/// assert_eq!(address.to_string(), "https://example.org/a.gguf");
/// assert_eq!(address.file_name(), "a.gguf");
/// # Ok::<(), granule_remote::AddressError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(crate) place: Place,
}

/// Where an address leads.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A web server. The URL has its query, and neither user nor fragment.
    Web { url: Url, login: Option<(String, String)> },
    /// An object store.
    Store { store: Store, bucket: String, key: String },
    /// The hub. The revision is `None` if none was named.
    Hub { model: String, revision: Option<String>, path: String },
}

/// A kind of object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Store {
    Amazon,
    Google,
    Azure,
}

/// The kinds with the schemes of their URLs; the first is shown.
const STORES: [(Store, &[&str]); 3] =
    [(Store::Amazon, &["s3", "s3a"]), (Store::Google, &["gs"]), (Store::Azure, &["az", "azure"])];

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The scheme is not known.
    #[error("{0}:// is no scheme that can be read; https, http, s3, gs, az, hf and file are")]
    Scheme(String),
    /// A URL of a web server is not one.
    #[error("this is no URL of a web server: {0}")]
    Url(String),
    /// The bucket or container is missing.
    #[error("{0}:// needs the name of a bucket: {0}://BUCKET/PATH")]
    NoBucket(&'static str),
    /// There are credentials in a URL of an object store.
    #[error(
        "credentials do not belong into a {0}:// URL; take them from it, and set the variables of \
         the environment that the store's own tools read"
    )]
    Credentials(&'static str),
    /// A model of the hub has no name.
    #[error("a model of the hub is hf://ORG/NAME, with @REVISION and /PATH as needed")]
    NoModel,
}

/// The scheme of a text that has the form of a URL, in lower case.
fn scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then(|| (scheme.to_ascii_lowercase(), rest))
}

impl Address {
    /// Whether a text has the form of a URL, whatever its scheme: `scheme://...`.
    pub fn is_url(text: &str) -> bool {
        scheme(text).is_some()
    }

    /// Parses a URL.
    ///
    /// # Errors
    /// If the scheme is not known, or something is missing. No message has a secret.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = scheme(text).ok_or_else(|| AddressError::Scheme(String::new()))?;
        let place = match scheme.as_str() {
            "http" | "https" => web(text)?,
            "hf" => hub(rest)?,
            other => {
                let found = STORES.iter().find(|(_, schemes)| schemes.contains(&other));
                let (store, schemes) = found.ok_or(AddressError::Scheme(scheme))?;
                object(*store, schemes[0], rest)?
            }
        };
        Ok(Self { place })
    }

    /// The last component of the path; that of a model of the hub, or of a bucket, if there is no
    /// path.
    pub fn file_name(&self) -> String {
        let (path, otherwise) = match &self.place {
            Place::Web { url, .. } => {
                let path = url.path().trim_end_matches('/');
                let name = path.rsplit('/').next().unwrap_or_default();
                return percent_decode_str(name).decode_utf8_lossy().into_owned();
            }
            Place::Store { bucket, key, .. } => (key, bucket),
            Place::Hub { model, path, .. } => (path, model),
        };
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { otherwise } else { path };
        path.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// The address of what has this name in the folder that this is; `name` may have slashes.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let mut place = self.place.clone();
        match &mut place {
            Place::Web { url, .. } => {
                if let Ok(mut path) = url.path_segments_mut() {
                    path.pop_if_empty().extend(name.split('/'));
                }
            }
            Place::Store { key: path, .. } | Place::Hub { path, .. } => {
                path.truncate(path.trim_end_matches('/').len());
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(name);
            }
        }
        Self { place }
    }

    /// The address of what has another name next to this.
    #[must_use]
    pub fn with_file_name(&self, name: &str) -> Self {
        let mut place = self.place.clone();
        match &mut place {
            Place::Web { url, .. } => {
                if let Ok(mut path) = url.path_segments_mut() {
                    path.pop_if_empty().pop();
                }
            }
            Place::Store { key: path, .. } | Place::Hub { path, .. } => {
                path.truncate(path.trim_end_matches('/').rfind('/').unwrap_or(0));
            }
        }
        Self { place }.join(name)
    }

    /// The address of the folder that this is in.
    #[must_use]
    pub fn folder(&self) -> Self {
        let name = self.with_file_name("");
        Self { place: name.place }
    }

    /// What may not be in any message.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        match &self.place {
            Place::Web { url, login } => {
                let login = login.iter().map(|(_, password)| password.as_str());
                url.query().into_iter().chain(login).filter(|text| !text.is_empty()).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The scheme that URLs of a store are shown with.
pub(crate) fn scheme_of(store: Store) -> &'static str {
    STORES.iter().find(|(it, _)| *it == store).map_or("", |(_, schemes)| schemes[0])
}

fn web(text: &str) -> Result<Place, AddressError> {
    let mut url = Url::parse(text).map_err(|why| AddressError::Url(why.to_string()))?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let user = decoded(url.username());
    let password = url.password().map(decoded);
    let login =
        (!user.is_empty() || password.is_some()).then(|| (user, password.unwrap_or_default()));
    // these fail only for URLs without a host, which web servers have
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    Ok(Place::Web { url, login })
}

fn object(store: Store, scheme: &'static str, rest: &str) -> Result<Place, AddressError> {
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.contains('@') {
        return Err(AddressError::Credentials(scheme));
    }
    if bucket.is_empty() {
        return Err(AddressError::NoBucket(scheme));
    }
    Ok(Place::Store { store, bucket: bucket.to_owned(), key: key.to_owned() })
}

/// Parses `ORG/NAME[@REVISION][/PATH]`. A revision has no slash, but for `refs/pr/NUMBER`.
fn hub(rest: &str) -> Result<Place, AddressError> {
    let mut parts = rest.trim_end_matches('/').split('/');
    let (Some(org), Some(name)) = (parts.next(), parts.next()) else {
        return Err(AddressError::NoModel);
    };
    let (name, revision) = match name.split_once('@') {
        Some((name, revision)) => (name, Some(revision)),
        None => (name, None),
    };
    let mut revision = revision.map(str::to_owned);
    let mut path: Vec<&str> = parts.collect();
    if revision.as_deref() == Some("refs") && path.len() >= 2 {
        revision = Some(format!("refs/{}/{}", path[0], path[1]));
        path.drain(..2);
    }
    let plain = |text: &str| !text.is_empty() && !text.contains(['@', '?', '#', '%', ' ']);
    if !plain(org) || !plain(name) || revision.as_deref().is_some_and(|it| !plain(it)) {
        return Err(AddressError::NoModel);
    }
    Ok(Place::Hub { model: format!("{org}/{name}"), revision, path: path.join("/") })
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Web { url, .. } => {
                f.write_str(url.as_str().split('?').next().unwrap_or_default())
            }
            Place::Store { store, bucket, key } => {
                write!(f, "{}://{bucket}/{key}", scheme_of(*store))
            }
            Place::Hub { model, revision, path } => {
                write!(f, "hf://{model}")?;
                if let Some(revision) = revision {
                    write!(f, "@{revision}")?;
                }
                if path.is_empty() { Ok(()) } else { write!(f, "/{path}") }
            }
        }
    }
}

impl Debug for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn forms_and_what_is_shown_of_them() {
        for (text, shown, name) in [
            (
                "https://u:p@h.org:8/a/b%20c.gguf?X-Sig=1#f",
                "https://h.org:8/a/b%20c.gguf",
                "b c.gguf",
            ),
            ("HTTP://h.org", "http://h.org/", ""),
            ("s3://bucket/a b/c.gguf", "s3://bucket/a b/c.gguf", "c.gguf"),
            ("s3a://bucket", "s3://bucket/", "bucket"),
            ("gs://bucket/folder/", "gs://bucket/folder/", "folder"),
            ("az://container/x", "az://container/x", "x"),
            ("hf://org/Name-1B", "hf://org/Name-1B", "Name-1B"),
            ("hf://org/Name@v1/sub/a.gguf", "hf://org/Name@v1/sub/a.gguf", "a.gguf"),
            ("hf://org/Name@refs/pr/7/a", "hf://org/Name@refs/pr/7/a", "a"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.to_string().as_str(), address.file_name().as_str()), (shown, name));
            assert!(!format!("{address:?}").contains(['?', '#']) && Address::is_url(text));
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in
            ["ftp://x/y", "s3://", "s3://k:secret@bucket/x", "hf://name", "hf://a/b@", "https://"]
        {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        for text in ["a/b", "C:\\a", "://x", "1a://x"] {
            assert!(!Address::is_url(text), "{text}");
        }
    }

    #[test]
    fn names_in_folders() {
        for (folder, file) in [
            ("https://h.org/a?s=1", "https://h.org/a/x/y"),
            ("https://h.org/a/", "https://h.org/a/x/y"),
            ("s3://b/a/", "s3://b/a/x/y"),
            ("s3://b", "s3://b/x/y"),
            ("hf://o/n@v", "hf://o/n@v/x/y"),
        ] {
            let joined = Address::parse(folder).unwrap().join("x/y");
            assert_eq!(joined.to_string(), file);
            assert_eq!(joined.with_file_name("z").to_string(), file.replace("/y", "/z"));
        }
        // the query may be what opens the folder
        let joined = Address::parse("https://h.org/a?s=1").unwrap().join("x");
        assert!(matches!(joined.place, Place::Web { url, .. } if url.query() == Some("s=1")));
    }
}
