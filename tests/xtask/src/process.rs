//! Runs other programs and says which one failed.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The cargo that runs this program, or the one in `PATH`, as a person would start it.
///
/// What cargo told this program of its own package is left out. Build scripts look at variables of these names, ring's
/// among them: it would be built anew with all that depends on it, and again for the next person who types `cargo test`.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut cargo = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_a_package) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Whether cargo tells by a variable which package a program is of.
fn is_of_a_package(variable: &str) -> bool {
    let starts = ["CARGO_PKG_", "CARGO_MANIFEST_"];
    starts.iter().any(|start| variable.starts_with(start))
}

/// Builds programs of the workspace, and returns the command that starts the first. They are built with the features of
/// the whole workspace, as the tests are, so that what the one has compiled serves the other.
///
/// # Errors
///
/// When one cannot be built.
pub(crate) fn built(target: &Path, programs: &[&str]) -> Result<Command> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--locked", "--workspace"]);
    for program in programs {
        command.args(["--bin", program]);
    }
    run(&mut command)?;
    let first = programs.first().copied().unwrap_or_default();
    Ok(Command::new(target.join("debug").join(first)))
}

/// Runs `command` to its end, with this program's output.
///
/// # Errors
///
/// When it cannot be started or ends with anything but success.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("could not start `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs `command` to its end and returns what it printed, without the last line's end.
///
/// # Errors
///
/// As [`run`]; what the program said on standard error is part of the message.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not start `{}`", line(command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` failed: {}: {}",
            line(command),
            output.status,
            said.trim()
        );
    }
    let printed = String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed something else than text", line(command)))?;
    Ok(printed.trim_end().to_owned())
}

/// Whether `program` can be started and succeeds when asked for its version.
pub(crate) fn exists(program: &str) -> bool {
    output(Command::new(program).arg("--version")).is_ok()
}

/// `command` as a line that a person recognises; the program by its file name.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cargo_that_is_started_hears_nothing_of_this_programs_package() {
        let command = cargo();
        let removed: Vec<_> = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.to_string_lossy())
            .collect();
        // Those of this test, which cargo has started.
        assert!(
            removed.contains(&"CARGO_MANIFEST_DIR".into()),
            "{removed:?}"
        );
        assert!(removed.contains(&"CARGO_PKG_NAME".into()), "{removed:?}");
        assert!(!removed.contains(&"CARGO".into()), "{removed:?}");
    }
}
