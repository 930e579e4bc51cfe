//! The host as a process.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc::channel},
};

/// A running host. It is killed when dropped.
pub struct HostProcess {
    child: Arc<Mutex<Child>>,
    probes: String,
    metrics: String,
}

impl HostProcess {
    /// Starts the host with a kubeconfig and the built strategies, and waits until it says that it is ready.
    pub fn start(kubeconfig: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_backupstrategy-controller"))
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_BACKTRACE", "0")
            .args(["--health-probe-bind-address", "127.0.0.1:0"])
            .args(["--metrics-bind-address", "127.0.0.1:0"])
            .args([
                "--log-level",
                "warn,backupstrategy_controller=info",
                "--log-format",
                "text",
            ])
            .arg("--plugin-folder")
            .arg(stage::bundle().unwrap())
            .arg("--compiled-cache")
            // Shared by all runs: what was compiled is compiled.
            .arg(compiled())
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
                // Nobody listens once it is ready.
                said.send(line).ok();
            }
        });
        let (mut probes, mut metrics) = (String::new(), String::new());
        loop {
            // Fails at once where the host ends before it is ready.
            let line = says.recv().unwrap();
            match line.rsplit_once("address=") {
                Some((about, address)) if about.contains("probes") => probes = address.to_owned(),
                Some((about, address)) if about.contains("metrics") => metrics = address.to_owned(),
                _ => {}
            }
            if line.contains("the host is ready") {
                break;
            }
        }
        Self {
            child: Arc::new(Mutex::new(child)),
            probes,
            metrics,
        }
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
