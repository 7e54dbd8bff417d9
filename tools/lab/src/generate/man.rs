use std::fs;
use std::path::PathBuf;

use xtask::run::root;

/// Write a manual page for the program and for each command.
pub(super) fn generate(arguments: &[String]) -> anyhow::Result<()> {
    let folder = arguments.first().map_or_else(|| root().join("target/man"), PathBuf::from);
    fs::create_dir_all(&folder)?;
    clap_mangen::generate_to(granule_cli::command(), &folder)?;
    println!("the pages are in {}", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        generate(&[folder.path().display().to_string()]).unwrap();
        let page = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page("granule.1").contains("granule\\-convert(1)"));
        for command in granule_cli::command().get_subcommands() {
            let page = page(&format!("granule-{}.1", command.get_name()));
            for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
                let Some(name) = argument.get_long() else { continue };
                let name = name.replace('-', "\\-");
                assert!(page.contains(&name), "{}: {name}", command.get_name());
            }
        }
    }
}
