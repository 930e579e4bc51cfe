//! The host as a process.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc::channel},
};

/// A running host. It is killed when dropped.
pub struct HostProcess {
    child: Arc<Mutex<Child>>,
}

impl HostProcess {
    /// Starts the host with a kubeconfig and the built strategies, and waits until it says that it is ready.
    pub fn start(kubeconfig: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_backupstrategy-controller"))
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_BACKTRACE", "0")
            .args(["--health-probe-bind-address", "127.0.0.1:0"])
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
        let (ready, is_ready) = channel();
        // Shown with the test's own output, and read in any case: a full pipe would stop the host.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                eprintln!("host: {line}");
                if line.contains("the host is ready") {
                    ready.send(()).ok();
                }
            }
        });
        // Fails at once where the host ends before it is ready.
        is_ready.recv().unwrap();
        Self {
            child: Arc::new(Mutex::new(child)),
        }
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

fn compiled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/compiled-by-the-host")
}
