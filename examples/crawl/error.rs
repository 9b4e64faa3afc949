//! [`FetchError`]: why a URL gave no page.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use hyper::StatusCode;

/// Why a URL gave no page. None of them ends the crawl.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// It is not a URL that can be asked for over plain HTTP.
    BadUrl(String),
    /// No connection came about: refused, unreachable, no such host.
    Connect(io::Error),
    /// The whole fetch took longer than this.
    TimedOut(Duration),
    /// The answer was not HTTP, or never began.
    Broken(hyper::Error),
    /// The answer has a status other than 2xx; where it points to, if it is a redirect.
    Status(StatusCode, Option<String>),
    /// The server has no time for it, and may say when it has.
    Busy(StatusCode, Option<Duration>),
    /// The connection ended in the middle of the body, after so many bytes.
    Truncated(usize, hyper::Error),
    /// The body is longer than this many bytes.
    TooLarge(usize),
    /// The fetch was killed, or panicked.
    Unfinished,
}

impl FetchError {
    /// The word under which the summary counts it.
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
