//! A checkpoint that is on no disk of this machine.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use granule_checkpoint::Folder;
use granule_reader::ReadAt;
use serde_json::Value;

use crate::address::{Address, Place};
use crate::client::Client;
use crate::fault::Fault;
use crate::file::RemoteFile;

/// Most bytes of a file that is read whole: tokenizers have a few ten million.
const MOST_WHOLE: u64 = 1 << 29;

/// Most files of a set that are opened at once.
const MOST_SET: usize = 1000;

/// One of these files has to be in a folder of a web server.
pub(crate) const CONFIGS: [&str; 3] = ["config.json", "params.json", "adapter_config.json"];

/// Weights of a folder without a listing: the index, and the name of a single file.
const WEIGHTS: [(&str, &str); 3] = [
    ("model.safetensors.index.json", "model.safetensors"),
    ("pytorch_model.bin.index.json", "pytorch_model.bin"),
    ("consolidated.safetensors.index.json", "consolidated.safetensors"),
];

/// Other files of a folder without a listing that a reader looks for by listing it.
const OTHERS: [&str; 1] = ["adapter_model.safetensors"];

/// A folder of an object store, of the hub or of a web server.
///
/// Web servers list no files. There, only the usual names of weights are found, and the files that
/// an index names.
pub struct RemoteFolder {
    client: Client,
    address: Address,
    path: PathBuf,
    /// All names from the folder on; `None` for a web server.
    names: Option<BTreeSet<String>>,
    opened: Mutex<HashMap<String, Result<Arc<RemoteFile>, Fault>>>,
}

impl RemoteFolder {
    /// Opens a folder: lists it, or looks for its config.
    pub(crate) fn open(client: Client, address: &Address) -> io::Result<Self> {
        let names = match &address.place {
            Place::Web { .. } => None,
            _ => Some(client.names(address)?.into_iter().collect()),
        };
        let path = PathBuf::from(address.to_string().trim_end_matches('/'));
        let (address, opened) = (address.clone(), Mutex::default());
        let folder = Self { client, address, path, names, opened };
        match &folder.names {
            Some(names) if names.is_empty() => return Err(Fault::Missing.into()),
            Some(_) => {}
            // what is wrong with the server is said here, not as a missing file
            None => {
                let mut found = CONFIGS.iter().map(|name| folder.file(name));
                if let (Some(Err(fault)), true) = (found.next(), found.all(|it| it.is_err())) {
                    return Err(fault.into());
                }
            }
        }
        Ok(folder)
    }

    /// The file of this name, opened once.
    fn file(&self, name: &str) -> Result<Arc<RemoteFile>, Fault> {
        let known = || self.opened.lock().unwrap_or_else(|it| it.into_inner());
        if let Some(file) = known().get(name) {
            return file.clone();
        }
        if let Some(file) = self.numbered(name).and_then(|names| self.open_set(name, names)) {
            return file;
        }
        let is_listed = self.names.as_ref().is_none_or(|names| names.contains(name));
        let file = match is_listed {
            true => self.client.open_file(&self.address.join(name)).map(Arc::new),
            false => Err(Fault::Missing.into()),
        };
        let file = file.map_err(|error| match error.downcast::<Fault>() {
            Ok(fault) => fault,
            Err(error) => Fault::Connection(error.to_string()),
        });
        known().insert(name.to_owned(), file.clone());
        file
    }

    /// The names of all files of the set that a name like `model-00002-of-00163.safetensors`
    /// belongs to; `None` for other names.
    fn numbered(&self, name: &str) -> Option<Vec<String>> {
        let (stem, end) = name.split_once("-of-")?;
        let (stem, number) = stem.rsplit_once('-')?;
        let count: usize =
            end.split('.').next()?.parse().ok().filter(|count| *count <= MOST_SET)?;
        number.parse::<usize>().ok()?;
        let width = number.len();
        let names = (1..=count).map(|number| format!("{stem}-{number:0width$}-of-{end}"));
        let is_listed =
            |name: &String| self.names.as_ref().is_none_or(|names| names.contains(name));
        Some(names.filter(is_listed).collect())
    }

    /// Opens all files of a set, several at a time. Returns the one of this name.
    fn open_set(&self, name: &str, names: Vec<String>) -> Option<Result<Arc<RemoteFile>, Fault>> {
        let addresses = names.iter().map(|name| self.address.join(name));
        let files = self.client.open_files(addresses).ok()?;
        let mut known = self.opened.lock().unwrap_or_else(|it| it.into_inner());
        for (name, file) in names.into_iter().zip(files) {
            known.entry(name).or_insert(file.map(Arc::new));
        }
        known.get(name).cloned()
    }

    /// Finds the weights of a folder without a listing.
    fn usual_names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for (index, single) in WEIGHTS {
            if self.exists(index) {
                names.push(index.to_owned());
                let index: Value = serde_json::from_slice(&self.read(index)?).unwrap_or_default();
                let files = index["weight_map"].as_object().into_iter().flat_map(|it| it.values());
                let files: BTreeSet<&str> = files.filter_map(Value::as_str).collect();
                names.extend(files.into_iter().map(str::to_owned));
            } else if self.exists(single) {
                names.push(single.to_owned());
            }
        }
        names.extend(OTHERS.iter().filter(|name| self.exists(name)).map(|name| (*name).to_owned()));
        Ok(names)
    }
}

impl Folder for RemoteFolder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn name(&self) -> io::Result<String> {
        Ok(self.address.file_name())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let Some(names) = &self.names else {
            return if folder.is_empty() { self.usual_names() } else { Ok(Vec::new()) };
        };
        let below = |name: &String| match folder {
            "" => Some(name.clone()),
            folder => Some(name.strip_prefix(folder)?.strip_prefix('/')?.to_owned()),
        };
        Ok(names.iter().filter_map(below).filter(|name| !name.contains('/')).collect())
    }

    fn exists(&self, name: &str) -> bool {
        match &self.names {
            Some(names) => {
                let below = format!("{name}/");
                names.contains(name) || names.iter().any(|other| other.starts_with(&below))
            }
            // a server may refuse what it does not have
            None => !matches!(self.file(name), Err(Fault::Missing | Fault::Denied { .. })),
        }
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.file(name)?;
        let found = ReadAt::len(&file)?;
        if found > MOST_WHOLE {
            return Err(Fault::TooLarge { found, most: MOST_WHOLE }.into());
        }
        let mut bytes = vec![0; found as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn ReadAt>> {
        Ok(Box::new(self.file(name)?))
    }
}

impl std::fmt::Debug for RemoteFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RemoteFolder").field(&self.address).finish()
    }
}
