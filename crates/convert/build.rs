//! Computes the build identity: a hash of the sources that determine the bytes of a conversion.
//!
//! Only a build from the same sources continues an interrupted conversion.
#![allow(clippy::print_stdout, reason = "this is how a build script answers")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The sources of this crate and of its dependencies in the workspace: as folders of the workspace,
/// and as `cargo vendor` names them. A package from a registry lacks these folders, but there a
/// version identifies the content.
const FOLDERS: &[&str] = &[
    "src",
    "../format/src",
    "../reader/src",
    "../encode/src",
    "../checkpoint/src",
    "../infer/src",
    "../granule-format/src",
    "../granule-reader/src",
    "../granule-encode/src",
    "../granule-checkpoint/src",
    "../granule-infer/src",
];

fn main() -> io::Result<()> {
    let crate_folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let folders = FOLDERS.iter().map(|folder| crate_folder.join(folder));
    let folders: Vec<PathBuf> = folders.filter(|folder| folder.is_dir()).collect();
    for folder in &folders {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=GRANULE_BUILD={:032x}", hash(&folders)?);
    Ok(())
}

/// Hashes all files in the folders: their names relative to the folder, and their content.
pub(crate) fn hash(folders: &[PathBuf]) -> io::Result<u128> {
    let mut hash = FNV_OFFSET;
    for folder in folders {
        let mut files = Vec::new();
        list(folder, "", &mut files)?;
        files.sort();
        for name in files {
            let bytes = fs::read(folder.join(&name))?;
            add(&mut hash, name.as_bytes());
            add(&mut hash, &bytes.len().to_le_bytes());
            add(&mut hash, &bytes);
        }
    }
    Ok(hash)
}

/// Lists all files in a folder and its subfolders, with slashes on every system.
fn list(folder: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            list(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push(name);
        }
    }
    Ok(())
}

/// Adds bytes to a 128-bit FNV-1a hash.
fn add(hash: &mut u128, bytes: &[u8]) {
    for byte in bytes {
        *hash = (*hash ^ u128::from(*byte)).wrapping_mul(FNV_PRIME);
    }
}

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
