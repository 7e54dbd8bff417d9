//! The entrance: what addresses lead to is opened here.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use granule_reader::{Error, Model, OpenOptions, ReadAt};
use object_store::path::Path;

use crate::address::{Address, Place};
use crate::cache::Cache;
use crate::credentials::{self, Opened};
use crate::fault::Fault;
use crate::file::RemoteFile;
use crate::folder::{CONFIGS, RemoteFolder};
use crate::hub::Hub;
use crate::transport::{Http, Object};

/// How much is fetched at a time, and where the hub is.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Bytes in memory of what was fetched and is not read yet, at most. What somebody waits for
    /// comes on top: 8 MiB for each thread.
    pub memory: u64,
    /// Requests at a time, at most. What somebody waits for comes on top.
    pub requests: usize,
    /// How often a request is tried again. The waits add up to 30 seconds for the default of 8.
    pub retries: u32,
    /// The URL of the hub; `None` for that of the variable `HF_ENDPOINT`, or else
    /// `https://huggingface.co`.
    pub hub_endpoint: Option<String>,
    /// The token for the hub; `None` for that of the variable `HF_TOKEN`, or else the one that the
    /// hub's own tools have saved.
    pub hub_token: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let (hub_endpoint, hub_token) = (None, None);
        Self { memory: 128 << 20, requests: 12, retries: 8, hub_endpoint, hub_token }
    }
}

/// Does not show the token.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory, requests, retries, .. } = self;
        let mut out = f.debug_struct("Settings");
        out.field("memory", memory).field("requests", requests).field("retries", retries);
        out.finish_non_exhaustive()
    }
}

impl Settings {
    /// Sets how many bytes are kept.
    #[must_use]
    pub fn with_memory(self, memory: u64) -> Self {
        Self { memory, ..self }
    }

    /// Sets where the hub is.
    #[must_use]
    pub fn with_hub(self, endpoint: &str, token: Option<&str>) -> Self {
        let (hub_endpoint, hub_token) = (Some(endpoint.to_owned()), token.map(str::to_owned));
        Self { hub_endpoint, hub_token, ..self }
    }

    /// Sets how often a request is tried again.
    #[must_use]
    pub fn with_retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }
}

/// What an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A folder with a checkpoint.
    Folder,
}

/// Opens what is far away. Clones share everything.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    http: Http,
    cache: Arc<Cache>,
    settings: Settings,
    moved: Arc<AtomicU64>,
    stores: Mutex<HashMap<String, Opened>>,
    hubs: Mutex<HashMap<String, Arc<Hub>>>,
}

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// If the system's certificates cannot be read.
    pub fn new(settings: Settings) -> io::Result<Self> {
        Ok(Self(Arc::new(Shared {
            http: Http::new()?,
            cache: Arc::new(Cache::new(settings.memory, settings.requests)),
            settings,
            moved: Arc::default(),
            stores: Mutex::default(),
            hubs: Mutex::default(),
        })))
    }

    /// The bytes that were fetched so far, without headers of requests.
    pub fn moved(&self) -> u64 {
        self.0.moved.load(Ordering::Relaxed)
    }

    /// Opens a file, to read it at any position.
    ///
    /// # Errors
    /// With a [`Fault`], if it cannot be read.
    pub fn open_file(&self, address: &Address) -> io::Result<RemoteFile> {
        RemoteFile::open(self.object(address)?, &self.0.cache)
    }

    /// Opens several files at once, as far as their addresses are right.
    pub(crate) fn open_files(
        &self,
        addresses: impl Iterator<Item = Address>,
    ) -> io::Result<Vec<Result<RemoteFile, Fault>>> {
        let objects = addresses.map(|address| self.object(&address)).collect::<Result<_, _>>()?;
        RemoteFile::open_all(objects, &self.0.cache)
    }

    /// Opens a GGUF file, and the others if it is one of a split set.
    ///
    /// # Errors
    /// As [`OpenOptions::open`]; paths in messages are addresses without their secrets.
    pub fn open_model(&self, address: &Address, options: OpenOptions) -> Result<Model, Error> {
        let name = address.file_name();
        let open = |file: &str| -> io::Result<Box<dyn ReadAt>> {
            let other;
            let address = match file == name {
                true => address,
                false => {
                    other = address.with_file_name(file);
                    &other
                }
            };
            Ok(Box::new(self.open_file(address)?))
        };
        options.open_with(FilePath::new(&address.to_string()), &name, &open)
    }

    /// Opens a folder.
    ///
    /// # Errors
    /// With a [`Fault`], if it cannot be listed, or if a web server has no config there.
    pub fn open_folder(&self, address: &Address) -> io::Result<RemoteFolder> {
        RemoteFolder::open(self.clone(), address)
    }

    /// Finds out what an address leads to. Nothing is asked if its name ends in `.gguf`.
    ///
    /// # Errors
    /// With a [`Fault`], if the server does not answer, or there is nothing.
    pub fn kind(&self, address: &Address) -> io::Result<Kind> {
        if address.file_name().to_ascii_lowercase().ends_with(".gguf") {
            return Ok(Kind::File);
        }
        let is_folder = match &address.place {
            Place::Web { .. } => {
                let mut configs = CONFIGS.iter().map(|name| self.open_file(&address.join(name)));
                let first = configs.next().expect("there is a name");
                first.or_else(|error| configs.find_map(Result::ok).ok_or(error)).map(|_| true)
            }
            Place::Store { .. } => Ok(!self.names(address)?.is_empty()),
            Place::Hub { path, .. } => {
                let hub = self.hub(address)?;
                Ok(path.is_empty() || hub.below(path).next().is_some())
            }
        };
        match is_folder {
            Ok(true) => Ok(Kind::Folder),
            no => match self.open_file(address) {
                Ok(_) => Ok(Kind::File),
                Err(error) => Err(no.err().unwrap_or(error)),
            },
        }
    }

    /// The names of all files below a folder of an object store or of the hub, from there on.
    ///
    /// # Errors
    /// With a [`Fault`], if it cannot be listed: web servers list no files.
    pub fn names(&self, address: &Address) -> io::Result<Vec<String>> {
        match &address.place {
            Place::Web { .. } => Err(Fault::NoListing.into()),
            Place::Hub { path, .. } => {
                let hub = self.hub(address)?;
                Ok(hub.below(path).map(str::to_owned).collect())
            }
            _ => {
                let object = self.object(address)?;
                Ok(crate::transport::runtime()?.block_on(object.list(MOST_FILES))?)
            }
        }
    }

    /// The object at an address. Nothing is asked, but where a revision of the hub stands.
    pub(crate) fn object(&self, address: &Address) -> io::Result<Object> {
        let secrets: Vec<String> = address.secrets().into_iter().map(str::to_owned).collect();
        let (opened, path, advice) = match &address.place {
            Place::Web { url, login } => {
                let login = login.as_ref();
                let header = login.and_then(|(user, word)| credentials::basic(user, word));
                let opened = credentials::open_url(url, header, &self.0.http)?;
                (opened, Path::default(), credentials::WEB_ADVICE)
            }
            Place::Store { store, bucket, key } => {
                let known = format!("{store:?} {bucket}");
                let mut stores = self.0.stores.lock().unwrap_or_else(|it| it.into_inner());
                let opened = match stores.get(&known) {
                    Some(opened) => opened.clone(),
                    None => {
                        let opened = credentials::open(*store, bucket, &self.0.http)?;
                        stores.insert(known, opened.clone());
                        opened
                    }
                };
                let path = Path::parse(key.trim_matches('/'));
                let path = path.map_err(|error| Fault::Settings(error.to_string()))?;
                (opened, path, credentials::advice(*store))
            }
            Place::Hub { path, .. } => {
                let hub = self.hub(address)?;
                let opened =
                    credentials::open_hub_file(&hub.url(path), hub.header(), &self.0.http)?;
                (opened, Path::default(), credentials::HUB_ADVICE)
            }
        };
        let (store, uploads) = opened;
        let (retries, moved) = (self.0.settings.retries, self.0.moved.clone());
        Ok(Object { store, uploads, path, advice, secrets: secrets.into(), retries, moved })
    }

    /// The object at a URL, which needs this header.
    pub(crate) fn object_at(
        &self,
        url: &reqwest::Url,
        header: Option<reqwest::header::HeaderValue>,
    ) -> Result<Object, Fault> {
        let (store, uploads) = credentials::open_url(url, header, &self.0.http)?;
        let (retries, moved) = (self.0.settings.retries, self.0.moved.clone());
        let (path, advice, secrets) = (Path::default(), credentials::HUB_ADVICE, Arc::default());
        Ok(Object { store, uploads, path, advice, secrets, retries, moved })
    }

    /// The model of the hub that an address is in, at one commit for as long as this client lives.
    fn hub(&self, address: &Address) -> io::Result<Arc<Hub>> {
        let Place::Hub { model, revision, .. } = &address.place else {
            unreachable!("this is asked for models of the hub")
        };
        let revision = revision.as_deref().unwrap_or("main");
        let known = format!("{model}@{revision}");
        let mut hubs = self.0.hubs.lock().unwrap_or_else(|it| it.into_inner());
        if let Some(hub) = hubs.get(&known) {
            return Ok(hub.clone());
        }
        let hub = Arc::new(Hub::open(self, &self.0.settings, model, revision)?);
        hubs.insert(known, hub.clone());
        Ok(hub)
    }
}

/// Stores would show their URLs and keys.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

/// Most files of a folder that are listed.
const MOST_FILES: usize = 20_000;
