//! `cargo xtask test`: everything that CI checks, step by step.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::bundle;
use crate::process;
use crate::results::Tally;
use crate::workspace::Workspace;

/// What `cargo xtask test` is asked for.
#[derive(Args)]
pub(crate) struct Options {
    /// Take this step only
    #[arg(long, value_name = "STEP")]
    only: Option<Step>,
    /// Go on after a step or a test binary that failed
    #[arg(long)]
    keep_going: bool,
}

/// A step, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Is the code formatted as rustfmt would?
    Formatting,
    /// The components that the tests load
    Bundle,
    /// No warnings of the compiler and of clippy
    Clippy,
    /// No warnings of rustdoc: links that lead nowhere
    Docs,
    /// Unit, component, integration and documentation tests
    Tests,
    /// Does a real API server accept what the strategies have emitted in the tests?
    Emitted,
}

/// Where the tests leave what the strategies emit, from the workspace's root.
const EMITTED: &str = "target/emitted";

impl Step {
    /// The name as `--only` takes it.
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// The arguments of cargo that take this step.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Formatting => &["fmt", "--all", "--check"],
            Self::Bundle => &["xtask", "bundle"],
            Self::Clippy => &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ],
            Self::Docs => &["doc", "--workspace", "--no-deps", "--locked"],
            Self::Tests => &["test", "--workspace", "--locked"],
            Self::Emitted => &[
                "test",
                "--workspace",
                "--locked",
                "--test",
                "emitted",
                "--",
                "--ignored",
            ],
        }
    }

    /// The environment that the step's command needs, as a shell would set it.
    fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Docs => &[("RUSTDOCFLAGS", "-D warnings")],
            Self::Tests if has_few_processors() => {
                &[("EMITTED_OBJECTS", EMITTED), ("RUST_TEST_THREADS", "4")]
            }
            Self::Tests | Self::Emitted => &[("EMITTED_OBJECTS", EMITTED)],
            _ => &[],
        }
    }

    /// The step's command, for a person to copy.
    fn line(self) -> String {
        let environment = self
            .environment()
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\" "));
        format!(
            "{}cargo {}",
            environment.collect::<String>(),
            self.arguments().join(" ")
        )
    }

    /// Takes the step. Adds the tests that it runs to `tally`.
    fn take(self, keep_going: bool, tally: &mut Tally) -> Result<()> {
        let mut command = process::cargo();
        command
            .args(self.arguments())
            .envs(self.environment().iter().copied());
        match self {
            Self::Formatting | Self::Clippy | Self::Docs => process::run(&mut command),
            Self::Bundle => bundle::run(&bundle::Options::default()),
            Self::Tests => {
                if keep_going {
                    command.arg("--no-fail-fast");
                }
                // What an earlier run has left says nothing of this one.
                let left = Workspace::ours()?.root.join(EMITTED);
                if left.is_dir() {
                    std::fs::remove_dir_all(&left).with_context(|| left.display().to_string())?;
                }
                count(&mut command, &mut std::io::stdout(), tally)
            }
            Self::Emitted => count(&mut command, &mut std::io::stdout(), tally),
        }
    }
}

/// Runs `command`, passes what it prints on to `to`, and adds the tests of each test binary to `tally`.
fn count(command: &mut Command, to: &mut impl Write, tally: &mut Tally) -> Result<()> {
    let context = format!("could not run `{}`", process::line(command));
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context(context.clone())?;
    for line in child
        .stdout
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(|reader| reader.split(b'\n'))
    {
        let line = line.context(context.clone())?;
        to.write_all(&line)
            .and_then(|()| to.write_all(b"\n"))
            .context("could not print")?;
        *tally += Tally::of_line(&String::from_utf8_lossy(&line)).unwrap_or_default();
    }
    let status = child.wait().context(context)?;
    if !status.success() {
        bail!("`{}` failed: {status}", process::line(command));
    }
    Ok(())
}

/// Takes the steps. The last line that it prints says how many tests passed and failed: CI reads it.
///
/// A step that fails is told of with its command, and makes the exit code a failure.
pub(crate) fn run(options: &Options) -> ExitCode {
    let steps = options
        .only
        .map_or_else(|| Step::value_variants().to_vec(), |step| vec![step]);
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    for step in &steps {
        println!("── {}", step.name());
        let start = Instant::now();
        let outcome = step.take(options.keep_going, &mut tally);
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("── {}: {seconds:.1} s", step.name()),
            Err(error) => {
                println!("── {}: failed after {seconds:.1} s: {error:#}", step.name());
                failed.push(*step);
                if !options.keep_going {
                    break;
                }
            }
        }
    }
    for step in &failed {
        println!("step `{}` failed; alone: {}", step.name(), step.line());
    }
    // Last, alone on its line, and only where tests were run.
    if tally != Tally::default() {
        println!("{} passed, {} failed", tally.passed, tally.failed);
    }
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether there are too few processors to have one for each test at a time: a test on a real API server waits for half of
/// its time. Who has said how many go at a time knows better.
fn has_few_processors() -> bool {
    let processors = std::thread::available_parallelism();
    std::env::var_os("RUST_TEST_THREADS").is_none() && processors.is_ok_and(|count| count.get() < 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts what `script` prints, without printing it: this test's own output is counted as well.
    fn count_script(script: &str) -> (Result<()>, Tally, String) {
        let (mut tally, mut printed) = (Tally::default(), Vec::new());
        let outcome = count(
            Command::new("sh").args(["-c", script]),
            &mut printed,
            &mut tally,
        );
        (
            outcome,
            tally,
            String::from_utf8_lossy(&printed).into_owned(),
        )
    }

    #[test]
    fn what_a_command_prints_is_counted_and_passed_on() {
        let script = "echo 'running 2 tests'; \
             echo 'test result: ok. 2 passed; 0 failed; 0 ignored'; \
             echo 'test result: ok. 1 passed; 0 failed; 0 ignored'";
        let (outcome, tally, printed) = count_script(script);
        assert!(outcome.is_ok());
        assert_eq!((tally.passed, tally.failed), (3, 0));
        assert!(printed.starts_with("running 2 tests\ntest result: ok. 2"));
    }

    #[test]
    fn tests_are_counted_when_the_command_fails() {
        let (outcome, tally, _) =
            count_script("echo 'test result: FAILED. 2 passed; 1 failed; 0 ignored'; exit 101");
        assert!(outcome.is_err());
        assert_eq!((tally.passed, tally.failed), (2, 1));
    }

    #[test]
    fn a_failed_step_is_told_with_its_command() {
        assert_eq!(
            Step::Docs.line(),
            "RUSTDOCFLAGS=\"-D warnings\" cargo doc --workspace --no-deps --locked"
        );
        assert_eq!(Step::Bundle.line(), "cargo xtask bundle");
    }

    #[test]
    fn formatting_comes_first_and_tests_last_with_what_they_leave_behind_them() {
        let steps = Step::value_variants();
        assert_eq!(steps.first(), Some(&Step::Formatting));
        assert!(steps.ends_with(&[Step::Tests, Step::Emitted]));
    }
}
