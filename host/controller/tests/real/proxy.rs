//! What stands between the host and the API server: it passes requests on, and kills the host at its writes.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::Child,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
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

/// How often a host is killed at the writes of one object's path, so that the work has an end.
const MOST: usize = 3;

struct Shared {
    client: Client,
    at: At,
    /// How often a host was killed at a write, by method and path.
    killed_at: Mutex<HashMap<(Method, String), usize>>,
    victim: Mutex<Option<Arc<Mutex<Child>>>>,
    is_armed: AtomicBool,
    has_victim: Notify,
    kills: AtomicUsize,
    was_hit: Notify,
}

/// A proxy without TLS of its own, on a free port of the loopback interface, which passes on as the account of a client.
pub struct Proxy {
    shared: Arc<Shared>,
    folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts it. From the first victim on, whoever writes is killed at it, three times at each path.
    pub async fn start(client: Client, at: At) -> Self {
        let shared = Arc::new(Shared {
            client,
            at,
            killed_at: Mutex::new(HashMap::new()),
            victim: Mutex::new(None),
            is_armed: AtomicBool::new(false),
            has_victim: Notify::new(),
            kills: AtomicUsize::new(0),
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
        self.shared.is_armed.store(true, Ordering::Release);
        self.shared.has_victim.notify_waiters();
    }

    /// Done once the victim was killed.
    pub async fn was_hit(&self) {
        self.shared.was_hit.notified().await;
    }

    /// How many victims were killed.
    pub fn kills_so_far(&self) -> usize {
        self.shared.kills.load(Ordering::Acquire)
    }
}

impl Shared {
    /// Whether the victim is killed at this write.
    async fn is_due(&self, what: (Method, String)) -> bool {
        if !self.is_armed.load(Ordering::Acquire) {
            return false;
        }
        self.victim_is_known().await;
        let mut killed_at = self.killed_at.lock().unwrap();
        let kills = killed_at.entry(what).or_default();
        *kills += 1;
        *kills <= MOST
    }

    /// A host that was started again may write before anybody could say that it is the one to kill.
    async fn victim_is_known(&self) {
        loop {
            let known = self.has_victim.notified();
            if self.victim.lock().unwrap().is_some() {
                return;
            }
            known.await;
        }
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
    let what = (request.method().clone(), request.uri().path().to_owned());
    let is_due = is_write(&request) && shared.is_due(what).await;
    let at = is_due.then_some(shared.at);
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
    shared.kills.fetch_add(1, Ordering::AcqRel);
    shared.was_hit.notify_one();
    failed("killed".to_owned())
}

fn failed(why: String) -> Response {
    let mut response = Response::new(Body::from(why));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}
