//! `cargo xtask brokers`: `spinney-celery` against the real thing: `RabbitMQ`, redis, and Python's Celery
//! in two versions.
//!
//! Everything but the servers' programs stays in the folder `brokers` of the target directory: their
//! state and logs, and Celery's virtual environments.

mod servers;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use xshell::{Cmd, cmd};

use crate::Result;
use crate::steps::Steps;
use crate::workspace::Workspace;
use servers::Servers;

/// The crate that needs a broker to be tested.
pub(crate) const CRATE: &str = "spinney-celery";

/// Celery, the newest version first, with what the scripts need beside it.
const CELERY: [&[&str]; 2] = [
    &["celery==5.7.0", "redis==8.1.0", "psutil==7.2.2", "gevent==26.9.0", "flower==2.2.0"],
    &["celery==5.5.3", "redis==8.1.0", "psutil==7.2.2", "gevent==26.9.0"],
];

/// What a worker and its servers may die of.
const CRASHES: [&str; 7] = ["kill9", "warm", "grace", "connloss", "broker9", "blocked", "etahold"];

/// The profile of the tests, and of the worker unless its cost is measured: one build serves both.
const PROFILE: &str = "worker";

/// The command that runs all of this.
const AGAIN: &str = "cargo xtask brokers";

pub(crate) fn run(workspace: &Workspace, steps: &mut Steps, measures: bool) -> Result {
    let sh = &workspace.sh;
    let profile = if measures { "bench" } else { PROFILE };
    steps.step("servers are installed", AGAIN, || servers::install(sh))?;
    let others = workspace.clone();
    // Beside the rest of `ci` they wait for cargo, and nothing waits for them.
    let tests = move |steps: &mut Steps| {
        let tests = ["test", "--quiet", "--profile", PROFILE, "--package", CRATE];
        let tests = cmd!(others.sh, "cargo {tests...} --features rustls");
        steps.cmd("tests of spinney-celery", tests)
    };
    steps.beside(tests, |steps| {
        prepare(workspace, profile, steps)?;
        accept(workspace, profile, steps)
    })?;
    // Alone, for the sake of its figures.
    let bench = Acceptance::start(workspace.clone(), "bench", profile, steps)?;
    if measures { bench.measure(steps) } else { bench.compare(steps) }
}

/// Builds the worker, and installs Celery meanwhile.
fn prepare(workspace: &Workspace, profile: &str, steps: &mut Steps) -> Result {
    let others = workspace.clone();
    let celery = move |steps: &mut Steps| {
        steps.step("Celery is installed", AGAIN, || {
            CELERY.iter().try_for_each(|packages| install_celery(&others, packages))
        })
    };
    steps.beside(celery, |steps| {
        let build = ["build", "--quiet", "--profile", profile, "--package", CRATE];
        let build = cmd!(workspace.sh, "cargo {build...} --features rustls --examples");
        steps.cmd("the worker and the producer are built", build)
    })
}

/// Runs the scripts. Each list of them has servers of its own: one crashes its broker, and remote
/// control reaches all workers of a broker. They run side by side, since they wait more than they
/// compute.
fn accept(workspace: &Workspace, profile: &'static str, steps: &mut Steps) -> Result {
    let list = |name: &'static str, run: fn(&Acceptance, &mut Steps) -> Result| {
        let workspace = workspace.clone();
        move |steps: &mut Steps| run(&Acceptance::start(workspace, name, profile, steps)?, steps)
    };
    let rpc = list("rpc", |acceptance, steps| acceptance.results("rpc://", steps));
    let redis =
        list("redis", |acceptance, steps| acceptance.results(&acceptance.servers.redis(), steps));
    let crashes = list("crashes", Acceptance::crashes);
    steps.beside(rpc, |steps| steps.beside(redis, crashes))
}

/// Makes a virtual environment with these packages; the first names its folder.
fn install_celery(workspace: &Workspace, packages: &[&str]) -> Result {
    let sh = &workspace.sh;
    let folder = environment(workspace, packages);
    let (python, done) = (folder.join("bin/python"), folder.join("installed"));
    let wanted = packages.join("\n");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    cmd!(sh, "python3 -m venv --clear --without-pip {folder}").quiet().run()?;
    let pip = cmd!(sh, "python3 -m pip --python {python} --quiet --disable-pip-version-check");
    pip.arg("install").args(packages).quiet().run()?;
    Ok(fs::write(done, wanted)?)
}

fn environment(workspace: &Workspace, packages: &[&str]) -> PathBuf {
    folder(workspace).join(packages[0].replace("==", "-"))
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("brokers")
}

/// The scripts, and the servers that they use.
struct Acceptance {
    workspace: Workspace,
    /// The profile with which the worker was built.
    profile: &'static str,
    servers: Servers,
}

/// One run of a script.
struct Script<'a> {
    /// The packages of Celery's environment.
    celery: &'a [&'a str],
    name: &'a str,
    args: &'a [&'a str],
    results: &'a str,
}

impl Acceptance {
    fn start(
        workspace: Workspace,
        name: &str,
        profile: &'static str,
        steps: &mut Steps,
    ) -> Result<Self> {
        let script = scripts(&workspace).join("start-broker.sh");
        let folder = folder(&workspace).join(name);
        let mut servers = None;
        steps.step(&format!("servers for {name}"), AGAIN, || {
            servers = Some(Servers::start(&workspace, script, folder)?);
            Ok(())
        })?;
        let servers = servers.ok_or("the servers were not started")?;
        Ok(Self { workspace, profile, servers })
    }

    /// The functional checks with either version of Celery, and bad input.
    fn results(&self, results: &str, steps: &mut Steps) -> Result {
        let kind = results.split(':').next().unwrap_or(results);
        for celery in CELERY {
            let script = Script { celery, name: "check.py", args: &[], results };
            steps.step(&format!("{}, {kind}", celery[0]), AGAIN, || self.check(&script))?;
        }
        let script = Script { celery: CELERY[0], name: "edges.py", args: &[], results };
        steps.step(&format!("edges, {kind}"), AGAIN, || self.run(&script))
    }

    /// The death of workers, connections and brokers.
    fn crashes(&self, steps: &mut Steps) -> Result {
        let (celery, name, results) = (CELERY[0], "crash.py", "rpc://");
        CRASHES.iter().try_for_each(|crash| {
            let script = Script { celery, name, args: &[crash], results };
            steps.step(crash, AGAIN, || self.run(&script))
        })
    }

    /// Compares the cost of a few no-ops with what they cost gevent.
    fn compare(&self, steps: &mut Steps) -> Result {
        // A short run is coarse, and threads that find both cores free wake each other more often.
        steps.step("cost beside gevent", AGAIN, || self.share("4000", 1.0 / 5.0))
    }

    /// Compares the cost of many no-ops, and measures naps and results in redis as well.
    fn measure(&self, steps: &mut Steps) -> Result {
        steps.step("cost beside gevent", AGAIN, || {
            self.share("20000", 1.0 / 15.0)?;
            self.bench(&["rust", "200", "4", "nap", "0.05", "2000", "rpc"])?;
            self.bench(&["rust", "100", "4", "noop", "0", "20000", "redis"]).map(drop)
        })
    }

    /// Fails if no-ops take more than `most` of the CPU time that they take with gevent.
    fn share(&self, noops: &str, most: f64) -> Result {
        let ours = self.bench(&["rust", "100", "4", "noop", "0", noops, "rpc"])?;
        let theirs = self.bench(&["gevent", "100", "4", "noop", "0", noops, "rpc"])?;
        let share = ours / theirs;
        println!("     {:.1} % of gevent's CPU time", 100.0 * share);
        if share <= most {
            Ok(())
        } else {
            Err(format!("that is more than {:.1} %", 100.0 * most).into())
        }
    }

    /// Measures one worker; returns its CPU seconds.
    fn bench(&self, args: &[&str]) -> Result<f64> {
        let script = Script { celery: CELERY[0], name: "bench.py", args, results: "rpc://" };
        let line = self.command(&script).read()?;
        println!("     {line}");
        let figures: serde_json::Value = serde_json::from_str(&line)?;
        figures["cpu_s"].as_f64().ok_or_else(|| "the bench gave no CPU time".into())
    }

    fn command(&self, script: &Script<'_>) -> Cmd<'_> {
        let scripts = scripts(&self.workspace);
        let (file, args) = (scripts.join(script.name), script.args);
        let programs = environment(&self.workspace, script.celery).join("bin");
        let python = programs.join("python");
        let command = cmd!(self.workspace.sh, "{python} -W ignore {file} {args...}")
            .env("BACKEND", script.results)
            .env("CELERY", programs.join("celery"))
            .env("PYTHONPATH", scripts)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("WORKER", self.worker());
        self.servers.tell(command).quiet()
    }

    fn worker(&self) -> PathBuf {
        // Cargo has no folder of its own for the profile of benchmarks.
        let folder = if self.profile == "bench" { "release" } else { self.profile };
        self.workspace.target().join(folder).join("examples/acceptance")
    }

    /// Runs a script that starts its own workers; what it prints is shown if it fails.
    fn run(&self, script: &Script<'_>) -> Result {
        let output = self.command(script).ignore_status().output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            println!("     {}", text.lines().last().unwrap_or_default());
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        let logs = self.servers.logs();
        Err(format!("{text}{errors}\nlogs are in {}", logs.display()).into())
    }

    /// Runs the functional checks beside a worker.
    fn check(&self, script: &Script<'_>) -> Result {
        let mut worker = Command::new(self.worker());
        worker.args(["name=check@localhost", &format!("broker={}", self.servers.amqp())]);
        if script.results != "rpc://" {
            worker.arg(format!("redis={}", script.results));
        }
        let log = File::create(self.servers.logs().join("check.log"))?;
        let mut worker = worker.stdout(log).stderr(Stdio::null()).spawn()?;
        let checked = self.run(script);
        worker.kill()?;
        worker.wait()?;
        checked
    }
}

fn scripts(workspace: &Workspace) -> PathBuf {
    workspace.root().join("crates/celery/acceptance")
}
