//! Reading scenarios: one per line, in files that may be compressed.

use std::fmt;
use std::fs;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::Scenario;

/// The themes of the second edition that are in force: the ids of its scenarios begin with `g2-` or
/// `e2-` and the theme.
const IN_FORCE: &[&str] =
    &["channel", "ends", "handles", "killtwice", "links", "locals", "reentry", "threads"];

/// Why a corpus could not be read.
#[derive(Debug)]
pub struct CorpusError {
    path: PathBuf,
    what: String,
}

/// The corpus folder of the repository.
pub fn default_corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Reads the scenarios of a file (`.jsonl` or `.jsonl.xz`), or of all such files of a folder: those
/// of the first edition, and those of the second whose theme is in force.
///
/// # Errors
///
/// [`CorpusError`] if there is none, or one cannot be read.
pub fn read(path: &Path) -> Result<Vec<Scenario>, CorpusError> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| CorpusError::new(path, error))?;
        files = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|file| is_packed(file) || has_extension(file, "jsonl"));
        files.sort();
    }
    let mut scenarios = Vec::new();
    for file in files {
        let text = unpack(&file).map_err(|error| CorpusError::new(&file, error))?;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let scenario = Scenario::parse(line)
                .map_err(|what| CorpusError::new(&file, format!("line {}: {what}", index + 1)))?;
            if is_in_force(&scenario) {
                scenarios.push(scenario);
            }
        }
    }
    if scenarios.is_empty() {
        return Err(CorpusError::new(path, "contains no scenario"));
    }
    Ok(scenarios)
}

fn is_in_force(scenario: &Scenario) -> bool {
    let mut parts = scenario.id().split('-');
    let second = matches!(parts.next(), Some("g2" | "e2"));
    !second || parts.next().is_some_and(|theme| IN_FORCE.contains(&theme))
}

fn unpack(file: &Path) -> io::Result<String> {
    if !is_packed(file) {
        return fs::read_to_string(file);
    }
    let mut text = Vec::new();
    lzma_rs::xz_decompress(&mut BufReader::new(fs::File::open(file)?), &mut text)
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    String::from_utf8(text).map_err(io::Error::other)
}

fn is_packed(file: &Path) -> bool {
    has_extension(file, "xz")
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|other| other == extension)
}

impl CorpusError {
    fn new(path: &Path, what: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), what: format!("{what}") }
    }
}

impl fmt::Display for CorpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for CorpusError {}
