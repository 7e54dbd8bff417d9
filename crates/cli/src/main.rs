//! The `granule` program: converts, inspects and checks GGUF files.

use std::process::ExitCode;

fn main() -> ExitCode {
    granule_cli::main()
}
