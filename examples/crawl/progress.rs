//! [`Progress`]: a line on the terminal with the progress of the crawl.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// The length of the bar, in characters.
const BAR: usize = 30;

/// The length of the whole line; a narrower terminal would break it.
const LINE: usize = 72;

/// The shortest time between two drawings.
const PAUSE: Duration = Duration::from_millis(50);

/// A progress bar on standard error; it draws nothing unless that is a terminal. Dropping it clears
/// the line.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    is_terminal: bool,
    drawn: Option<Instant>,
}

impl Progress {
    /// Creates a bar for a crawl that starts now.
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), is_terminal: io::stderr().is_terminal(), drawn: None }
    }

    /// Updates the line: `ended` of the `known` pages are finished, `errors` failed.
    pub(crate) fn show(&mut self, ended: usize, known: usize, errors: usize) {
        let now = Instant::now();
        if self.is_due(now) {
            self.drawn = Some(now);
            draw(&format!("\r{:LINE$}", line(ended, known, errors, now - self.start)));
        }
    }

    /// Whether the line is visible, and the last drawing was long enough ago.
    fn is_due(&self, now: Instant) -> bool {
        self.is_terminal && self.drawn.is_none_or(|drawn| now - drawn >= PAUSE)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            draw(&format!("\r{:LINE$}\r", ""));
        }
    }
}

/// The text of the line.
fn line(ended: usize, known: usize, errors: usize, elapsed: Duration) -> String {
    let done = (BAR * ended).checked_div(known).unwrap_or(0);
    let seconds = elapsed.as_secs();
    format!("[{:-<BAR$}] {ended}/{known} pages, {errors} errors, {seconds}s", "#".repeat(done))
}

/// Writes to the terminal. A failure to write does not end the crawl.
fn draw(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_says_how_much_is_done() {
        let line = |ended, known| line(ended, known, 3, Duration::from_millis(2900));
        assert_eq!(line(0, 0), "[------------------------------] 0/0 pages, 3 errors, 2s");
        assert_eq!(line(5, 10), "[###############---------------] 5/10 pages, 3 errors, 2s");
        assert_eq!(line(10, 10), "[##############################] 10/10 pages, 3 errors, 2s");
    }

    #[test]
    fn line_is_drawn_on_terminals_after_a_pause() {
        let start = Instant::now();
        let progress = |is_terminal, drawn| Progress { start, is_terminal, drawn };
        assert!(!progress(false, None).is_due(start));
        assert!(progress(true, None).is_due(start));
        assert!(!progress(true, Some(start)).is_due(start + PAUSE / 2));
        assert!(progress(true, Some(start)).is_due(start + PAUSE));
    }
}
