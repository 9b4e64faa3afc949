//! The workspace's chores: `cargo xtask COMMAND`.
//!
//! - `test`: unit and integration tests, doc tests, then `examples`.
//! - `examples`: runs each example; its output must match `examples/expected`.
//! - `ci`: everything that a change must pass: format, clippy, layers, tidy, test, loom, docs,
//!   deny, features, package, brokers.
//! - `ci --fast`: format, clippy, layers, tidy, and the tests on `LocalHub`, `SimHub` and a `Hub`
//!   of one thread: for use between two changes.
//! - `layers [--manifest PATH]`: no crate uses one of its own layer or above.
//! - `tidy`: the rules of style that a program can check.
//! - `loom`: the models; `LOOM_MAX_PREEMPTIONS=4` looks further, for minutes.
//! - `deny`: licences, sources and owners of the outside crates.
//! - `features`: each crate builds alone: with none of its features, with each, and with all.
//! - `package`: each crate can be packaged, and builds from its package.
//! - `conformance [--corpus PATH] [--only ID] [--tag TAG] [--verbose]`: the behaviour of gevent and
//!   eventlet, compared with ours; PATH is a `.jsonl` or `.jsonl.xz` file, or a folder of them.
//! - `stress [--seconds N]`: storms on real threads, optimised, for N seconds, 60 by default; then
//!   a million closures through thread pools.
//! - `explore [--minutes N]`: the scenarios of `tests/tests/explore` in ever more orders,
//!   optimised, for N minutes, 10 by default.
//! - `brokers [--bench]`: `spinney-celery` with `RabbitMQ`, redis and Python's Celery in two versions,
//!   which it installs where it may; with `--bench` also the cost of a task beside gevent.
//! - `build-cost`: seconds and crates of a program with spinney, smol or tokio alone.
//! - `bench [ARGS]`: spinney beside its rivals; `bench --help` lists the arguments.

mod bench;
mod brokers;
mod build_cost;
mod ci;
mod conformance;
mod deny;
mod examples;
mod explore;
mod faults;
mod features;
mod layers;
mod loom;
mod metadata;
mod package;
mod steps;
mod stress;
mod test;
mod tidy;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

use steps::Steps;
use workspace::Workspace;

/// The result of a command: the error is the text for its caller.
type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[&str]) -> Result {
    match args {
        ["test"] => in_steps(test::run),
        ["examples"] => in_steps(examples::run),
        ["ci"] => in_steps(ci::run),
        ["ci", "--fast"] => in_steps(ci::fast),
        ["layers"] => layers::run(&Workspace::open()?),
        ["layers", "--manifest", path] => layers::run(&Workspace::at(Path::new(path))?),
        ["tidy"] => tidy::run(&Workspace::open()?),
        ["loom"] => loom::run(&Workspace::open()?),
        ["deny"] => deny::run(&Workspace::open()?),
        ["features"] => in_steps(features::run),
        ["package"] => package::run(&Workspace::open()?),
        ["stress"] => stress::run(&Workspace::open()?, 60),
        ["stress", "--seconds", seconds] => stress::run(&Workspace::open()?, seconds.parse()?),
        ["explore"] => explore::run(&Workspace::open()?, 10.0),
        ["explore", "--minutes", minutes] => explore::run(&Workspace::open()?, minutes.parse()?),
        ["conformance", rest @ ..] => conformance::run(&Workspace::open()?, rest),
        ["brokers"] => in_steps(|workspace, steps| brokers::run(workspace, steps, false)),
        ["brokers", "--bench"] => in_steps(|workspace, steps| brokers::run(workspace, steps, true)),
        ["build-cost"] => build_cost::run(&Workspace::open()?),
        ["bench", rest @ ..] => bench::run(&Workspace::open()?, rest),
        [] | ["-h" | "--help" | "help"] => {
            println!("{}", help());
            Ok(())
        }
        _ => Err(format!("no such command: {}\n\n{}", args.join(" "), help()).into()),
    }
}

fn in_steps(run: impl FnOnce(&Workspace, &mut Steps) -> Result) -> Result {
    let workspace = Workspace::open()?;
    Steps::all(|steps| run(&workspace, steps))
}

/// The text at the head of this file, the only list of the commands.
fn help() -> String {
    let lines = include_str!("main.rs").lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(str::trim_start).collect::<Vec<_>>().join("\n").replace('`', "")
}
