//! Models of the Hugging Face hub: their files at one commit.

use std::io;

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde_json::Value;

use crate::client::{Client, Settings};
use crate::credentials;
use crate::fault::Fault;
use crate::transport::runtime;

/// Most bytes of the description of a model.
const MOST_ABOUT: u64 = 64 << 20;

/// A model at a commit.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Where its files are.
    files: Url,
    header: Option<HeaderValue>,
    names: Vec<String>,
}

impl Hub {
    /// Asks what a revision is and which files it has.
    pub(crate) fn open(
        client: &Client,
        settings: &Settings,
        model: &str,
        revision: &str,
    ) -> io::Result<Self> {
        let endpoint = credentials::hub_endpoint(settings.hub_endpoint.as_deref())?;
        // without encryption everybody on the way could read it
        let is_safe = endpoint.scheme() == "https" || is_this_machine(&endpoint);
        let token = settings.hub_token.clone().or_else(credentials::hub_token).filter(|_| is_safe);
        let header = token.as_deref().and_then(credentials::bearer);
        let about = below(&endpoint, &format!("api/models/{model}/revision/{revision}"));
        let about = client.object_at(&about, header.clone())?;
        let about = runtime()?.block_on(about.get_whole(MOST_ABOUT))?;
        let about: Value = serde_json::from_slice(&about).unwrap_or_default();
        let names = about["siblings"].as_array().map(|files| {
            let names = files.iter().filter_map(|file| file["rfilename"].as_str());
            names.map(str::to_owned).collect()
        });
        let (Some(names), Some(commit)) = (names, about["sha"].as_str()) else {
            let what = "what the hub says about the model has no commit and no files";
            return Err(Fault::Settings(what.to_owned()).into());
        };
        let files = below(&endpoint, &format!("{model}/resolve/{commit}"));
        Ok(Self { files, header, names })
    }

    /// The URL of a file.
    pub(crate) fn url(&self, name: &str) -> Url {
        below(&self.files, name)
    }

    /// The header with the token.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        self.header.clone()
    }

    /// The names of the files below a folder, from there on.
    pub(crate) fn below<'h>(&'h self, folder: &'h str) -> impl Iterator<Item = &'h str> {
        let folder = folder.trim_matches('/');
        self.names.iter().filter_map(move |name| match folder {
            "" => Some(name.as_str()),
            folder => name.strip_prefix(folder)?.strip_prefix('/'),
        })
    }
}

fn below(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/'));
    }
    url
}

fn is_this_machine(url: &Url) -> bool {
    matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}
