//! The command line.

use std::error::Error;
use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Crawls web pages breadth first, a few at once, and prints a summary, which includes how many were
fetched at once at most, and how long they would have taken one by one.

Usage: crawl [OPTIONS] [URL]...

Without a URL it crawls its own small server, which plants errors: some pages are slow, missing,
cut short or too large, and some are answered with 429 or 503 the first time. Such a page is
requested again, after the time in Retry-After. With URLs it stays on their hosts, and only uses
plain http://. It does not read robots.txt. Ctrl-C ends the crawl with the summary so far.

Options:
  -c, --concurrency N    fetch at most N pages at once [default: 5]
  -p, --per-host N       fetch at most N pages of one host at once [default: 4]
  -s, --rate N           start at most N fetches per second, 10 together [default: 500]
  -r, --retries N        retry at most N times while the server is busy [default: 3]
  -m, --max-pages N      request at most N pages in total [default: 1000]
  -t, --timeout SECONDS  limit the time of each page, fractions allowed [default: 10]
      --trace FILE       write a timeline of the crawl: JSON for Perfetto if FILE ends in
                         .json, otherwise a page for a browser
  -h, --help             print this help
";

/// The command of the user.
#[derive(Debug)]
pub(crate) enum Command {
    /// Crawl.
    Crawl(Settings),
    /// Print the help.
    Help,
}

/// The settings of a crawl.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where the crawl starts, as given; without URLs, at its own server.
    pub(crate) urls: Vec<String>,
    /// How many pages to fetch at once.
    pub(crate) concurrency: NonZeroUsize,
    /// How many pages of one host to fetch at once.
    pub(crate) per_host: NonZeroUsize,
    /// How many fetches may start per second.
    pub(crate) rate: NonZeroU32,
    /// How often to retry while the server is busy.
    pub(crate) retries: u32,
    /// How many pages to request in total.
    pub(crate) max_pages: NonZeroUsize,
    /// The time limit of one page, from the connection to the last byte.
    pub(crate) timeout: Duration,
    /// The file for the timeline.
    pub(crate) trace: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            concurrency: const { NonZeroUsize::new(5).unwrap() },
            per_host: const { NonZeroUsize::new(4).unwrap() },
            rate: const { NonZeroU32::new(500).unwrap() },
            retries: 3,
            max_pages: const { NonZeroUsize::new(1000).unwrap() },
            timeout: Duration::from_secs(10),
            trace: None,
        }
    }
}

/// Parses the command line.
///
/// # Errors
///
/// An option that does not exist, or a value that an option does not accept; the message names
/// both.
pub(crate) fn parse(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut settings = Settings::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('c') | Arg::Long("concurrency") => {
                settings.concurrency = count("--concurrency", &parser.value()?)?;
            }
            Arg::Short('p') | Arg::Long("per-host") => {
                settings.per_host = count("--per-host", &parser.value()?)?;
            }
            Arg::Short('s') | Arg::Long("rate") => {
                settings.rate = count("--rate", &parser.value()?)?;
            }
            Arg::Short('r') | Arg::Long("retries") => {
                settings.retries = number("--retries", "a whole number", &parser.value()?)?;
            }
            Arg::Short('m') | Arg::Long("max-pages") => {
                settings.max_pages = count("--max-pages", &parser.value()?)?;
            }
            Arg::Short('t') | Arg::Long("timeout") => {
                settings.timeout = seconds("--timeout", &parser.value()?)?;
            }
            Arg::Long("trace") => settings.trace = Some(parser.value()?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Value(url) => settings.urls.push(url.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Command::Crawl(settings))
}

/// Parses the value of `option` as a number of at least 1.
fn count<N: FromStr<Err: Into<Box<dyn Error + Send + Sync>>>>(
    option: &str,
    value: &OsString,
) -> Result<N, lexopt::Error> {
    number(option, "a whole number of at least 1", value)
}

/// Parses the value of `option`, which `wants` describes.
fn number<N: FromStr<Err: Into<Box<dyn Error + Send + Sync>>>>(
    option: &str,
    wants: &str,
    value: &OsString,
) -> Result<N, lexopt::Error> {
    value.parse().map_err(|_| refused(option, wants, value))
}

/// Parses the value of `option` as a time above zero.
fn seconds(option: &str, value: &OsString) -> Result<Duration, lexopt::Error> {
    let seconds = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|time| !time.is_zero())
        .ok_or_else(|| refused(option, "a number of seconds greater than 0", value))
}

/// The message for a value that an option does not accept.
fn refused(option: &str, wants: &str, value: &OsString) -> lexopt::Error {
    format!("{option} takes {wants}, not {}", value.to_string_lossy()).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse_line(line: &str) -> Result<Command, lexopt::Error> {
        parse(Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn every_option_reaches_the_settings() {
        let line = "-c 50 -p 3 --rate 9 -r0 --max-pages=7 --timeout 0.5 --trace t.json http://a/ http://b/";
        let Ok(Command::Crawl(settings)) = parse_line(line) else { panic!("{line} is sound") };
        assert_eq!((settings.concurrency.get(), settings.max_pages.get()), (50, 7));
        assert_eq!((settings.per_host.get(), settings.rate.get(), settings.retries), (3, 9, 0));
        assert_eq!(settings.timeout, Duration::from_millis(500));
        assert_eq!(settings.trace.as_deref(), Some(Path::new("t.json")));
        assert_eq!(settings.urls, ["http://a/", "http://b/"]);
    }

    #[test]
    fn bad_value_is_refused_by_name() {
        for option in ["--concurrency", "--per-host", "--rate", "--max-pages", "--timeout"] {
            for value in ["0", "-1", "many", "NaN"] {
                let message = parse_line(&format!("{option}={value}")).unwrap_err().to_string();
                assert!(message.contains(option) && message.contains(value), "{message}");
            }
        }
        assert!(parse_line("--depth 3").is_err());
        assert!(parse_line("--timeout").is_err());
    }

    #[test]
    fn help_names_every_option() {
        assert!(matches!(parse_line("--help"), Ok(Command::Help)));
        let options = [
            "--concurrency",
            "--per-host",
            "--rate",
            "--retries",
            "--max-pages",
            "--timeout",
            "--trace",
        ];
        assert!(options.iter().all(|option| HELP.contains(option)));
    }
}
