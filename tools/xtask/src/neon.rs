//! The tests of the kernels on NEON, under an emulator.

use std::path::Path;

use anyhow::bail;

use xtask::run::{cargo, root};

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Files that must exist, and the Debian packages that install them.
const NEEDED: &[(&str, &str)] = &[
    (COMPILER, "rustc-web"),
    ("/usr/bin/aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu and libc6-dev-arm64-cross"),
    ("/usr/bin/qemu-aarch64", "qemu-user"),
    ("/lib/ld-linux-aarch64.so.1", "libstd-rust-web-dev:arm64, which brings libc6:arm64"),
];

/// The compiler of `rustc-web`, whose library for the target is `libstd-rust-web-dev:arm64`.
const COMPILER: &str = "/usr/bin/rustc";

/// Compile the reader for AArch64 with Debian's compiler and run its unit tests under qemu.
/// Arguments go to the test program.
pub(crate) fn neon(arguments: &[String]) -> anyhow::Result<()> {
    for (path, package) in NEEDED {
        if !Path::new(path).exists() {
            bail!(
                "{path} is missing: on Debian 12, run `dpkg --add-architecture arm64` and install \
                 {package}"
            );
        }
    }
    // the folder of its own keeps the two compilers from rebuilding each other's work
    let folder = root().join("target/neon");
    let folder = folder.to_string_lossy();
    let mut line = vec!["test", "-p", "granule-reader", "--lib", "--target", TARGET, "--"];
    line.extend(arguments.iter().map(String::as_str));
    cargo(
        &line,
        &[
            ("RUSTC", COMPILER),
            ("CARGO_TARGET_DIR", &folder),
            ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc"),
            // the C library of the cross compiler cannot start threads under qemu 7.2
            ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64"),
        ],
    )
}
