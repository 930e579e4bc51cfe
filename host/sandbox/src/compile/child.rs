//! The child's side of a compilation.

use std::{
    io::{self, Read, Write},
    process::ExitCode,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use super::CompileLimits;
use crate::engine;

/// Files that the child may hold: its three streams and what a runtime opens on the way.
const OPEN_FILES: u64 = 32;

/// Compiles the component on standard input to standard output, within the limits that stand before it. A
/// program's `main` calls this for its hidden subcommand, before anything else, and returns the result.
#[must_use]
pub fn compile_child_main() -> ExitCode {
    match compile(&mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // The parent reads this. Where it is gone, nobody is left to be told.
            let _ = io::stderr().write_all(problem.as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn compile(input: &mut impl Read, output: &mut impl Write) -> Result<(), String> {
    let limits = receive(input).map_err(|error| format!("no limits on standard input: {error}"))?;
    lower(&limits).map_err(|error| format!("the compiler's limits cannot be set: {error}"))?;
    let mut component = Vec::new();
    input
        .read_to_end(&mut component)
        .map_err(|error| format!("no component on standard input: {error}"))?;
    let compiled = engine::compiling()
        .and_then(|engine| engine.precompile_component(&component))
        .map_err(|error| format!("{error:#}"))?;
    output
        .write_all(&compiled)
        .and_then(|()| output.flush())
        .map_err(|error| format!("the compiled code cannot be written: {error}"))
}

/// The parent's side of [`receive`], and then the component.
pub(super) fn send(
    output: &mut impl Write,
    limits: &CompileLimits,
    component: &[u8],
) -> io::Result<()> {
    output.write_all(&limits.address_space.to_be_bytes())?;
    output.write_all(&limits.cpu.as_secs().to_be_bytes())?;
    output.write_all(component)
}

fn receive(input: &mut impl Read) -> io::Result<CompileLimits> {
    let mut number = || {
        let mut bytes = [0; 8];
        input
            .read_exact(&mut bytes)
            .map(|()| u64::from_be_bytes(bytes))
    };
    let address_space = number()?;
    let cpu = Duration::from_secs(number()?);
    Ok(CompileLimits {
        address_space,
        cpu,
        ..CompileLimits::default()
    })
}

/// Lowers the limits of this process, for good.
fn lower(limits: &CompileLimits) -> io::Result<()> {
    // Nobody reads the result once the parent is gone.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let fixed = |value| Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    setrlimit(Resource::As, fixed(limits.address_space))?;
    // The soft limit sends SIGXCPU, by which the parent knows; the hard one, a second later, SIGKILL.
    let cpu = limits.cpu.as_secs().max(1);
    setrlimit(
        Resource::Cpu,
        Rlimit {
            current: Some(cpu),
            maximum: Some(cpu + 1),
        },
    )?;
    // No file larger than memory, and no core dump.
    setrlimit(Resource::Fsize, fixed(limits.address_space))?;
    setrlimit(Resource::Core, fixed(0))?;
    setrlimit(Resource::Nofile, fixed(OPEN_FILES))?;
    Ok(())
}
