//! The command line.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Crawls web pages breadth first, a few at a time, and prints a summary.

Usage: crawl [OPTIONS] [URL]...

Without a URL it crawls a small server of its own, whose pages are in part slow, missing, cut
short or too large. With URLs it stays on their hosts, and asks over plain http:// only. It does
not read robots.txt. Ctrl-C ends the crawl with the summary so far.

Options:
  -c, --concurrency N    fetch at most N pages at a time [default: 5]
  -m, --max-pages N      ask for at most N pages in all [default: 1000]
  -t, --timeout SECONDS  give each page so long, fractions allowed [default: 10]
      --trace FILE       write a timeline of the crawl: JSON for Perfetto if FILE ends in
                         .json, otherwise a page for a browser
  -h, --help             print this
";

/// What the user asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// To crawl.
    Crawl(Settings),
    /// To be told how.
    Help,
}

/// How to crawl, and what.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where the crawl starts, as given; none means a server of its own.
    pub(crate) urls: Vec<String>,
    /// How many pages to fetch at a time.
    pub(crate) concurrency: NonZeroUsize,
    /// How many pages to ask for in all.
    pub(crate) max_pages: NonZeroUsize,
    /// How long one page may take, from the connection to the last byte.
    pub(crate) timeout: Duration,
    /// The file for the timeline.
    pub(crate) trace: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            concurrency: const { NonZeroUsize::new(5).unwrap() },
            max_pages: const { NonZeroUsize::new(1000).unwrap() },
            timeout: Duration::from_secs(10),
            trace: None,
        }
    }
}

/// Reads the command line.
///
/// # Errors
///
/// An option that does not exist, or a value that it cannot take; the message names both.
pub(crate) fn parse(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut settings = Settings::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('c') | Arg::Long("concurrency") => {
                settings.concurrency = count("--concurrency", &parser.value()?)?;
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

/// The value of `option` as a number of things, at least one.
fn count(option: &str, value: &OsString) -> Result<NonZeroUsize, lexopt::Error> {
    value.parse().map_err(|_| refused(option, "a whole number of at least 1", value))
}

/// The value of `option` as a time longer than none.
fn seconds(option: &str, value: &OsString) -> Result<Duration, lexopt::Error> {
    let seconds = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|time| !time.is_zero())
        .ok_or_else(|| refused(option, "a number of seconds greater than 0", value))
}

/// The message for a value that an option cannot take.
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
        let line = "-c 50 --max-pages=7 --timeout 0.5 --trace t.json http://a/ http://b/";
        let Ok(Command::Crawl(settings)) = parse_line(line) else { panic!("{line} is sound") };
        assert_eq!((settings.concurrency.get(), settings.max_pages.get()), (50, 7));
        assert_eq!(settings.timeout, Duration::from_millis(500));
        assert_eq!(settings.trace.as_deref(), Some(Path::new("t.json")));
        assert_eq!(settings.urls, ["http://a/", "http://b/"]);
    }

    #[test]
    fn value_that_makes_no_sense_is_refused_by_name() {
        for option in ["--concurrency", "--max-pages", "--timeout"] {
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
        let options = ["--concurrency", "--max-pages", "--timeout", "--trace"];
        assert!(options.iter().all(|option| HELP.contains(option)));
    }
}
