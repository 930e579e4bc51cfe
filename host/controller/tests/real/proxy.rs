//! What stands between the host and the API server: it passes requests on, and kills the host at a write.

use std::{
    path::PathBuf,
    process::Child,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::Response,
};
use kube::Client;
use tokio::{net::TcpListener, sync::Notify};

use crate::host::HostProcess;

/// When to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Before the API server sees the write.
    Before,
    /// After it was carried out, and before the host hears of it.
    Behind,
}

struct Shared {
    client: Client,
    plan: Option<(usize, At)>,
    writes: AtomicUsize,
    victim: Mutex<Option<Arc<Mutex<Child>>>>,
    hit: AtomicUsize,
    was_hit: Notify,
}

/// A proxy without TLS of its own, on a free port of the loopback interface, which passes on as the account of a client.
pub struct Proxy {
    shared: Arc<Shared>,
    folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts it. The plan says at which write of the victim to kill it, counted from 0.
    pub async fn start(client: Client, plan: Option<(usize, At)>) -> Self {
        let shared = Arc::new(Shared {
            client,
            plan,
            writes: AtomicUsize::new(0),
            victim: Mutex::new(None),
            hit: AtomicUsize::new(0),
            was_hit: Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        );
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig).unwrap();
        Self { shared, folder }
    }

    /// The kubeconfig that leads here.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Whom to kill.
    pub fn kills(&self, host: &HostProcess) {
        *self.shared.victim.lock().unwrap() = Some(host.process());
    }

    /// Nobody is killed any more.
    pub fn spares(&self) {
        *self.shared.victim.lock().unwrap() = None;
    }

    /// Done once the host was killed.
    pub async fn was_hit(&self) {
        self.shared.was_hit.notified().await;
    }

    /// Whether the host was killed.
    pub fn has_hit(&self) -> bool {
        self.shared.hit.load(Ordering::Acquire) > 0
    }
}

/// A write of the work: statuses of plugins are written once at the start, and Events hold nothing up; neither is what
/// is tried here.
fn is_write(request: &Request) -> bool {
    let is_write = !matches!(*request.method(), Method::GET | Method::HEAD);
    let path = request.uri().path();
    is_write && !path.contains("/strategyplugins/") && !path.ends_with("/events")
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let due = is_write(&request)
        && shared.victim.lock().unwrap().is_some()
        && shared
            .plan
            .is_some_and(|(nth, _)| shared.writes.fetch_add(1, Ordering::AcqRel) == nth);
    let at = shared.plan.map(|(_, at)| at).filter(|_| due);
    if at == Some(At::Before) {
        return kill(&shared);
    }
    let (mut parts, body) = request.into_parts();
    // The client sets where the API server is and who asks.
    parts.headers.remove(header::HOST);
    parts.headers.remove(header::AUTHORIZATION);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body = kube::client::Body::from(body.to_vec());
    let answer = shared.client.send(Request::from_parts(parts, body)).await;
    if at == Some(At::Behind) {
        return kill(&shared);
    }
    match answer {
        Ok(answer) => answer.map(Body::new),
        Err(error) => failed(error.to_string()),
    }
}

/// Kills the host, as the kernel would: it hears no answer.
fn kill(shared: &Shared) -> Response {
    if let Some(victim) = shared.victim.lock().unwrap().take() {
        let mut child = victim.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
    shared.hit.fetch_add(1, Ordering::AcqRel);
    shared.was_hit.notify_one();
    failed("killed".to_owned())
}

fn failed(why: String) -> Response {
    let mut response = Response::new(Body::from(why));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}
