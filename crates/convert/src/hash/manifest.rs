//! Manifests: lists of hashes, one a line, in the form of `llama-gguf-hash`.
//!
//! ```text
//! sha256    c0510d38...  model.gguf:token_embd.weight
//! sha256    7dd641b3...  model.gguf
//! ```

use std::collections::{HashMap, HashSet};

use granule_reader::Source;

use super::{Algorithm, Hashes};

/// The lines for the hashes of a source that is called `name`: those of each tensor, then those of
/// all data.
pub fn write(name: &str, source: &dyn Source, hashes: &[Hashes]) -> String {
    let mut text = String::new();
    for (index, tensor) in source.tensors().iter().enumerate() {
        for hashes in hashes {
            if let Some(hash) = hashes.tensors.get(index) {
                let algorithm = hashes.algorithm;
                text += &format!("{algorithm:<8}  {hash}  {name}:{}\n", tensor.name);
            }
        }
    }
    for Hashes { algorithm, whole, .. } in hashes {
        text += &format!("{algorithm:<8}  {whole}  {name}\n");
    }
    text
}

/// The hashes that a manifest expects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Algorithm, hash and name of each line.
    entries: Vec<(Algorithm, String, String)>,
}

/// Why a manifest says nothing about a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// No line has an algorithm, a hash and a name.
    #[error(
        "no line of the manifest is a hash: expected an algorithm (xxh64, sha1, sha256, blake3 or \
         uuid), the hash and a name"
    )]
    Empty,
    /// The lines are about several models, and none has this name.
    #[error("the manifest has no line for {name:?}, but for {}", .others.join(", "))]
    OtherNames {
        /// The name of the model.
        name: String,
        /// Names in the manifest.
        others: Vec<String>,
    },
}

/// How a hash compares with a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is the expected one.
    Same,
    /// It is another.
    Differs,
    /// The manifest expects nothing.
    NotListed,
    /// The manifest lists a tensor that the model lacks.
    Missing,
}

impl Outcome {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differs => "differs",
            Self::NotListed => "not_listed",
            Self::Missing => "missing",
        }
    }

    /// The words of `llama-gguf-hash`.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Same => "Ok",
            Self::Differs => "Mismatch",
            Self::NotListed => "Not Found",
            Self::Missing => "Missing",
        }
    }
}

/// A hash that was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The tensor; `None` for the data of all.
    pub tensor: Option<String>,
    /// The hash that was found; empty for a tensor that is missing.
    pub hash: String,
    /// How it compares.
    pub outcome: Outcome,
}

impl Manifest {
    /// Reads a manifest. Lines that are no hashes are skipped.
    ///
    /// # Errors
    /// If no line is one.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let entry = |line: &str| {
            let (algorithm, rest) = line.trim().split_once(char::is_whitespace)?;
            let (hash, name) = rest.trim_start().split_once(char::is_whitespace)?;
            let algorithm = Algorithm::from_name(algorithm)?;
            Some((algorithm, hash.to_owned(), name.trim_start().to_owned()))
        };
        let entries: Vec<_> = text.lines().filter_map(entry).collect();
        if entries.is_empty() { Err(ManifestError::Empty) } else { Ok(Self { entries }) }
    }

    /// The algorithms in it, in the order of [`Algorithm::ALL`].
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let has = |algorithm: &&Algorithm| self.entries.iter().any(|entry| entry.0 == **algorithm);
        Algorithm::ALL.iter().filter(has).copied().collect()
    }

    /// Whether it has hashes of tensors under this name.
    pub fn has_tensors(&self, name: &str, source: &dyn Source) -> Result<bool, ManifestError> {
        let name = self.name_of(name, source)?;
        Ok(self.entries.iter().any(|entry| tensor_of(&entry.2, &name).is_some()))
    }

    /// Compares hashes with the manifest. If it has no line for `name`, it may be about one model
    /// that had another name then.
    ///
    /// # Errors
    /// If the lines are about several models, and none is called `name`.
    pub fn compare(
        &self,
        name: &str,
        source: &dyn Source,
        hashes: &[Hashes],
    ) -> Result<Vec<Compared>, ManifestError> {
        let name = self.name_of(name, source)?;
        let mut expected = HashMap::new();
        let mut listed = Vec::new();
        for (algorithm, hash, of) in &self.entries {
            if let Some(tensor) = tensor_of(of, &name) {
                expected.insert((*algorithm, Some(tensor)), hash);
                listed.push((*algorithm, tensor));
            } else if *of == name {
                expected.insert((*algorithm, None), hash);
            }
        }
        let compare = |algorithm, tensor: Option<&str>, hash: &str| Compared {
            algorithm,
            tensor: tensor.map(str::to_owned),
            hash: hash.to_owned(),
            outcome: match expected.get(&(algorithm, tensor)) {
                Some(expected) if expected.eq_ignore_ascii_case(hash) => Outcome::Same,
                Some(_) => Outcome::Differs,
                None => Outcome::NotListed,
            },
        };
        let mut all = Vec::new();
        for (index, tensor) in source.tensors().iter().enumerate() {
            for hashes in hashes {
                if let Some(hash) = hashes.tensors.get(index) {
                    all.push(compare(hashes.algorithm, Some(&tensor.name), hash));
                }
            }
        }
        let known: HashSet<&str> = source.tensors().iter().map(|it| it.name.as_str()).collect();
        let used = |algorithm| hashes.iter().any(|hashes| hashes.algorithm == algorithm);
        for (algorithm, tensor) in listed {
            if used(algorithm) && !known.contains(tensor) {
                let (tensor, hash) = (Some(tensor.to_owned()), String::new());
                all.push(Compared { algorithm, tensor, hash, outcome: Outcome::Missing });
            }
        }
        all.extend(hashes.iter().map(|hashes| compare(hashes.algorithm, None, &hashes.whole)));
        Ok(all)
    }

    /// The name that the source has in the manifest.
    fn name_of(&self, name: &str, source: &dyn Source) -> Result<String, ManifestError> {
        let mut names: Vec<&str> = Vec::new();
        for (_, _, of) in &self.entries {
            if of == name || tensor_of(of, name).is_some() {
                return Ok(name.to_owned());
            }
            let tensors = source.tensors().iter();
            let mut prefixes = tensors
                .filter_map(|tensor| of.strip_suffix(tensor.name.as_str())?.strip_suffix(':'));
            let name = prefixes.next().unwrap_or(of);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        // tensors that the source lacks have their model's name in front
        let of_others = |it: &&str| !names.iter().any(|name| tensor_of(it, name).is_some());
        let models: Vec<&str> = names.iter().copied().filter(of_others).collect();
        match models.as_slice() {
            [only] => Ok((*only).to_owned()),
            others => {
                let others = others.iter().take(3).map(|name| format!("{name:?}")).collect();
                Err(ManifestError::OtherNames { name: name.to_owned(), others })
            }
        }
    }
}

/// The tensor that a line is about, if it is one of this model.
fn tensor_of<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    line.strip_prefix(name)?.strip_prefix(':')
}

#[cfg(test)]
mod tests {
    use granule_format::{BlockType, Metadata, Shape};
    use granule_reader::{Error, SourceTensor};

    use super::*;

    struct Named(Vec<SourceTensor>, Metadata);

    impl Source for Named {
        fn metadata(&self) -> &Metadata {
            &self.1
        }
        fn tensors(&self) -> &[SourceTensor] {
            &self.0
        }
        fn files(&self) -> Vec<&std::path::Path> {
            Vec::new()
        }
        fn read_rows(
            &self,
            _: usize,
            _: std::ops::Range<u64>,
            _: &mut Vec<u8>,
        ) -> Result<(), Error> {
            Ok(())
        }
        fn fingerprint(&self, _: usize, _: &mut dyn std::hash::Hasher) {}
    }

    fn source(names: &[&str]) -> Named {
        let shape = Shape::new(&[1]).unwrap();
        let tensor = |name: &&str| SourceTensor {
            name: (*name).to_owned(),
            shape,
            ty: BlockType::F32.into(),
        };
        Named(names.iter().map(tensor).collect(), Metadata::new())
    }

    fn hashes(tensors: &[&str], whole: &str) -> Vec<Hashes> {
        let tensors = tensors.iter().map(|&hash| hash.to_owned()).collect();
        vec![Hashes { algorithm: Algorithm::Xxh64, tensors, whole: whole.to_owned() }]
    }

    #[test]
    fn what_is_written_is_found_again() {
        let source = source(&["a", "b:c"]);
        let hashes = hashes(&["01", "02"], "ff");
        let text = write("dir/x.gguf", &source, &hashes);
        let expected = "xxh64     01  dir/x.gguf:a\nxxh64     02  dir/x.gguf:b:c\n\
                        xxh64     ff  dir/x.gguf\n";
        assert_eq!(text, expected);
        let manifest = Manifest::parse(&text).unwrap();
        for name in ["dir/x.gguf", "renamed.gguf"] {
            let found = manifest.compare(name, &source, &hashes).unwrap();
            assert_eq!(found.len(), 3, "{found:?}");
            assert!(found.iter().all(|it| it.outcome == Outcome::Same), "{name} {found:?}");
            assert!(manifest.has_tensors(name, &source).unwrap());
        }
    }

    #[test]
    fn differences_are_told_apart() {
        let text = "xxh64 01 x:a\nxxh64 02 x:gone\nxxh64 ff x\nsha1 5 x\nanything else\n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.algorithms(), [Algorithm::Xxh64, Algorithm::Sha1]);
        let source = source(&["a", "new"]);
        let found = manifest.compare("other", &source, &hashes(&["07", "08"], "FF")).unwrap();
        let outcomes: Vec<_> = found.iter().map(|it| (it.tensor.as_deref(), it.outcome)).collect();
        let expected = [
            (Some("a"), Outcome::Differs),
            (Some("new"), Outcome::NotListed),
            (Some("gone"), Outcome::Missing),
            (None, Outcome::Same),
        ];
        assert_eq!(outcomes, expected);
    }

    #[test]
    fn manifests_of_others_are_refused() {
        assert_eq!(Manifest::parse("no hash\n\n"), Err(ManifestError::Empty));
        let manifest = Manifest::parse("xxh64 01 x\nxxh64 02 y:a\nxxh64 03 y\n").unwrap();
        let source = source(&["a"]);
        let error = manifest.compare("z", &source, &[]).unwrap_err();
        let others = vec!["\"x\"".to_owned(), "\"y\"".to_owned()];
        assert_eq!(error, ManifestError::OtherNames { name: "z".to_owned(), others });
        assert!(manifest.compare("y", &source, &[]).unwrap().is_empty());
    }
}
