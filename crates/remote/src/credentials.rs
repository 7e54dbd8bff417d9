//! Stores, and where their credentials come from: the environment, never a URL.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::multipart::MultipartStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::address::Store;
use crate::aws_profile;
use crate::fault::Fault;
use crate::transport::{Connector, Http};

/// A store and, if it has them, its uploads in parts.
pub(crate) type Opened = (Arc<dyn ObjectStore>, Option<Arc<dyn MultipartStore>>);

/// Requests are tried again [elsewhere](crate::transport::Object), each in the same way.
fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

/// What to do if a store refuses access.
pub(crate) const fn advice(store: Store) -> &'static str {
    match store {
        Store::Amazon => {
            "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (and AWS_ENDPOINT_URL for \
             other providers), or AWS_PROFILE for a profile with keys in ~/.aws, or \
             AWS_SKIP_SIGNATURE=true for a public bucket"
        }
        Store::Google => {
            "set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account, or \
             GOOGLE_SKIP_SIGNATURE=true for a public bucket"
        }
        Store::Azure => {
            "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or \
             AZURE_STORAGE_SAS_TOKEN), or AZURE_SKIP_SIGNATURE=true for a public container"
        }
    }
}

/// What to do if a web server refuses access.
pub(crate) const WEB_ADVICE: &str = "a user and a password go before the host, as in \
                                     USER:PASSWORD@HOST; a signature may have expired";

/// What to do if the hub refuses access.
pub(crate) const HUB_ADVICE: &str = "a private or gated model needs a token with access to it: set \
                                     HF_TOKEN, or log in with `hf auth login`";

/// Opens a bucket or container.
///
/// # Errors
/// If the environment lacks something, or says what cannot be.
pub(crate) fn open(store: Store, bucket: &str, http: &Http) -> Result<Opened, Fault> {
    let wrong = |error: object_store::Error| {
        let mut inner: &dyn std::error::Error = &error;
        while let Some(cause) = inner.source() {
            inner = cause;
        }
        Fault::Settings(format!(
            "the settings of the store are not complete ({inner}); {}",
            advice(store)
        ))
    };
    let (connector, retries) = (http.connector(None), no_retries());
    // which connections are allowed, the client decides
    let client = ClientOptions::new().with_allow_http(true);
    Ok(match store {
        Store::Amazon => {
            let builder = aws_profile::complete(AmazonS3Builder::from_env())?;
            let builder = builder.with_bucket_name(bucket);
            let builder = builder.with_client_options(client).with_http_connector(connector);
            both(builder.with_retry(retries).build().map_err(wrong)?)
        }
        Store::Google => {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
            let builder = builder.with_client_options(client).with_http_connector(connector);
            both(builder.with_retry(retries).build().map_err(wrong)?)
        }
        Store::Azure => {
            let builder = MicrosoftAzureBuilder::from_env().with_container_name(bucket);
            let builder = builder.with_client_options(client).with_http_connector(connector);
            both(builder.with_retry(retries).build().map_err(wrong)?)
        }
    })
}

fn both(store: impl ObjectStore + MultipartStore) -> Opened {
    let store = Arc::new(store);
    (store.clone(), Some(store))
}

/// Opens a URL of a web server: the only object of its store.
///
/// # Errors
/// If the client cannot be made.
pub(crate) fn open_url(
    url: &Url,
    authorization: Option<HeaderValue>,
    http: &Http,
) -> Result<Opened, Fault> {
    at_url(url, http.connector(authorization))
}

/// Opens a file of the hub, whose address leads elsewhere for a while.
///
/// # Errors
/// If the client cannot be made.
pub(crate) fn open_hub_file(
    url: &Url,
    authorization: Option<HeaderValue>,
    http: &Http,
) -> Result<Opened, Fault> {
    at_url(url, http.connector(authorization).with_redirects())
}

fn at_url(url: &Url, connector: Connector) -> Result<Opened, Fault> {
    let builder = HttpBuilder::new().with_url(url.as_str()).with_retry(no_retries());
    let store = builder.with_http_connector(connector).build();
    let store = store.map_err(|_| Fault::Settings("this is no URL of a web server".to_owned()))?;
    Ok((Arc::new(store), None))
}

/// The header for a user and a password.
pub(crate) fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    secret(&format!("Basic {}", base64::encode(format!("{user}:{password}"))))
}

/// The header for a token.
pub(crate) fn bearer(token: &str) -> Option<HeaderValue> {
    secret(&format!("Bearer {token}"))
}

fn secret(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The token of the hub: that of the environment, or the one that its own tools have saved.
pub(crate) fn hub_token() -> Option<String> {
    let set = |name| env::var(name).ok().filter(|value| !value.trim().is_empty());
    let token = set("HF_TOKEN").or_else(|| set("HUGGING_FACE_HUB_TOKEN")).or_else(|| {
        let home = || Some(PathBuf::from(set("HOME").or_else(|| set("USERPROFILE"))?));
        let cache = || Some(set("XDG_CACHE_HOME").map_or(home()?.join(".cache"), PathBuf::from));
        let hub = || match set("HF_HOME") {
            Some(folder) => Some(PathBuf::from(folder)),
            None => Some(cache()?.join("huggingface")),
        };
        let file =
            set("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(hub()?.join("token")))?;
        granule_reader::file::read_to_string(&file).ok()
    })?;
    let token = token.trim();
    (!token.is_empty()).then(|| token.to_owned())
}

/// Where the hub is: at `given`, or where the environment says.
///
/// # Errors
/// If that is not a URL.
pub(crate) fn hub_endpoint(given: Option<&str>) -> Result<Url, Fault> {
    let set = env::var("HF_ENDPOINT").ok().filter(|value| !value.trim().is_empty());
    let endpoint = given.or(set.as_deref()).unwrap_or("https://huggingface.co");
    let url = Url::parse(endpoint.trim()).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    url.ok_or_else(|| Fault::Settings("HF_ENDPOINT is no URL of a web server".to_owned()))
}
