//! The benchmarks: spinney and its alternatives, side by side.
//!
//! `cargo xtask bench` runs everything; `--help` after it lists the arguments. The times of one
//! machine mean little. The ratio to a rival carries over, on a busy machine that of the minima.

mod answers;
mod args;
mod chart;
mod contest;
mod growth;
mod instructions;
mod load;
mod machine;
mod on;
mod page;
mod results;
mod scaling;
mod solo;
mod stopwatch;
mod table;
mod target;
mod workload;
mod workloads;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use args::{Args, Task};
use load::Load;
use machine::Machine;
use results::{Measured, Results};
use workload::{Rival, Workload};

fn main() -> ExitCode {
    match Args::read().map_err(Into::into).and_then(|args| run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let workloads = workloads::all();
    match &args.task {
        Task::Measure => measure(&workloads, args),
        Task::Show(kept) => show(&workloads, kept, args.plot),
        Task::Check => check(&workloads),
        Task::CountInstructions => instructions::compare(&workloads),
        Task::KeepInstructions => instructions::update(&workloads),
        Task::CheckGrowth => growth::check(&workloads),
        Task::Solo(who) => run_solo(&workloads, who, args),
        Task::Help => {
            println!("{}", args::HELP);
            Ok(())
        }
    }
}

/// Looks up every rival that a target, the scaling or the counts name, then checks each rival's
/// answer.
fn check(workloads: &[Workload]) -> Result<(), Box<dyn Error>> {
    let targets = workloads.iter().flat_map(|workload| {
        let names =
            workload.targets.iter().flat_map(|target| [Some(&*target.rival), target.of.as_deref()]);
        names.flatten().map(|name| format!("{}/{name}", workload.id))
    });
    let scaling = scaling::RIVALS.iter().map(|name| format!("{}/{name}", scaling::WORKLOAD));
    let counts = instructions::PATHS.iter().map(ToString::to_string);
    for who in targets.chain(scaling).chain(counts) {
        workloads::find(workloads, &who)?;
    }
    solo::check(workloads)
}

/// The rival named by `who`, for example `W3/LocalHub map`.
fn run_solo(workloads: &[Workload], who: &str, args: &Args) -> Result<(), Box<dyn Error>> {
    let (workload, rival) = workloads::find(workloads, who)?;
    let Load { items, slots } = workload.load;
    let load = Load { items: args.items.unwrap_or(items), slots: args.slots.unwrap_or(slots) };
    if args.once {
        solo::once(workload, rival, load)?;
    } else {
        println!("{}", serde_json::to_string(&solo::sample(workload, rival, load)?)?);
    }
    Ok(())
}

/// Runs the selected measurements, and shows and stores each result as it comes.
fn measure(workloads: &[Workload], args: &Args) -> Result<(), Box<dyn Error>> {
    if args.plot && args.save.is_none() {
        return Err("--plot needs --save FILE".into());
    }
    let mut results = Results {
        machine: Machine::this(),
        rounds: args.rounds(),
        workloads: Vec::new(),
        scaling: Vec::new(),
    };
    let keep = |results: &Results| args.save.as_ref().map_or(Ok(()), |path| results.write(path));
    println!("{}; {} rounds", results.machine.describe(), results.rounds);
    for workload in workloads.iter().filter(|workload| args.takes(workload.id)) {
        let takes_part = |rival: &Rival| rival.name.contains(&args.rival);
        let load = args.size.of(workload.load);
        let measured = contest::run(workload, load, results.rounds, takes_part)?;
        print_tables(workload, &measured);
        results.workloads.push(measured);
        keep(&results)?;
    }
    if args.takes(scaling::ID) {
        let workload = workloads.iter().find(|workload| workload.id == scaling::WORKLOAD);
        let workload = workload.ok_or("scaling has no workload")?;
        results.scaling = scaling::run(workload, args)?;
        print!("{}", table::scaling(&results.scaling));
        keep(&results)?;
    }
    if results.workloads.is_empty() && results.scaling.is_empty() {
        let ids: Vec<_> = workloads.iter().map(|workload| workload.id).collect();
        return Err(format!("there are only {} and {}", ids.join(", "), scaling::ID).into());
    }
    match &args.save {
        Some(path) if args.plot => page::renew(workloads, &results, path),
        _ => Ok(()),
    }
}

/// Shows stored results.
fn show(workloads: &[Workload], kept: &Path, plot: bool) -> Result<(), Box<dyn Error>> {
    let results = Results::read(kept)?;
    println!("{}; {} rounds", results.machine.describe(), results.rounds);
    for (workload, measured) in results.by_workload(workloads) {
        print_tables(workload, measured);
    }
    print!("{}", table::scaling(&results.scaling));
    if plot { page::renew(workloads, &results, kept) } else { Ok(()) }
}

fn print_tables(workload: &Workload, measured: &Measured) {
    println!("\n{}: {}; {} items\n", workload.id, workload.title, measured.load.items);
    println!("{}", table::measured(workload, measured));
    print!("{}", table::targets([(workload, measured)]));
}
