//! `cargo xtask python` and `cargo xtask wheel`: the Python package built, tested, measured, packed.
//!
//! Everything it takes goes into `target/tools/package`, as for other tools: an environment of its own, so that nothing on
//! the machine decides what is tested.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

use crate::programs::{folder, mark, marked, succeed};

/// What the package is built, tested and measured with; from PyPI.
const PACKAGES: [&str; 12] = [
    "maturin==1.16.0",
    "pytest==9.2.0",
    "polars==2.1.0",
    "pandas==3.1.1",
    "pyarrow==26.0.1",
    "duckdb==2.0.1",
    "numpy==2.4.6",
    "matplotlib==3.11.2",
    "tqdm==4.70.1",
    "mypy==2.4.1",
    "pandas-stubs==3.1.0.261029",
    "pyarrow-stubs==20.0.0.20260819",
];

/// From npm: the package of this name on PyPI would fetch it from there as well.
const CHECKER: [&str; 1] = ["pyright@1.1.414"];

/// Builds the package as one does while working on it, then runs its tests and both type checkers over it. Arguments go
/// to pytest; with any, types are not checked.
pub(crate) fn test(arguments: &[String]) -> Result<ExitCode> {
    let environment = Environment::ensure()?;
    environment.build("dev")?;
    let tested = environment.python().args(["-m", "pytest"]).args(arguments).status();
    let mut passed = tested.context("pytest cannot be started")?.success();
    if arguments.is_empty() {
        let checked = environment.python().args(["-m", "mypy"]).status();
        passed &= checked.context("mypy cannot be started")?.success();
        passed &= environment
            .pyright()?
            .status()
            .context("pyright cannot be started")?
            .success();
    }
    Ok(code(passed))
}

/// Builds the package as it is shipped and lets its benchmark print its table.
pub(crate) fn bench(arguments: &[String]) -> Result<ExitCode> {
    let environment = Environment::ensure()?;
    environment.build("release")?;
    let mut command = environment.python();
    let measured = command.arg("benches/tables.py").args(arguments).status();
    Ok(code(measured.context("python cannot be started")?.success()))
}

/// Builds the wheel into `target/wheels`.
pub(crate) fn wheel(arguments: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        bail!("unknown option {unknown:?}; `cargo xtask wheel` takes none");
    }
    let environment = Environment::ensure()?;
    let mut command = environment.maturin();
    let built = command.args(["build", "--release"]).status();
    Ok(code(built.context("maturin cannot be started")?.success()))
}

fn code(passed: bool) -> ExitCode {
    match passed {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../evercandle-python")
}

/// The environment in `target/tools/package`.
struct Environment {
    folder: PathBuf,
}

impl Environment {
    fn ensure() -> Result<Environment> {
        let folder = folder();
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let folder = folder.canonicalize().context("target/tools")?.join("package");
        if !marked(&folder, &PACKAGES) {
            println!("installing {} into {}", PACKAGES.join(" "), folder.display());
            succeed(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
            let pip = folder.join("bin/pip");
            let quiet = ["install", "--quiet", "--disable-pip-version-check"];
            succeed(Command::new(pip).args(quiet).args(PACKAGES))?;
            mark(&folder, &PACKAGES)?;
        }
        Ok(Environment { folder })
    }

    fn python(&self) -> Command {
        let mut command = Command::new(self.folder.join("bin/python"));
        command.current_dir(package());
        command
    }

    fn maturin(&self) -> Command {
        let mut command = Command::new(self.folder.join("bin/maturin"));
        command.current_dir(package()).env("VIRTUAL_ENV", &self.folder);
        command
    }

    /// Builds the extension and makes the environment see the sources as they are.
    fn build(&self, profile: &str) -> Result<()> {
        let mut command = self.maturin();
        command.args(["develop", "--quiet", "--profile", profile]);
        let built = command.status().context("maturin cannot be started")?;
        ensure!(built.success(), "the Python package could not be built");
        Ok(())
    }

    fn pyright(&self) -> Result<Command> {
        let folder = self.folder.join("node");
        if !marked(&folder, &CHECKER) {
            println!("installing {} into {}", CHECKER.join(" "), folder.display());
            let quiet = [
                "install",
                "--no-save",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--loglevel=error",
            ];
            succeed(
                Command::new("npm")
                    .args(quiet)
                    .arg("--prefix")
                    .arg(&folder)
                    .args(CHECKER),
            )?;
            mark(&folder, &CHECKER)?;
        }
        let mut command = Command::new(folder.join("node_modules/.bin/pyright"));
        command.current_dir(package());
        command.arg("--pythonpath").arg(self.folder.join("bin/python"));
        Ok(command)
    }
}
