//! The licences of all crates that the program is made of.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;
use xtask::run::{program, root};

/// What the names of files with licences have in them.
const NAMES: &[&str] = &["license", "licence", "copying", "notice", "copyright"];

/// What `cargo metadata` prints, as far as it is read.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// `None` for the crates of this repository.
    source: Option<String>,
    manifest_path: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    /// `None` for crates that are linked, a word for those of tests and of build scripts.
    kind: Option<String>,
}

/// Returns a list of all crates of others that a package of this repository is linked with, for a
/// target or for any, with the texts of their licences, each once.
pub(super) fn notices(package: &str, triple: Option<&str>) -> anyhow::Result<String> {
    let packages = linked(package, triple)?;
    let mut page = String::from("Granule is linked with these libraries:\n\n");
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &packages {
        let title = format!("{} {}", package.name, package.version);
        let license = package.license.as_deref().context(title.clone())?;
        writeln!(page, "- {title}: {license}")?;
        for text in license_texts(package).with_context(|| title.clone())? {
            texts.entry(text).or_default().insert(title.clone());
        }
    }
    for (text, titles) in texts {
        let titles: Vec<_> = titles.into_iter().collect();
        write!(page, "\n\n{}\n{}:\n\n{}\n", "=".repeat(72), titles.join(", "), text.trim_end())?;
    }
    Ok(page)
}

/// The crates of others that are linked, in the order of their names.
fn linked(package: &str, triple: Option<&str>) -> anyhow::Result<Vec<Package>> {
    let mut command = Command::new(program());
    command.args(["metadata", "--format-version=1", "--locked"]).current_dir(root());
    if let Some(triple) = triple {
        command.args(["--filter-platform", triple]);
    }
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let Metadata { packages, resolve } = serde_json::from_slice(&output.stdout)?;
    let mut packages: HashMap<_, _> =
        packages.into_iter().map(|package| (package.id.clone(), package)).collect();
    let nodes: HashMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, &node.deps)).collect();
    let linked = packages.values().find(|it| it.name == package && it.source.is_none());
    let mut left = vec![linked.with_context(|| package.to_owned())?.id.clone()];
    let mut found = Vec::new();
    while let Some(id) = left.pop() {
        // those that were met before are gone
        let Some(package) = packages.remove(&id) else { continue };
        // macros run in the compiler
        if package.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
        {
            continue;
        }
        let dependencies = nodes.get(&id).context("a package without dependencies")?;
        let linked =
            dependencies.iter().filter(|it| it.dep_kinds.iter().any(|it| it.kind.is_none()));
        left.extend(linked.map(|it| it.pkg.clone()));
        if package.source.is_some() {
            found.push(package);
        }
    }
    found.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(found)
}

/// The texts of the files with licences in the folder of a package.
fn license_texts(package: &Package) -> anyhow::Result<Vec<String>> {
    let folder = Path::new(&package.manifest_path).parent().context("the folder of a package")?;
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if path.is_file() && NAMES.iter().any(|word| name.contains(word)) {
            let bytes = fs::read(&path)?;
            // some differ in line ends alone
            texts.push(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"));
        }
    }
    texts.sort();
    Ok(texts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_is_linked_is_named_with_its_licences() {
        // the libraries of this machine are there without a network
        let version = Command::new("rustc").arg("-vV").output().unwrap();
        let version = String::from_utf8(version.stdout).unwrap();
        let triple = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        let page = notices("granule", Some(triple)).unwrap();
        assert!(page.contains("\n- ring 0."), "{page:.2000}");
        assert!(page.contains("\n- yaml-rust2 "));
        // no crate of tests or of the compiler, and none of this repository
        for absent in ["\n- proptest ", "\n- thiserror-impl ", "\n- granule-"] {
            assert!(!page.contains(absent), "{absent}");
        }
        // the wheel has the same and more
        let packages = linked("granule-gguf", Some(triple)).unwrap();
        let named: BTreeSet<_> = packages.iter().map(|it| it.name.as_str()).collect();
        for present in ["ring", "yaml-rust2", "numpy", "pyo3", "pyo3-ffi"] {
            assert!(named.contains(present), "{present}");
        }
        let packages = linked("granule", Some(triple)).unwrap();
        let texts = page.matches(&format!("\n{}\n", "=".repeat(72))).count();
        assert!((1..packages.len()).contains(&texts), "each text is there once: {texts}");
        for package in packages {
            assert!(!license_texts(&package).unwrap().is_empty(), "{}", package.name);
        }
    }
}
