//! Runs scenarios that gevent and eventlet ran: `cargo xtask conformance`.
//!
//! `conformance [--corpus PATH] [--only ID] [--tag TAG] [--verbose]`

use std::path::PathBuf;
use std::process::ExitCode;

use spinney_tests::conformance::{Report, default_corpus, read};

const USAGE: &str = "conformance [--corpus PATH] [--only ID] [--tag TAG] [--verbose]";

#[derive(Default)]
struct Args {
    corpus: Option<PathBuf>,
    only: Option<String>,
    tag: Option<String>,
    verbose: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all pass.
fn run() -> Result<bool, Box<dyn std::error::Error>> {
    let args = args()?;
    let mut scenarios = read(&args.corpus.unwrap_or_else(default_corpus))?;
    scenarios.retain(|scenario| {
        args.only.as_ref().is_none_or(|id| id == scenario.id())
            && args.tag.as_ref().is_none_or(|tag| scenario.has_tag(tag))
    });
    if scenarios.is_empty() {
        return Err("no scenario is left to run".into());
    }
    let report = Report::of(scenarios);
    if args.verbose {
        report.lines().for_each(|line| println!("{line}"));
    }
    print!("{report}");
    Ok(report.failed() == 0)
}

fn args() -> Result<Args, String> {
    let mut args = Args::default();
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        let mut value = || given.next().ok_or(format!("{arg} needs a value: {USAGE}"));
        match arg.as_str() {
            "--corpus" => args.corpus = Some(value()?.into()),
            "--only" => args.only = Some(value()?),
            "--tag" => args.tag = Some(value()?),
            "--verbose" => args.verbose = true,
            _ => return Err(format!("unknown argument {arg}: {USAGE}")),
        }
    }
    Ok(args)
}
