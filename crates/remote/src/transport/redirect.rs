//! Where the hub's addresses of files lead: asked once for many ranges.

use std::sync::{Arc, Mutex};

use object_store::client::{
    HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpService,
};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, LOCATION};

/// What a store keeps of the redirects that it got. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Redirects(Arc<Mutex<Option<Url>>>);

/// The URL may have a signature.
impl std::fmt::Debug for Redirects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redirects")
    }
}

impl Redirects {
    /// Makes a request, at once where an earlier one like it was redirected to. `staying` is a
    /// client that follows no redirect.
    pub(super) async fn send(
        &self,
        client: &reqwest::Client,
        staying: &reqwest::Client,
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpError> {
        // what an address is signed for is one method
        if request.method() != "GET" {
            return client.call(request).await;
        }
        let own = Url::parse(&request.uri().to_string()).ok();
        let known = self.0.lock().unwrap_or_else(|it| it.into_inner()).clone();
        if let (Some(own), Some(url)) = (&own, known) {
            let response = client.call(elsewhere(&request, own, &url)?).await?;
            // signatures expire
            if !matches!(response.status().as_u16(), 400 | 401 | 403 | 404 | 410) {
                return Ok(response);
            }
            *self.0.lock().unwrap_or_else(|it| it.into_inner()) = None;
        }
        let response = staying.call(copy(&request)).await?;
        let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
        let location = location.filter(|_| response.status().is_redirection());
        let (Some(own), Some(location)) = (own, location) else { return Ok(response) };
        let url = own.join(location).map_err(|error| failed(error.to_string()))?;
        if own.scheme() == "https" && url.scheme() != "https" {
            return Err(failed(super::http::UNSAFE.to_owned()));
        }
        let response = client.call(elsewhere(&request, &own, &url)?).await?;
        if response.status().is_success() {
            *self.0.lock().unwrap_or_else(|it| it.into_inner()) = Some(url);
        }
        Ok(response)
    }
}

/// The same request without its body, which it does not have.
fn copy(request: &HttpRequest) -> HttpRequest {
    let mut copy = HttpRequest::new(HttpRequestBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// The same request to another URL. What opens its own host stays there.
fn elsewhere(request: &HttpRequest, own: &Url, url: &Url) -> Result<HttpRequest, HttpError> {
    let mut copy = copy(request);
    *copy.uri_mut() = url.as_str().parse().map_err(|_| failed("the redirect is no URL".into()))?;
    if own.origin() != url.origin() {
        copy.headers_mut().remove(AUTHORIZATION);
    }
    Ok(copy)
}

fn failed(what: String) -> HttpError {
    HttpError::new_boxed(HttpErrorKind::Request, what.into())
}
