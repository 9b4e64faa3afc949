//! One rival in its own process, so that it has its own peak of memory.

use std::error::Error;
use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::load::Load;
use crate::results::Sample;
use crate::stopwatch::Outcome;
use crate::workload::{Rival, Workload};

/// A shorter run is repeated; otherwise the clock and the first touch would count too much.
const LEAST: Duration = Duration::from_millis(20);

/// The variable with the number of threads of the global hub.
const THREADS_VARIABLE: &str = "SPINNEY_THREADS";

/// The variable with the number of threads of `blocking`, and its value: as many as all other
/// thread pools. The default is five hundred.
const BLOCKING_THREADS: (&str, &str) = ("BLOCKING_MAX_THREADS", "2");

/// Makes `command` run this program with `rival` alone.
pub(crate) fn prepare(command: &mut Command, workload: &Workload, rival: &Rival, load: Load) {
    let Load { items, slots } = load;
    let who = format!("{}/{}", workload.id, rival.name);
    command.args(["--solo", &who, &format!("--items={items}"), &format!("--slots={slots}")]);
    command.env(BLOCKING_THREADS.0, BLOCKING_THREADS.1);
    match rival.hub_threads {
        Some(threads) => command.env(THREADS_VARIABLE, threads.to_string()),
        None => command.env_remove(THREADS_VARIABLE),
    };
}

/// Runs `rival` in its own process.
///
/// # Errors
///
/// The error output of the process.
pub(crate) fn in_a_process(
    workload: &Workload,
    rival: &Rival,
    load: Load,
) -> Result<Sample, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    prepare(&mut command, workload, rival, load);
    Ok(serde_json::from_slice(&said(workload, rival, command.output()?)?)?)
}

/// Runs every rival of every workload once with a thousandth of the work; those of one workload
/// concurrently.
///
/// # Errors
///
/// If one of them fails, or gives a wrong answer.
pub(crate) fn check(workloads: &[Workload]) -> Result<(), Box<dyn Error>> {
    let program = std::env::current_exe()?;
    for workload in workloads {
        let start = |rival| {
            let mut command = Command::new(&program);
            prepare(&mut command, workload, rival, workload.load.divided(1000));
            let command = command.arg("--once").stdout(Stdio::piped()).stderr(Stdio::piped());
            Ok((rival, command.spawn()?))
        };
        let started: Result<Vec<(&Rival, Child)>, Box<dyn Error>> =
            workload.rivals.iter().map(start).collect();
        for (rival, process) in started? {
            said(workload, rival, process.wait_with_output()?)?;
        }
    }
    Ok(())
}

/// The output of `rival`'s process, if it succeeded.
fn said(workload: &Workload, rival: &Rival, output: Output) -> Result<Vec<u8>, Box<dyn Error>> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{}/{}: {}: {complaint}", workload.id, rival.name, output.status).into())
}

/// Runs `rival` in this process, after a warm-up.
///
/// # Errors
///
/// If its answer is wrong.
pub(crate) fn sample(
    workload: &Workload,
    rival: &Rival,
    load: Load,
) -> Result<Sample, Box<dyn Error>> {
    once(workload, rival, load.warm_up())?;
    let peak_before = peak();
    let (mut wall, mut cpu, mut items) = (Duration::ZERO, Duration::ZERO, 0.0);
    let start = Instant::now();
    while start.elapsed() < LEAST {
        let outcome = once(workload, rival, load)?;
        wall += outcome.wall;
        cpu += outcome.cpu;
        items += f64::from(load.items);
    }
    let nanoseconds = |time: Duration| time.as_secs_f64() * 1e9 / items;
    Ok(Sample { wall: nanoseconds(wall), cpu: nanoseconds(cpu), bytes: peak() - peak_before })
}

/// Runs `rival` in this process, once.
///
/// # Errors
///
/// If its answer is wrong.
pub(crate) fn once(
    workload: &Workload,
    rival: &Rival,
    load: Load,
) -> Result<Outcome, Box<dyn Error>> {
    let outcome = (rival.run)(load);
    let expected = (workload.answer)(load.items);
    if outcome.answer == expected {
        Ok(outcome)
    } else {
        Err(format!("answered {}, not {expected}, for {load:?}", outcome.answer).into())
    }
}

/// The peak of this process's memory so far, in bytes; 0 where there is no `/proc`.
fn peak() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or_default() * 1024.0
}
