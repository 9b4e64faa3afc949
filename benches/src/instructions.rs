//! Counts the instructions of the hot paths with callgrind, independent of other load on the
//! machine, and compares them with the counts in a file.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::Command;

use crate::load::Load;
use crate::machine::{Machine, first_line};
use crate::workload::{Rival, Workload};
use crate::{solo, table, workloads};

/// The file of the counts, beside this package's manifest.
const KEPT: &str = "instructions.txt";

/// The heading of the file.
const HEAD: &str =
    "# Instructions an item takes: kept by `cargo xtask bench --instructions --update`.";

/// The hot paths that are counted, each alone in its workload.
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

/// Thread pools are counted with one thread: with two, the thread that takes a closure is random.
const THREAD_POOLS: &str = "W9";

/// Two sizes: their difference is free of the cost of setting up.
const ITEMS: [u32; 2] = [10_000, 30_000];

/// The middle one of this many runs counts: threads that meet in another order take more or less.
const RUNS: usize = 7;

/// A change by more than this is reported.
const NOTICED: f64 = 0.03;

/// Counts by path.
type Counts = BTreeMap<String, f64>;

/// Counts, and prints the changes.
///
/// # Errors
///
/// If callgrind is missing, no counts are stored, or a path takes at least 3 % more.
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

/// Counts, and stores the counts.
///
/// # Errors
///
/// If callgrind is missing, or the file cannot be written.
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

/// The instructions of one run, including the start of the process.
///
/// # Errors
///
/// If callgrind is missing, or the run fails.
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
        eprintln!("the stored counts belong to another compiler than {compiler}");
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
