//! [`FetchError`]: why a fetch returned no page.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use hyper::StatusCode;

/// Why a fetch returned no page. No such error ends the crawl.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// The text is not a URL, or its scheme is not `http`.
    BadUrl(String),
    /// No connection: refused, unreachable, or no such host.
    Connect(io::Error),
    /// The fetch took longer than this.
    TimedOut(Duration),
    /// The answer was not HTTP, or never began.
    Broken(hyper::Error),
    /// The answer has a status other than 2xx; with the target of a redirect.
    Status(StatusCode, Option<String>),
    /// The server is busy; with its Retry-After, if it sent one.
    Busy(StatusCode, Option<Duration>),
    /// The connection ended in the body, after this many bytes.
    Truncated(usize, hyper::Error),
    /// The body is longer than this many bytes.
    TooLarge(usize),
    /// The fetch was killed, or panicked.
    Unfinished,
}

impl FetchError {
    /// The name of the error in the summary.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::BadUrl(_) => "bad URL",
            Self::Connect(_) => "no connection",
            Self::TimedOut(_) => "timed out",
            Self::Broken(_) => "broken answer",
            Self::Status(..) => "status not 2xx",
            Self::Busy(..) => "server busy",
            Self::Truncated(..) => "truncated body",
            Self::TooLarge(_) => "oversized body",
            Self::Unfinished => "unfinished",
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl(reason) => f.write_str(reason),
            Self::Connect(error) => error.fmt(f),
            Self::TimedOut(limit) => write!(f, "not done within {limit:?}"),
            Self::Broken(error) => error.fmt(f),
            Self::Status(status, None) | Self::Busy(status, None) => status.fmt(f),
            Self::Status(status, Some(location)) => write!(f, "{status}, to {location}"),
            Self::Busy(status, Some(after)) => write!(f, "{status}, again after {after:?}"),
            Self::Truncated(bytes, _) => write!(f, "the connection ended after {bytes} bytes"),
            Self::TooLarge(limit) => write!(f, "longer than {limit} bytes"),
            Self::Unfinished => f.write_str("ended before its answer"),
        }
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connect(error) => error.source(),
            Self::Broken(error) => error.source(),
            Self::Truncated(_, error) => Some(error),
            _ => None,
        }
    }
}
