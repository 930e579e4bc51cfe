//! Compilation, in a child process that may fail without harm.
//!
//! An interpreter-based component needs up to a minute and 300 MiB, and a hostile one as much as it likes. The
//! child is this very program, started anew with a hidden subcommand: it lowers its own limits before it looks at
//! the component, and what it gets wrong costs nothing but itself.
//!
//! ```text
//! parent                                     child
//!   limits, component ──── stdin ──────►  lowers its limits, compiles
//!   a file of the cache ◄── stdout ─────  compiled code
//!   the error's text ◄───── stderr ─────  exit code 1
//! ```

mod child;

use std::{
    fs::File,
    io::{self, Read, Write},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use wasmtime::Engine;

pub use child::compile_child_main;

/// Bytes of the child's error text that are read: a message, not a log.
const ERROR_TEXT: u64 = 16 << 10;

/// How often it is looked whether a child that has closed its outputs is gone.
const POLL: Duration = Duration::from_millis(2);

/// Who compiles.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// This process. For tests and for command-line tools that compile what their user gave them.
    InProcess,
    /// A child process for each component. For a host that goes on serving whatever it is given.
    Child {
        /// What to start: the running executable, `std::env::current_exe()`.
        program: PathBuf,
        /// What makes its `main` call [`compile_child_main`] at once.
        arguments: Vec<String>,
        /// What the child may use.
        limits: CompileLimits,
    },
}

/// What a compiling child process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space. Default 1 GiB: three times what the largest component that was measured needs
    /// (StarlingMonkey, 320 MiB). Must be below the container's memory limit less what the host itself uses.
    pub address_space: u64,
    /// Processor time. Default 180 s: StarlingMonkey needs 63 s on one thread of a busy machine.
    pub cpu: Duration,
    /// Wall clock. Default 300 s, for machines whose processors are shared.
    pub wall_clock: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self {
            address_space: 1 << 30,
            cpu: Duration::from_secs(180),
            wall_clock: Duration::from_secs(300),
        }
    }
}

impl Compiler {
    /// A child of the running executable, with the default limits.
    ///
    /// # Errors
    /// The executable's path cannot be found out.
    pub fn child(arguments: impl IntoIterator<Item = impl Into<String>>) -> io::Result<Self> {
        Ok(Self::Child {
            program: std::env::current_exe()?,
            arguments: arguments.into_iter().map(Into::into).collect(),
            limits: CompileLimits::default(),
        })
    }

    /// Writes the compiled code of a component to a file. The error is a sentence for its author.
    pub(crate) fn compile(
        &self,
        engine: &Engine,
        component: &[u8],
        to: &File,
    ) -> Result<(), String> {
        match self {
            Self::InProcess => {
                let compiled = engine
                    .precompile_component(component)
                    .map_err(|error| format!("{error:#}"))?;
                let mut to = to;
                to.write_all(&compiled)
                    .map_err(|error| format!("the compiled code cannot be written: {error}"))
            }
            Self::Child {
                program,
                arguments,
                limits,
            } => {
                let output = to.try_clone().map_err(|error| error.to_string())?;
                let child = Command::new(program)
                    .args(arguments)
                    // Whatever the environment holds is not the compiler's business.
                    .env_clear()
                    .stdin(Stdio::piped())
                    .stdout(output)
                    .stderr(Stdio::piped())
                    .spawn()
                    .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
                attend(child, component, limits)
            }
        }
    }
}

/// Feeds a child and waits for it, no longer than it may take.
fn attend(mut child: Child, component: &[u8], limits: &CompileLimits) -> Result<(), String> {
    let deadline = Instant::now() + limits.wall_clock;
    let (input, errors) = (child.stdin.take(), child.stderr.take());
    let outcome = thread::scope(|scope| {
        scope.spawn(move || {
            // A child that dies early closes its input; what it died of is told by its status.
            let _ = input.map(|mut input| child::send(&mut input, limits, component));
        });
        let (said, hear) = mpsc::channel();
        scope.spawn(move || {
            let mut text = Vec::new();
            let _ = errors.map(|errors| errors.take(ERROR_TEXT).read_to_end(&mut text));
            let _ = said.send(String::from_utf8_lossy(&text).trim().to_owned());
        });
        let text = hear.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        let status = end(&mut child, deadline);
        // The threads above end with the child, which has ended.
        (status, text.or_else(|_| hear.recv()).unwrap_or_default())
    });
    match outcome {
        (Ok(Some(status)), _) if status.success() => Ok(()),
        (Ok(Some(status)), text) => Err(describe(status, &text, limits)),
        (Ok(None), _) => Err(format!(
            "compiling it took longer than {:?}",
            limits.wall_clock
        )),
        (Err(error), _) => Err(format!("the compiler cannot be waited for: {error}")),
    }
}

/// Waits for a child until the deadline, then kills it: this one, by its process id. None when it was killed.
fn end(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// Why a child ended without compiled code.
fn describe(status: ExitStatus, text: &str, limits: &CompileLimits) -> String {
    use std::os::unix::process::ExitStatusExt;
    let cpu = rustix::process::Signal::XCPU.as_raw();
    let memory = text.contains("memory allocation") || text.contains("Cannot allocate memory");
    if status.signal() == Some(cpu) {
        format!(
            "compiling it took more than {:?} of processor time",
            limits.cpu
        )
    } else if memory {
        format!(
            "compiling it needed more than {} bytes of memory: {text}",
            limits.address_space
        )
    } else if status.code() == Some(1) && !text.is_empty() {
        text.to_owned()
    } else {
        format!("the compiler ended with {status}: {text}")
    }
}
