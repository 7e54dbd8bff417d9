//! The client of all stores.

use std::future::Future;
use std::pin::Pin;

use futures_util::StreamExt;
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
};
use reqwest::header::{AUTHORIZATION, HeaderValue};

use super::CONNECT;
use super::redirect::Redirects;
use crate::fault::Fault;

/// Bytes of the body of an error that are read.
const ERROR_BODY: usize = 16 << 10;
/// Redirects that are followed for one request.
const REDIRECTS: usize = 10;

/// What is said of a redirect that gives up encryption.
pub(super) const UNSAFE: &str = "it leads from https to a connection without encryption";

/// The client of all stores, and one that follows no redirect.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    staying: reqwest::Client,
}

impl Http {
    pub(crate) fn new() -> Result<Self, Fault> {
        // the first one stays; a program that has chosen its own keeps that
        let _ = rustls::crypto::ring::default_provider().install_default();
        let redirects = reqwest::redirect::Policy::custom(|attempt| {
            let before = attempt.previous().last().map(|url| url.scheme());
            if before == Some("https") && attempt.url().scheme() != "https" {
                return attempt.error(UNSAFE);
            }
            match attempt.previous().len() {
                0..REDIRECTS => attempt.follow(),
                _ => attempt.error("it leads from one address to the next without an end"),
            }
        });
        let client = |redirects| {
            let builder = reqwest::Client::builder().connect_timeout(CONNECT);
            let builder = builder.user_agent(concat!("granule/", env!("CARGO_PKG_VERSION")));
            let client = builder.redirect(redirects).referer(false).build();
            client.map_err(|error| Fault::Settings(error.to_string()))
        };
        let staying = client(reqwest::redirect::Policy::none())?;
        Ok(Self { client: client(redirects)?, staying })
    }

    /// The client for a store whose requests have this header, if any. It is not sent to hosts that
    /// a request is redirected to.
    pub(crate) fn connector(&self, authorization: Option<HeaderValue>) -> Connector {
        Connector(Service { http: self.clone(), authorization, redirects: None })
    }
}

impl Connector {
    /// The same client, which asks once where its requests lead.
    pub(crate) fn with_redirects(mut self) -> Self {
        self.0.redirects = Some(Redirects::default());
        self
    }
}

/// Gives stores their client.
#[derive(Clone, Debug)]
pub(crate) struct Connector(Service);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Service {
    http: Http,
    authorization: Option<HeaderValue>,
    redirects: Option<Redirects>,
}

impl Service {
    async fn respond(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if let Some(header) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, header.clone());
        }
        let Http { client, staying } = &self.http;
        let response = match &self.redirects {
            Some(redirects) => redirects.send(client, staying, request).await?,
            None => client.call(request).await?,
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let mut body = body.bytes_stream();
        // a store reads the whole body of an error: no more than what can be shown
        let mut start = Vec::new();
        while let Some(Ok(chunk)) = body.next().await {
            start.extend_from_slice(&chunk[..chunk.len().min(ERROR_BODY - start.len())]);
            if start.len() == ERROR_BODY {
                break;
            }
        }
        Ok(HttpResponse::from_parts(parts, gist(&start).into()))
    }
}

// as the macro `async_trait` writes it
impl HttpService for Service {
    fn call<'s, 'f>(
        &'s self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(self.respond(request))
    }
}

/// What the body of an error says, in a few words: the code that stores give, or the message that
/// the hub gives. Anything else may have what a request was signed with.
pub(super) fn gist(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let between = |start: &str, end: &str| {
        let rest = &text[text.find(start)? + start.len()..];
        Some(rest[..rest.find(end)?].to_owned())
    };
    let found = between("<Code>", "</Code>").or_else(|| between("\"error\":\"", "\""));
    let found = found.unwrap_or_default();
    found.chars().filter(|letter| !letter.is_control()).take(200).collect()
}
