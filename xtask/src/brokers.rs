//! `cargo xtask brokers`: `spinney-celery` against the real thing: `RabbitMQ`, redis, and Python's Celery
//! in two versions.
//!
//! Everything but the two servers stays in the folder `brokers` of the target directory: their state
//! and logs, and Celery's virtual environments.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use xshell::{Cmd, cmd};

use crate::Result;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// The crate that needs a broker to be tested.
pub(crate) const CRATE: &str = "spinney-celery";

/// Celery, the newest version first, with what the scripts need beside it.
const CELERY: [&[&str]; 2] = [
    &["celery==5.7.0", "redis==8.1.0", "psutil==7.2.2", "gevent==26.9.0", "flower==2.2.0"],
    &["celery==5.5.3", "redis==8.1.0", "psutil==7.2.2", "gevent==26.9.0"],
];

/// Debian's packages, and a file of each.
const SERVERS: [(&str, &str); 2] = [
    ("rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server"),
    ("redis-server", "/usr/bin/redis-server"),
];

const REDIS: &str = "redis://127.0.0.1:6390/0";

/// The ports of the servers, on loopback.
const PORTS: [(&str, u16); 2] = [("rabbit", 5672), ("redis", 6390)];

/// No-ops of the two benches: to see that nothing is amiss, and to measure.
const NOOPS: [&str; 2] = ["4000", "20000"];

/// The share of gevent's CPU time that no-ops may take. Short runs are coarse.
const SHARE: [f64; 2] = [1.0 / 8.0, 1.0 / 15.0];

pub(crate) fn run(workspace: &Workspace, steps: &mut Steps, measures: bool) -> Result {
    let sh = &workspace.sh;
    steps.step("servers are installed", "cargo xtask brokers", || install(workspace))?;
    steps.cmd("tests of spinney-celery", cmd!(sh, "cargo test --quiet --package {CRATE}"))?;
    let build = cmd!(sh, "cargo build --quiet --release --package {CRATE} --examples");
    // As the programs of users are optimised, rather than those of this workspace.
    let build = build.env("CARGO_PROFILE_RELEASE_LTO", "false");
    steps.cmd("the worker and the producer are built", build)?;
    let mut bench = Acceptance { workspace, folder: workspace.target().join("brokers") };
    let pythons = CELERY.map(|packages| bench.python(packages));
    let [newest, older] = pythons;
    let (newest, older) = (newest?, older?);
    let brokers = bench.start()?;
    for (python, packages) in [(&newest, CELERY[0]), (&older, CELERY[1])] {
        for results in ["rpc://", REDIS] {
            let script = Script { python, name: "check.py", args: &[], results };
            steps.step(&format!("{} {results}", packages[0]), AGAIN, || bench.check(&script))?;
        }
    }
    for results in ["rpc://", REDIS] {
        let script = Script { python: &newest, name: "edges.py", args: &[], results };
        steps.step(&format!("edges {results}"), AGAIN, || bench.run(&script))?;
    }
    let all = ["kill9", "warm", "grace", "connloss", "broker9", "blocked", "etahold"];
    let script = Script { python: &newest, name: "crash.py", args: &all, results: "rpc://" };
    steps.step("crashes", AGAIN, || bench.run(&script))?;
    steps.step("cost beside gevent", AGAIN, || bench.compare(&newest, measures))?;
    drop(brokers);
    Ok(())
}

const AGAIN: &str = "cargo xtask brokers";

/// Installs the servers where that is allowed; otherwise says what to install.
fn install(workspace: &Workspace) -> Result {
    let sh = &workspace.sh;
    let missing: Vec<&str> = SERVERS
        .iter()
        .filter(|(_, file)| !Path::new(file).exists())
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let is_root = cmd!(sh, "id -u").quiet().read().is_ok_and(|id| id == "0");
    let has_apt = cmd!(sh, "apt-get --version").quiet().read().is_ok();
    if !(is_root && has_apt) {
        let missing = missing.join(" ");
        return Err(format!("install Debian's packages first: apt-get install {missing}").into());
    }
    cmd!(sh, "apt-get update -qq").quiet().run()?;
    let install = cmd!(sh, "apt-get install -y -qq --no-install-recommends {missing...}");
    // Debian would start them as services of its own.
    let policy = Path::new("/usr/sbin/policy-rc.d");
    let is_new = !policy.exists();
    if is_new {
        fs::write(policy, "#!/bin/sh\nexit 101\n")?;
        cmd!(sh, "chmod +x {policy}").quiet().run()?;
    }
    let installed = install.env("DEBIAN_FRONTEND", "noninteractive").quiet().ignore_stdout().run();
    if is_new {
        fs::remove_file(policy)?;
    }
    Ok(installed?)
}

/// The scripts, and the folder that they work in.
struct Acceptance<'a> {
    workspace: &'a Workspace,
    folder: PathBuf,
}

/// One run of a script.
struct Script<'a> {
    python: &'a Path,
    name: &'a str,
    args: &'a [&'a str],
    results: &'a str,
}

impl Acceptance<'_> {
    fn scripts(&self) -> PathBuf {
        self.workspace.root().join("crates/celery/acceptance")
    }

    /// A Python with these packages; the first names its folder.
    fn python(&mut self, packages: &[&str]) -> Result<PathBuf> {
        let sh = &self.workspace.sh;
        let folder = self.folder.join(packages[0].replace("==", "-"));
        let python = folder.join("bin/python");
        let done = folder.join("installed");
        let wanted = packages.join("\n");
        if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
            return Ok(python);
        }
        cmd!(sh, "python3 -m venv {folder}").quiet().run()?;
        cmd!(sh, "{python} -m pip install --quiet {packages...}").quiet().run()?;
        fs::write(done, wanted)?;
        Ok(python)
    }

    fn start(&self) -> Result<Brokers> {
        let (sh, folder) = (&self.workspace.sh, &self.folder);
        let script = self.scripts().join("start-broker.sh");
        let mut brokers = Brokers { pids: Vec::new() };
        for (kind, port) in PORTS {
            if TcpListener::bind(("127.0.0.1", port)).is_err() {
                return Err(format!("port {port} is taken: stop the program that has it").into());
            }
            let pid = cmd!(sh, "bash {script} {kind} {folder}").quiet().read()?;
            brokers.pids.push(PathBuf::from(pid));
        }
        Ok(brokers)
    }

    fn script(&self, script: &Script<'_>) -> Cmd<'_> {
        let (python, file) = (script.python, self.scripts().join(script.name));
        let (worker, args) =
            (self.workspace.target().join("release/examples/acceptance"), script.args);
        let celery = python.with_file_name("celery");
        cmd!(self.workspace.sh, "{python} -W ignore {file} {args...}")
            .env("BACKEND", script.results)
            .env("CELERY", &celery)
            .env("DIR", &self.folder)
            .env("FLOWER", &celery)
            .env("PYTHONPATH", self.scripts())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TASKLOG", self.folder.join("once.log"))
            .env("WORKER", worker)
            .quiet()
    }

    /// Runs a script that starts its own workers; what it prints is shown if it fails.
    fn run(&self, script: &Script<'_>) -> Result {
        let output = self.script(script).ignore_status().output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            println!("     {}", text.lines().last().unwrap_or_default());
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        let logs = self.folder.join("log");
        Err(format!("{text}{errors}\nlogs are in {}", logs.display()).into())
    }

    /// Runs the functional checks beside a worker.
    fn check(&self, script: &Script<'_>) -> Result {
        let program = self.workspace.target().join("release/examples/acceptance");
        let mut worker = Command::new(program);
        worker.args(["name=check@localhost", "quiet=1"]);
        if script.results == REDIS {
            worker.arg(format!("redis={REDIS}"));
        }
        let mut worker = worker.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let checked = self.run(script);
        worker.kill()?;
        worker.wait()?;
        checked
    }

    /// Compares what no-ops cost with what they cost gevent.
    fn compare(&self, python: &Path, measures: bool) -> Result {
        let noops = NOOPS[usize::from(measures)];
        let bench = |args: &[&str]| -> Result<serde_json::Value> {
            let script = Script { python, name: "bench.py", args, results: "rpc://" };
            let line = self.script(&script).read()?;
            println!("     {line}");
            Ok(serde_json::from_str(&line)?)
        };
        let ours = bench(&["rust", "100", "4", "noop", "0", noops, "rpc"])?;
        let theirs = bench(&["gevent", "100", "4", "noop", "0", noops, "rpc"])?;
        let figure = |of: &serde_json::Value, key: &str| of[key].as_f64().unwrap_or(f64::NAN);
        let share = figure(&ours, "cpu_s") / figure(&theirs, "cpu_s");
        println!("     {:.1} % of gevent's CPU time", 100.0 * share);
        if measures {
            bench(&["rust", "200", "4", "nap", "0.05", "2000", "rpc"])?;
            bench(&["rust", "100", "4", "noop", "0", noops, "redis"])?;
        }
        let most = SHARE[usize::from(measures)];
        let is_cheap = share <= most;
        if is_cheap {
            Ok(())
        } else {
            Err(format!("that is more than {:.1} %", 100.0 * most).into())
        }
    }
}

/// The servers that were started. Dropping it ends them.
struct Brokers {
    /// The files with the ids of their processes.
    pids: Vec<PathBuf>,
}

impl Drop for Brokers {
    fn drop(&mut self) {
        for pid in self.pids.iter().filter_map(|file| fs::read_to_string(file).ok()) {
            // One that has finished needs no signal.
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
    }
}
