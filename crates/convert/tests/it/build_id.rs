//! The build identity changes with the sources, and with nothing else.

use std::fs;

#[allow(dead_code, reason = "its main is the build script's")]
#[path = "../../build.rs"]
mod build;

#[test]
fn sources_decide_the_name_of_a_build() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("encode")).unwrap();
    let write = |name: &str, text: &str| fs::write(path(name), text).unwrap();
    let hash = || build::hash(&[folder.path().to_owned()]).unwrap();
    write("lib.rs", "mod encode;");
    write("encode/q4_k.rs", "const HALF: f32 = 0.5;");
    let first = hash();
    assert_eq!(first, hash());
    write("encode/q4_k.rs", "const HALF: f32 = 0.6;");
    let changed = hash();
    write("encode/q4_k.rs", "const HALF: f32 = 0.5;");
    assert_eq!(first, hash(), "times do not matter");
    fs::rename(path("encode/q4_k.rs"), path("encode/q5_k.rs")).unwrap();
    let renamed = hash();
    write("encode/q4_k.rs", "");
    let added = hash();
    let all = [first, changed, renamed, added];
    for (index, one) in all.iter().enumerate() {
        assert!(!all[..index].contains(one), "{all:x?}");
    }
}
