//! The host as a process.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

/// Longer than anything takes that a host is waited for. A bound for what hangs, not a measure.
const BOUND: Duration = Duration::from_secs(60);

/// A running host. It is killed when dropped.
pub struct HostProcess {
    child: Arc<Mutex<Child>>,
    probes: String,
    metrics: String,
    /// What it has said and nobody has heard yet.
    says: Mutex<Receiver<String>>,
}

impl HostProcess {
    /// Starts the host with a kubeconfig and the built strategies, and waits until it says that it is ready.
    pub fn start(kubeconfig: &Path) -> Self {
        Self::start_with(kubeconfig, &stage::bundle().unwrap())
    }

    /// The same with the strategies of another folder.
    pub fn start_with(kubeconfig: &Path, plugins: &Path) -> Self {
        Self::start_as(kubeconfig, plugins, &[])
    }

    /// The same with more flags.
    pub fn start_as(kubeconfig: &Path, plugins: &Path, flags: &[&str]) -> Self {
        Self::start_in(kubeconfig, plugins, flags, &[])
    }

    /// The same in an environment.
    pub fn start_in(
        kubeconfig: &Path,
        plugins: &Path,
        flags: &[&str],
        environment: &[(String, String)],
    ) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_backupstrategy-controller"))
            .env("KUBECONFIG", kubeconfig)
            // As the chart has it.
            .env("MALLOC_ARENA_MAX", "2")
            .env("RUST_BACKTRACE", "0")
            .envs(environment.iter().cloned())
            .args(["--health-probe-bind-address", "127.0.0.1:0"])
            .args(["--metrics-bind-address", "127.0.0.1:0"])
            .args([
                "--log-level",
                "warn,backupstrategy_controller=info",
                "--log-format",
                "text",
            ])
            .arg("--plugin-folder")
            .arg(plugins)
            .arg("--compiled-cache")
            // Shared by all runs: what was compiled is compiled.
            .arg(compiled())
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (said, says) = channel();
        // Shown with the test's own output, and read in any case: a full pipe would stop the host.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                eprintln!("host: {line}");
                // Nobody listens once it is dropped.
                said.send(line).ok();
            }
        });
        let (mut probes, mut metrics) = (String::new(), String::new());
        loop {
            // Fails at once where the host ends before it is ready.
            let line = says.recv().unwrap();
            // The text format puts the fields behind the message, `what` in quotes.
            if let Some(address) = field(&line, "address=") {
                match field(&line, "what=") {
                    Some("\"probes\"") => probes = address.to_owned(),
                    Some("\"metrics\"") => metrics = address.to_owned(),
                    _ => {}
                }
            }
            if line.contains("the host is ready") {
                break;
            }
        }
        Self {
            child: Arc::new(Mutex::new(child)),
            probes,
            metrics,
            says: Mutex::new(says),
        }
    }

    /// Waits until it says something, from when it was ready or last waited for. Gives back the line.
    pub fn says(&self, what: &str) -> String {
        let says = self.says.lock().unwrap();
        loop {
            let line = says.recv_timeout(BOUND).unwrap();
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Waits until it ends by itself.
    pub fn ends(&self) -> ExitStatus {
        // What it says comes to an end when it does.
        while self.says.lock().unwrap().recv_timeout(BOUND).is_ok() {}
        self.child.lock().unwrap().wait().unwrap()
    }

    /// What a path of the probes answers: status line and body.
    pub fn probe(&self, path: &str) -> String {
        ask(&self.probes, path)
    }

    /// The metrics, as Prometheus reads them.
    pub fn metrics(&self) -> String {
        ask(&self.metrics, "/metrics")
    }

    /// Asks it to stop, as a kubelet does, and waits until it has. Gives back whether it ended well.
    pub fn terminate(&self) -> bool {
        let mut child = self.child.lock().unwrap();
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap().success()
    }

    /// The process, for whoever kills it.
    pub fn process(&self) -> Arc<Mutex<Child>> {
        Arc::clone(&self.child)
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        child.kill().ok();
        child.wait().ok();
    }
}

/// A field of a log line.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(name)?;
    rest.split_whitespace().next()
}

/// The answer to a GET request.
fn ask(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn compiled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/compiled-by-the-host")
}
