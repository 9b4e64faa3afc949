//! Counts the instructions of the hot paths with callgrind, which no other load on the machine
//! moves, and compares them with those that are kept in a file.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use crate::load::Load;
use crate::machine::{Machine, first_line};
use crate::workload::{Rival, Workload};
use crate::{solo, table, workloads};

/// Where the counts are kept, beside this package's manifest.
const KEPT: &str = "instructions.txt";

/// What stands above them.
const HEAD: &str =
    "# Instructions an item takes: kept by `cargo xtask bench --instructions --update`.";

/// What is counted: the hot paths, each alone in its workload.
pub(crate) const PATHS: &[&str] = &[
    "spawn/LocalHub",
    "W1/LocalHub spawn",
    "W1/Hub spawn, 1 thread",
    "W2/LocalHub",
    "W3/LocalHub map",
    "W4/LocalHub imap_unordered",
    "W4/Hub imap_unordered, 1 thread",
    "W5/LocalHub imap",
    "W5/Hub imap, 1 thread",
    "W8a/LocalHub",
    "W8b/LocalHub",
    "W9a/ThreadPool unbounded",
    "W9a/ThreadPool map",
];

/// Thread pools are counted with one thread: which of two takes a closure is chance.
const THREAD_POOLS: &str = "W9";

/// Two sizes: what one takes more than the other is free of what setting up takes.
const ITEMS: [u32; 2] = [10_000, 30_000];

/// Of so many runs the middle one counts: threads that meet in another order take more or less.
const RUNS: usize = 7;

/// A change by more than this is told.
const NOTICED: f64 = 0.03;

/// Counts by path.
type Counts = BTreeMap<String, f64>;

/// Counts, and tells what changed.
///
/// # Errors
///
/// If there is no callgrind, nothing was kept, or something takes more by 3 % or over.
pub(crate) fn compare(workloads: &[Workload]) -> Result<(), Box<dyn Error>> {
    let kept = read()?;
    let counts = count_all(workloads)?;
    println!("{}", table::changes(&kept, &counts, NOTICED));
    let worse = counts.iter().filter(|(path, count)| {
        kept.get(*path).is_some_and(|kept| **count > kept * (1.0 + NOTICED))
    });
    let worse: Vec<&str> = worse.map(|(path, _)| path.as_str()).collect();
    if worse.is_empty() {
        Ok(())
    } else {
        Err(format!("more instructions than kept: {}", worse.join("; ")).into())
    }
}

/// Counts, and keeps the counts.
///
/// # Errors
///
/// If there is no callgrind, or the file cannot be written.
pub(crate) fn update(workloads: &[Workload]) -> Result<(), Box<dyn Error>> {
    let counts = count_all(workloads)?;
    let mut lines = vec![HEAD.to_owned(), format!("# {}", Machine::this().compiler())];
    lines.extend(counts.iter().map(|(path, count)| format!("{count:.0} {path}")));
    Ok(std::fs::write(kept_file(), lines.join("\n") + "\n")?)
}

fn count_all(workloads: &[Workload]) -> Result<Counts, Box<dyn Error>> {
    let mut counts = Counts::new();
    for path in PATHS {
        eprintln!("counting {path}");
        let (workload, rival) = workloads::find(workloads, path)?;
        let one_thread = path.starts_with(THREAD_POOLS);
        let slots = if one_thread { 1 } else { workload.load.slots };
        let middle = |items| {
            let load = Load { items, slots };
            let counted = (0..RUNS).map(|_| count(workload, rival, load));
            let mut counted = counted.collect::<Result<Vec<f64>, _>>()?;
            counted.sort_by(f64::total_cmp);
            Ok::<f64, Box<dyn Error>>(counted[RUNS / 2])
        };
        let [few, many] = ITEMS;
        let more = middle(many)? - middle(few)?;
        counts.insert((*path).into(), more / f64::from(many - few));
    }
    Ok(counts)
}

/// The instructions of one run, the start of the process included.
///
/// # Errors
///
/// If there is no callgrind, or the run fails.
pub(crate) fn count(workload: &Workload, rival: &Rival, load: Load) -> Result<f64, Box<dyn Error>> {
    if first_line("valgrind", &["--version"]) == "unknown" {
        return Err("valgrind, which counts instructions, is not installed".into());
    }
    let mut command = Command::new("valgrind");
    // Threads that take turns fairly meet in the same order more often.
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--fair-sched=try"]);
    command.arg(std::env::current_exe()?);
    solo::prepare(&mut command, workload, rival, load);
    let output = command.arg("--once").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    match collected {
        Some((_, count)) if output.status.success() => Ok(count.trim().parse()?),
        _ => Err(format!("callgrind did not end well: {said}").into()),
    }
}

fn read() -> Result<Counts, Box<dyn Error>> {
    let text = std::fs::read_to_string(kept_file());
    let text = text.map_err(|error| format!("no counts in {KEPT}: {error}"))?;
    let compiler = Machine::this().compiler();
    if !text.contains(&compiler) {
        eprintln!("the kept counts are of another compiler than {compiler}");
    }
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let counts = lines.filter_map(|line| {
        let (count, path) = line.split_once(' ')?;
        Some((path.into(), count.parse().ok()?))
    });
    Ok(counts.collect())
}

fn kept_file() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT)
}
