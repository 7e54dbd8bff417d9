//! `granule completions`.

use crate::common::Folder;

#[test]
fn scripts_know_commands_and_options() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = folder.run(&format!("completions {shell}")).ok();
        for part in ["convert", "inspect", "tensor-type-file", "structure-only"] {
            assert!(script.contains(part), "{shell} lacks {part}");
        }
    }
}

#[test]
fn an_unknown_shell_is_wrong_usage() {
    let message = Folder::new().run("completions csh").failure();
    assert!(message.contains("csh: there is no such value; did you mean zsh?"), "{message}");
}
