//! Compilation in a child process, and the cache of what it makes.
//!
//! This executable is also the child: started with [`SUBCOMMAND`], it compiles. So it has a `main` of its own,
//! which runs the tests whose names contain the first argument, or all of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its result is printed"
)]

mod guest;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use backup_sandbox::{
    CompileLimits, Compiler, Limits, LoadError, Sandbox, Settings, Strategy, compile_child_main,
};
use guest::Guest;
use tempfile::TempDir;

const SUBCOMMAND: &str = "compile-a-component";
/// Starts a child that does nothing, for longer than a test waits.
const HANG: &str = "hang";

/// Tests by their names.
macro_rules! tests {
    ($($test:ident),* $(,)?) => { [$((stringify!($test), $test as fn())),*] };
}

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(SUBCOMMAND) => return compile_child_main(),
        Some(HANG) => std::thread::sleep(Duration::from_secs(600)),
        _ => {}
    }
    let tests = tests![
        a_child_compiles_what_this_process_can_run,
        compiled_code_is_kept,
        a_file_that_was_cut_short_is_compiled_anew,
        a_file_that_was_altered_is_compiled_anew,
        a_folder_that_others_can_write_to_is_refused,
        what_is_discarded_is_gone_and_runs_on,
        a_child_that_needs_too_much_memory_is_named,
        a_child_that_computes_too_long_is_named,
        a_child_that_hangs_is_killed,
        a_component_that_is_not_valid_is_told_by_the_child,
    ];
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'))
        .unwrap_or_default();
    let mut failed = 0;
    let wanted: Vec<_> = tests
        .iter()
        .filter(|(name, _)| name.contains(&wanted))
        .collect();
    for (name, test) in &wanted {
        let passed = std::panic::catch_unwind(test).is_ok();
        failed += usize::from(!passed);
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
    }
    let passed = wanted.len() - failed;
    let filtered = tests.len() - wanted.len();
    let result = if failed == 0 { "ok" } else { "FAILED" };
    // The line of every other test binary, which `cargo xtask test` counts.
    println!(
        "\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {filtered} filtered out"
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn child(argument: &str, limits: CompileLimits) -> Compiler {
    let program = std::env::current_exe().unwrap();
    Compiler::Child {
        program,
        arguments: vec![argument.to_owned()],
        limits,
    }
}

/// A sandbox with a cache of its own.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn sandbox(&self, compiler: Compiler) -> Sandbox {
        Sandbox::new(Settings {
            instances: 4,
            ..Settings::new(self.cache(), compiler)
        })
        .unwrap()
    }

    fn load(&self, compiler: Compiler, component: &[u8]) -> Result<Strategy, LoadError> {
        self.sandbox(compiler).load(component, Limits::default())
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(self.cache())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    /// Loads, hands the file to `spoil`, and loads again with a compiler that works.
    fn spoiled(&self, spoil: impl Fn(&Path)) {
        let component = Guest::default().build();
        self.load(Compiler::InProcess, &component).unwrap();
        let files = self.files();
        spoil(&files[0]);
        let spoiled = fs::read(&files[0]).unwrap();
        self.load(Compiler::InProcess, &component).unwrap();
        assert_eq!(self.files(), files);
        assert_ne!(fs::read(&files[0]).unwrap(), spoiled);
    }
}

/// Also that both have the same compatibility hash: a file with another would not be looked for.
fn a_child_compiles_what_this_process_can_run() {
    let place = Place::new();
    let component = Guest::default().build();
    place
        .load(child(SUBCOMMAND, CompileLimits::default()), &component)
        .unwrap();
    let files = place.files();
    assert_eq!(files.len(), 1, "{files:?}");
    place
        .load(
            child("not a subcommand", CompileLimits::default()),
            &component,
        )
        .unwrap();
    assert_eq!(place.files(), files);
}

fn compiled_code_is_kept() {
    let place = Place::new();
    let component = Guest::default().build();
    let sandbox = place.sandbox(Compiler::InProcess);
    sandbox.load(&component, Limits::default()).unwrap();
    let [file] = &place.files()[..] else {
        panic!("{:?}", place.files())
    };
    let written = fs::metadata(file).unwrap().modified().unwrap();
    sandbox.load(&component, Limits::default()).unwrap();
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), written);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&place.cache()), mode(file)), (0o700, 0o600));
}

fn a_file_that_was_cut_short_is_compiled_anew() {
    Place::new().spoiled(|file| {
        let bytes = fs::read(file).unwrap();
        fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    });
}

fn a_file_that_was_altered_is_compiled_anew() {
    Place::new().spoiled(|file| {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(file, bytes).unwrap();
    });
}

fn a_folder_that_others_can_write_to_is_refused() {
    let place = Place::new();
    fs::create_dir(place.cache()).unwrap();
    fs::set_permissions(place.cache(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = Sandbox::new(Settings::new(place.cache(), Compiler::InProcess)).unwrap_err();
    assert!(
        matches!(&error, LoadError::Cache(error) if error.to_string().contains("chmod 0700")),
        "{error}"
    );
}

fn what_is_discarded_is_gone_and_runs_on() {
    let place = Place::new();
    let sandbox = place.sandbox(Compiler::InProcess);
    let strategy = sandbox
        .load(&Guest::default().build(), Limits::default())
        .unwrap();
    sandbox.discard(strategy.digest()).unwrap();
    assert_eq!(place.files(), Vec::<PathBuf>::new());
    drop(sandbox);
    assert_eq!(strategy.validate("{}", &[]).unwrap(), []);
}

/// A component that exports what a strategy must, by name, and has this core module. It is never linked.
fn around(module: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m {module})
            (core instance $i (instantiate $m))
            (instance $s)
            (export "cozystack:backup-strategy/strategy@1.0.0" (instance $s)))"#
    );
    wat::parse_str(text).unwrap()
}

/// What takes a compiler long: many values that live through many calls.
fn large() -> Vec<u8> {
    let calls = "call $f local.tee $a local.get $b local.set $c local.get $c i32.add local.set $b "
        .repeat(1_500);
    let function = format!("(func (local $a i32) (local $b i32) (local $c i32) {calls})");
    around(&format!(
        "(func $f (result i32) i32.const 1) {}",
        function.repeat(100)
    ))
}

fn refused(limits: CompileLimits) -> String {
    let place = Place::new();
    let error = place
        .load(child(SUBCOMMAND, limits), &large())
        .expect_err("it was loaded");
    assert!(matches!(error, LoadError::Compile(_)), "{error}");
    assert_eq!(
        place.files(),
        Vec::<PathBuf>::new(),
        "nothing is left behind"
    );
    error.to_string()
}

fn a_child_that_needs_too_much_memory_is_named() {
    let error = refused(CompileLimits {
        address_space: 48 << 20,
        ..CompileLimits::default()
    });
    assert!(
        error.contains("it needed more than 50331648 bytes of memory"),
        "{error}"
    );
}

fn a_child_that_computes_too_long_is_named() {
    let error = refused(CompileLimits {
        cpu: Duration::from_secs(1),
        ..CompileLimits::default()
    });
    assert!(
        error.contains("it took more than 1s of processor time"),
        "{error}"
    );
}

fn a_child_that_hangs_is_killed() {
    let place = Place::new();
    let limits = CompileLimits {
        wall_clock: Duration::from_millis(200),
        ..CompileLimits::default()
    };
    let began = Instant::now();
    let error = place
        .load(child(HANG, limits), &Guest::default().build())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "it cannot be compiled: compiling it took longer than 200ms"
    );
    assert!(began.elapsed() < Duration::from_secs(60));
}

fn a_component_that_is_not_valid_is_told_by_the_child() {
    let place = Place::new();
    let component = around(r#"(func (export "f") (result i32) i64.const 1)"#);
    let error = place
        .load(child(SUBCOMMAND, CompileLimits::default()), &component)
        .unwrap_err();
    assert!(
        matches!(&error, LoadError::Compile(text) if text.contains("type mismatch")),
        "{error}"
    );
}
