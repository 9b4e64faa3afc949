//! [`Metadata`]: the output of `cargo metadata`, as far as the chores need it.
//!
//! Parsed by hand: the derived types of a crate for it would make this program take four times as
//! long to build, and everything waits for it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use xshell::{Shell, cmd};

use crate::Result;

#[derive(Clone)]
pub(crate) struct Metadata {
    pub(crate) workspace_root: PathBuf,
    pub(crate) target_directory: PathBuf,
    /// The members.
    pub(crate) packages: Vec<Package>,
}

#[derive(Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    version: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) features: Vec<String>,
    pub(crate) targets: Vec<Target>,
    pub(crate) dependencies: Vec<Dependency>,
}

impl Package {
    /// The name of its folder in its archive.
    pub(crate) fn unpacked(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) name: String,
    kinds: Vec<String>,
}

impl Target {
    /// Whether it is of this kind: a `bin`, an `example`.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kinds.iter().any(|its| its == kind)
    }
}

#[derive(Clone)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Whether only tests, examples and benchmarks use it.
    pub(crate) is_dev: bool,
    pub(crate) is_optional: bool,
    /// Where it is used, if not everywhere: for example `cfg(unix)`.
    pub(crate) platform: Option<String>,
}

impl Metadata {
    /// Runs `cargo metadata` on the workspace of `manifest`.
    pub(crate) fn read(sh: &Shell, manifest: &Path) -> Result<Self> {
        let asked = ["--no-deps", "--format-version", "1"];
        let json = cmd!(sh, "cargo metadata {asked...} --manifest-path {manifest}");
        let json: Value = serde_json::from_str(&json.quiet().read()?)?;
        Ok(Self {
            workspace_root: text(&json, "workspace_root")?.into(),
            target_directory: text(&json, "target_directory")?.into(),
            packages: list(&json, "packages", package)?,
        })
    }
}

fn package(json: &Value) -> Result<Package> {
    let features = json["features"].as_object().ok_or("cargo lists no features")?;
    Ok(Package {
        name: text(json, "name")?,
        version: text(json, "version")?,
        manifest_path: text(json, "manifest_path")?.into(),
        features: features.keys().cloned().collect(),
        targets: list(json, "targets", target)?,
        dependencies: list(json, "dependencies", dependency)?,
    })
}

fn target(json: &Value) -> Result<Target> {
    let kind = |kind: &Value| Ok(kind.as_str().ok_or("a kind is a string")?.to_owned());
    Ok(Target { name: text(json, "name")?, kinds: list(json, "kind", kind)? })
}

fn dependency(json: &Value) -> Result<Dependency> {
    Ok(Dependency {
        name: text(json, "name")?,
        is_dev: json["kind"] == "dev",
        is_optional: json["optional"] == true,
        platform: json["target"].as_str().map(str::to_owned),
    })
}

fn text(json: &Value, key: &str) -> Result<String> {
    Ok(json[key].as_str().ok_or_else(|| format!("cargo names no {key}"))?.to_owned())
}

fn list<T>(json: &Value, key: &str, read: impl Fn(&Value) -> Result<T>) -> Result<Vec<T>> {
    let list = json[key].as_array().ok_or_else(|| format!("cargo lists no {key}"))?;
    list.iter().map(read).collect()
}
