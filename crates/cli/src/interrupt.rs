//! Stopping in good order when the user presses Ctrl-C.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit status of a program that was ended from the keyboard.
const INTERRUPTED: i32 = 130;

/// A flag that is set when Ctrl-C is pressed. The second time ends the program at once.
pub(crate) fn flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    // Where it cannot be caught, it ends the program, and what that leaves can be continued just the same; where it is
    // ignored (in the background of a shell), it stays so.
    let _ = ctrlc::try_set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            process::exit(INTERRUPTED);
        }
    });
    flag
}
