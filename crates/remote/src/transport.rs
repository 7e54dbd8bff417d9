//! Requests: the one module with asynchronous code.
//!
//! It has a small runtime, and a client that all stores share. What is done for every response is
//! here: bodies have bounds, errors become [`Fault`]s without secrets, and what may pass is tried
//! again.

mod http;
mod redirect;

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
pub(crate) use http::{Connector, Http};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload,
};
use tokio::runtime::Runtime;

use crate::fault::Fault;

/// The longest time without a byte of a response, and until a connection is there.
const SILENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(10);
/// The time that a request may take, whatever its length, and the slowest speed beyond that, in
/// bytes a second.
const LEAST_SECONDS: u64 = 60;
const SLOWEST: u64 = 16 << 10;
/// The wait before the first retry; each is about twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The runtime of all requests.
///
/// # Errors
/// If its threads cannot be started.
pub(crate) fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(2).thread_name("granule-remote").enable_all();
    // another thread may have been faster: then this one is dropped, which no request is using
    let runtime = builder.build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}

/// Where an object is.
#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) uploads: Option<Arc<dyn MultipartStore>>,
    pub(crate) path: Path,
    /// Where credentials for it come from.
    pub(crate) advice: &'static str,
    /// What no message may have.
    pub(crate) secrets: Arc<[String]>,
    /// How often a request is tried again.
    pub(crate) retries: u32,
    /// The bytes of all bodies so far.
    pub(crate) moved: Arc<AtomicU64>,
}

/// Stores would show their URLs and keys.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Length and version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) bytes: u64,
    pub(crate) version: String,
}

impl About {
    fn of(meta: &ObjectMeta) -> Self {
        // without an ETag the time of change has to do
        let tag = meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.to_rfc3339());
        Self { bytes: meta.size, version: format!("{tag}, {} bytes", meta.size) }
    }
}

impl Object {
    /// Gets a range, which begins inside of the object. Without an `expected` object, the range is
    /// cut at the end of the object.
    pub(crate) async fn get(
        &self,
        range: Range<u64>,
        expected: Option<&About>,
    ) -> Result<(Vec<u8>, About), Fault> {
        self.tried(range.end - range.start, || self.get_once(range.clone(), expected)).await
    }

    async fn get_once(
        &self,
        range: Range<u64>,
        expected: Option<&About>,
    ) -> Result<(Vec<u8>, About), Fault> {
        let options =
            GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let got = in_time(self.store.get_opts(&self.path, options)).await?;
        let got = got.map_err(|e| self.fault(&e))?;
        let about = About::of(&got.meta);
        if let Some(expected) = expected.filter(|expected| **expected != about) {
            let (before, now) = (expected.version.clone(), about.version);
            return Err(Fault::Changed { before, now });
        }
        let length = range.end.min(about.bytes).saturating_sub(range.start);
        if got.range != (range.start..range.start + length) {
            return Err(Fault::NoRanges);
        }
        let bytes = self.collect(got.into_stream(), length).await?;
        if bytes.len() as u64 != length {
            return Err(Fault::Length { expected: length, found: bytes.len() as u64 });
        }
        Ok((bytes, about))
    }

    /// Gets length and version without content.
    pub(crate) async fn head(&self) -> Result<About, Fault> {
        let head = || async {
            let options = GetOptions { head: true, ..GetOptions::default() };
            let got = in_time(self.store.get_opts(&self.path, options)).await?;
            got.map(|got| About::of(&got.meta)).map_err(|e| self.fault(&e))
        };
        self.tried(0, head).await
    }

    /// What tells an object from one that replaces it, with the same content too; `None` if there
    /// is no object.
    pub(crate) async fn stamp(&self) -> Result<Option<String>, Fault> {
        let head = || async {
            let options = GetOptions { head: true, ..GetOptions::default() };
            let got = in_time(self.store.get_opts(&self.path, options)).await?;
            let stamp = |meta: &ObjectMeta| {
                let (tag, version) = (meta.e_tag.as_deref(), meta.version.as_deref());
                let names = [tag.unwrap_or_default(), version.unwrap_or_default()].join(" ");
                format!("{} {names}", meta.last_modified.to_rfc3339())
            };
            got.map(|got| stamp(&got.meta)).map_err(|e| self.fault(&e))
        };
        match self.tried(0, head).await {
            Ok(stamp) => Ok(Some(stamp)),
            Err(Fault::Missing) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Gets a whole object of at most `most` bytes.
    pub(crate) async fn get_whole(&self, most: u64) -> Result<Vec<u8>, Fault> {
        let get = || async {
            let got = in_time(self.store.get_opts(&self.path, GetOptions::default())).await?;
            let got = got.map_err(|e| self.fault(&e))?;
            self.collect(got.into_stream(), most).await
        };
        self.tried(most, get).await
    }

    /// Puts a whole object.
    pub(crate) async fn put(&self, content: Vec<u8>) -> Result<(), Fault> {
        let payload = PutPayload::from(content);
        let put = || async {
            let put = self.store.put(&self.path, payload.clone()).await;
            put.map(|_| ()).map_err(|e| self.fault(&e))
        };
        self.tried(payload.content_length() as u64, put).await
    }

    /// Deletes the object. Without one, nothing is wrong.
    pub(crate) async fn delete(&self) -> Result<(), Fault> {
        let delete = || async {
            match self.store.delete(&self.path).await.map_err(|e| self.fault(&e)) {
                Err(Fault::Missing) => Ok(()),
                done => done,
            }
        };
        self.tried(0, delete).await
    }

    /// The store of uploads in parts.
    fn parts(&self) -> Result<&Arc<dyn MultipartStore>, Fault> {
        self.uploads.as_ref().ok_or(Fault::NoUpload)
    }

    /// Begins an upload in parts. Returns what the store calls it.
    pub(crate) async fn begin_upload(&self) -> Result<String, Fault> {
        let store = self.parts()?;
        let begin =
            || async { store.create_multipart(&self.path).await.map_err(|e| self.fault(&e)) };
        self.tried(0, begin).await
    }

    /// Stores a part of an upload. Returns what the store calls it.
    pub(crate) async fn put_part(
        &self,
        id: &str,
        number: u64,
        content: Vec<u8>,
    ) -> Result<String, Fault> {
        let (store, id, payload) = (self.parts()?, id.to_owned(), PutPayload::from(content));
        let put = || async {
            let part = store.put_part(&self.path, &id, number as usize, payload.clone()).await;
            part.map(|part| part.content_id).map_err(|e| self.of_upload(&e))
        };
        self.tried(payload.content_length() as u64, put).await
    }

    /// Makes the object of its parts, which are in their order.
    pub(crate) async fn complete_upload(&self, id: &str, parts: &[String]) -> Result<(), Fault> {
        let (store, id) = (self.parts()?, id.to_owned());
        let complete = || async {
            let part = |id: &String| PartId { content_id: id.clone() };
            let parts = parts.iter().map(part).collect();
            let done = store.complete_multipart(&self.path, &id, parts).await;
            done.map(|_| ()).map_err(|e| self.of_upload(&e))
        };
        self.tried(16 << 20, complete).await
    }

    /// Removes the parts of an upload. What is left of it otherwise, the store's own rules remove.
    pub(crate) async fn abort_upload(&self, id: &str) {
        if let Ok(store) = self.parts() {
            let id = id.to_owned();
            let _ = in_time(store.abort_multipart(&self.path, &id)).await;
        }
    }

    /// What the error of a request about an upload means.
    fn of_upload(&self, error: &StoreError) -> Fault {
        match self.fault(error) {
            Fault::Missing => Fault::UploadGone,
            fault => fault,
        }
    }

    /// Lists what is below the path: names from there on.
    pub(crate) async fn list(&self, most: usize) -> Result<Vec<String>, Fault> {
        let list = || async {
            let mut names = Vec::new();
            let mut found = self.store.list(Some(&self.path));
            while let Some(meta) = found.next().await {
                let meta = meta.map_err(|e| self.fault(&e))?;
                let below = meta.location.prefix_match(&self.path);
                let parts: Vec<String> =
                    below.into_iter().flatten().map(|part| part.as_ref().to_owned()).collect();
                if names.len() == most {
                    return Err(Fault::TooMany(most));
                }
                names.push(parts.join("/"));
            }
            Ok(names)
        };
        self.tried(1 << 20, list).await
    }

    /// Collects at most `most` bytes.
    async fn collect(
        &self,
        mut body: BoxStream<'static, object_store::Result<impl AsRef<[u8]>>>,
        most: u64,
    ) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        while let Some(chunk) = in_time(body.next()).await? {
            let chunk = chunk.map_err(|e| self.fault(&e))?;
            self.moved.fetch_add(chunk.as_ref().len() as u64, Ordering::Relaxed);
            if (bytes.len() + chunk.as_ref().len()) as u64 > most {
                return Err(Fault::Endless(most));
            }
            if bytes.is_empty() {
                bytes.reserve_exact(usize::try_from(most.min(8 << 20)).unwrap_or(0));
            }
            bytes.extend_from_slice(chunk.as_ref());
        }
        Ok(bytes)
    }

    /// Makes a request of about `bytes` bytes, and makes it again if it fails in a way that may
    /// pass.
    pub(crate) async fn tried<T, F: Future<Output = Result<T, Fault>>>(
        &self,
        bytes: u64,
        mut request: impl FnMut() -> F,
    ) -> Result<T, Fault> {
        let seconds = LEAST_SECONDS + bytes / SLOWEST;
        let mut attempt = 0;
        loop {
            let done = tokio::time::timeout(Duration::from_secs(seconds), request()).await;
            let fault = match done.unwrap_or(Err(Fault::Slow(seconds))) {
                Err(fault) if fault.may_pass() && attempt < self.retries => fault,
                done => return done,
            };
            drop(fault);
            let wait = FIRST_WAIT.saturating_mul(1 << attempt.min(16)).min(LONGEST_WAIT);
            // many requests that failed together are not repeated together
            tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64())).await;
            attempt += 1;
        }
    }

    /// What an error of the store means.
    pub(crate) fn fault(&self, error: &StoreError) -> Fault {
        let text = self.text(error);
        let status = status_in(&text);
        match (error, status) {
            (StoreError::NotFound { .. }, _) | (_, Some(404 | 410)) => Fault::Missing,
            (StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. }, _)
            | (_, Some(401 | 403 | 407)) => Fault::Denied { why: text, advice: self.advice },
            (StoreError::NotSupported { .. }, _) => Fault::NoRanges,
            (_, None) if text.contains("non-partial response") => Fault::NoRanges,
            // it sends another one
            (_, None) if text.starts_with("Requested ") => Fault::NoRanges,
            // these will not pass: the request is wrong for this server
            (_, Some(400..=407 | 409..=417 | 421..=424 | 426 | 428)) => Fault::Settings(text),
            (_, Some(_)) => Fault::Server(text),
            _ if text.contains("certificate") || text.contains("UnknownIssuer") => {
                Fault::Certificate(text)
            }
            _ => Fault::Connection(text),
        }
    }

    /// The innermost cause of an error. Outer ones repeat it, and have the URL with its query.
    fn text(&self, error: &StoreError) -> String {
        let mut inner: &dyn StdError = error;
        while let Some(cause) = inner.source() {
            inner = cause;
        }
        let mut text = inner.to_string();
        for secret in self.secrets.iter() {
            text = text.replace(secret.as_str(), "...");
        }
        text.strip_prefix("Server returned non-2xx status code: ")
            .unwrap_or(&text)
            .trim_end_matches([':', ' '])
            .trim_start()
            .to_owned()
    }
}

/// Waits for something, but not longer than a server may be silent.
async fn in_time<T>(what: impl Future<Output = T>) -> Result<T, Fault> {
    let silent = |_| Fault::Slow(SILENCE.as_secs());
    tokio::time::timeout(SILENCE, what).await.map_err(silent)
}

/// The status that the text of an error begins with.
fn status_in(text: &str) -> Option<u16> {
    let number = text.split(|letter: char| !letter.is_ascii_digit()).next()?;
    number.parse().ok().filter(|status| number.len() == 3 && (100..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::http::gist;
    use super::*;

    #[test]
    fn what_errors_say() {
        let body = b"<Error><Code>AccessDenied</Code><StringToSign>s</StringToSign></Error>";
        assert_eq!(gist(body), "AccessDenied");
        assert_eq!(gist(b"{\"error\":\"Repository not found\"}"), "Repository not found");
        assert_eq!(gist(b"<html>token=1</html>"), "");
        assert_eq!(status_in("403 Forbidden: "), Some(403));
        assert_eq!(status_in("1403 Forbidden: "), None);
        assert_eq!(status_in("error"), None);
    }
}
