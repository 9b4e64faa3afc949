//! [`Workspace`]: the root of the workspace, its members, and a shell at its root.

use std::path::{Path, PathBuf};

use xshell::Shell;

use crate::Result;
use crate::metadata::{Metadata, Package};

/// A workspace as cargo sees it.
#[derive(Clone)]
pub(crate) struct Workspace {
    /// Runs every command at the root, whatever the caller's folder.
    pub(crate) sh: Shell,
    metadata: Metadata,
}

impl Workspace {
    /// The workspace of this program.
    pub(crate) fn open() -> Result<Self> {
        // Set by `cargo run` and `cargo test`; a program started by itself uses its own copy.
        let here = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        Self::at(&here.join("Cargo.toml"))
    }

    /// The workspace of `manifest`.
    pub(crate) fn at(manifest: &Path) -> Result<Self> {
        let sh = Shell::new()?;
        let metadata = Metadata::read(&sh, manifest)?;
        sh.change_dir(&metadata.workspace_root);
        Ok(Self { sh, metadata })
    }

    /// Its topmost folder.
    pub(crate) fn root(&self) -> &Path {
        &self.metadata.workspace_root
    }

    /// Where cargo puts its output, and this program as well.
    pub(crate) fn target(&self) -> &Path {
        &self.metadata.target_directory
    }

    /// Every member.
    pub(crate) fn packages(&self) -> &[Package] {
        &self.metadata.packages
    }

    /// The members under `crates/`, which users get; the others are tools.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &Package> {
        self.under("crates")
    }

    /// The members under `examples/`, whose programs readers run.
    pub(crate) fn examples(&self) -> impl Iterator<Item = &Package> {
        self.under("examples")
    }

    fn under(&self, folder: &str) -> impl Iterator<Item = &Package> + use<'_> {
        let folder = self.root().join(folder);
        self.packages().iter().filter(move |package| package.manifest_path.starts_with(&folder))
    }
}
