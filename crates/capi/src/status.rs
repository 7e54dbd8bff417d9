//! How calls end.

use std::cell::RefCell;
use std::error::Error;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a call ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum granule_status {
    /// It has done what it says.
    Ok = 0,
    /// An argument is null, out of range or not UTF-8, or a buffer has another length than needed.
    Argument = 1,
    /// The operating system could not read a file.
    Io = 2,
    /// The file is not a valid GGUF file, or a split set is not whole.
    Format = 3,
    /// This version or platform cannot handle the tensor.
    Unsupported = 4,
    /// There is no such tensor or key.
    NotFound = 5,
    /// The metadata entry has another type.
    Type = 6,
    /// The values cannot be encoded.
    Encode = 7,
    /// A fault of this library; please report it.
    Internal = 8,
}

/// Why a call fails.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: granule_status,
    pub(crate) message: String,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Returns a failure with this message.
pub(crate) fn fail<T>(status: granule_status, message: impl Into<String>) -> Result<T> {
    Err(Failure { status, message: message.into() })
}

thread_local! {
    static MESSAGE: RefCell<CString> = RefCell::default();
}

/// Does the work of a function: notes the message if it fails, and lets no panic out to C.
pub(crate) fn attempt(work: impl FnOnce() -> Result<()>) -> granule_status {
    let failure = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return granule_status::Ok,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown");
            let message = format!("a fault of this library: {text}");
            Failure { status: granule_status::Internal, message }
        }
    };
    let message = failure.message.replace('\0', "\\0");
    MESSAGE.with(|last| *last.borrow_mut() = CString::new(message).unwrap_or_default());
    failure.status
}

/// The message of an error and of its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += ": ";
        text += &error.to_string();
        cause = error.source();
    }
    text
}

impl From<granule_reader::Error> for Failure {
    fn from(error: granule_reader::Error) -> Self {
        use granule_reader::Error;
        let status = match &error {
            Error::Io { .. } => granule_status::Io,
            Error::Unsupported { .. } => granule_status::Unsupported,
            _ => granule_status::Format,
        };
        Self { status, message: chain(&error) }
    }
}

impl From<granule_encode::EncodeError> for Failure {
    fn from(error: granule_encode::EncodeError) -> Self {
        Self { status: granule_status::Encode, message: chain(&error) }
    }
}

/// Returns why the last failed call of this thread has failed. The string lives until the next
/// call that fails on this thread; it is empty if none has.
#[unsafe(no_mangle)]
pub extern "C" fn granule_error_message() -> *const c_char {
    MESSAGE.with(|last| last.borrow().as_ptr())
}

/// Returns the version of the library, such as "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn granule_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version without NUL"),
        };
    VERSION.as_ptr()
}
