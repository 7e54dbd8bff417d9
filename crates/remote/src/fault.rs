//! What can go wrong with an object that is far away.

use std::io;

/// Why an object cannot be read or written. Inside an [`io::Error`]; no message has a secret.
// more can go wrong in later versions
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is no such object.
    #[error("there is nothing of this name; compare it with the listing of the server")]
    Missing,
    /// The server refuses access.
    #[error("the server refuses access ({why}); {advice}")]
    Denied {
        /// What the server says.
        why: String,
        /// Where credentials come from.
        advice: &'static str,
    },
    /// The server sends whole files only.
    #[error("the server does not send parts of a file; download the file, and name the copy")]
    NoRanges,
    /// The object is not the one that was opened.
    #[error("it has changed since it was opened (then {before}, now {now}); start again")]
    Changed {
        /// ETag or time of change, and length, when it was opened.
        before: String,
        /// The same now.
        now: String,
    },
    /// The server sent another number of bytes than it announced, again and again.
    #[error("the server sends {found} bytes of the {expected} that it announces")]
    Length {
        /// Bytes that were asked for.
        expected: u64,
        /// Bytes that came.
        found: u64,
    },
    /// More bytes come than can be right.
    #[error("the server sends more than the {0} bytes that were asked for, so none can be trusted")]
    Endless(u64),
    /// The response does not come to its end in time.
    #[error("the server has not answered in {0} seconds; try again later")]
    Slow(u64),
    /// The server's certificate is not trusted.
    #[error(
        "the server's certificate is not trusted ({0}); certificates of your own are read from the \
         file that SSL_CERT_FILE names"
    )]
    Certificate(String),
    /// There is no connection.
    #[error("no connection to the server: {0}")]
    Connection(String),
    /// The server reports an error.
    #[error("the server reports an error: {0}")]
    Server(String),
    /// Results go to object stores only.
    #[error("results can be uploaded to s3://, gs:// and az:// only; write to a disk, and copy it")]
    NoUpload,
    /// A result needs the name of a file.
    #[error("name a file in the bucket: s3://BUCKET/FOLDER/NAME.gguf")]
    NoName,
    /// The upload that is to be continued is gone.
    #[error("the store does not know the upload that was begun; --restart begins anew")]
    UploadGone,
    /// A web server does not say which files it has.
    #[error("a web server lists no files; name the file")]
    NoListing,
    /// A folder has too many files.
    #[error("this folder has more than {0} files, so it is no checkpoint; name a folder in it")]
    TooMany(usize),
    /// A file that is read whole is too large.
    #[error("this file is too large to be read whole: {found} bytes, at most {most}")]
    TooLarge {
        /// Its length.
        found: u64,
        /// The largest.
        most: u64,
    },
    /// The settings of a store are wrong.
    #[error("{0}")]
    Settings(String),
}

impl Fault {
    /// Whether another attempt could go better.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self, Self::Length { .. } | Self::Slow(_) | Self::Connection(_) | Self::Server(_))
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        let kind = match &fault {
            Fault::Missing => io::ErrorKind::NotFound,
            Fault::Denied { .. } => io::ErrorKind::PermissionDenied,
            Fault::NoRanges => io::ErrorKind::Unsupported,
            Fault::Slow(_) => io::ErrorKind::TimedOut,
            Fault::Connection(_) => io::ErrorKind::NotConnected,
            Fault::Settings(_) => io::ErrorKind::InvalidInput,
            Fault::Length { .. } | Fault::Endless(_) => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, fault)
    }
}
