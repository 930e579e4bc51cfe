//! Health, readiness and metrics over HTTP.
//!
//! | path | says |
//! |---|---|
//! | `/healthz` | the main loop goes round: it answers each question itself |
//! | `/readyz` | the watches have seen the cluster, and every plugin was looked at; whoever leads, so that a rolling update goes on |
//! | `/metrics` | what is counted, in the text format of Prometheus |

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use tokio::{
    net::TcpListener,
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    time::timeout,
};

use crate::metrics::{CONTENT_TYPE as TEXT_FORMAT, Metrics};

/// How long the main loop may take to go round. A round is bookkeeping, and takes less than a millisecond.
const BEAT: Duration = Duration::from_secs(5);

/// Whether the host is ready: its watches have seen the cluster, and its plugins were looked at.
#[derive(Clone, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(crate) fn set(&self, is_ready: bool) {
        let was_ready = self.0.swap(is_ready, Ordering::AcqRel);
        if is_ready && !was_ready {
            tracing::info!("the host is ready");
        }
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Asks the main loop whether it goes round.
#[derive(Clone)]
pub(crate) struct Pulse(UnboundedSender<oneshot::Sender<()>>);

/// What the main loop is asked. It answers by taking the question and answering it.
pub(crate) type Asked = UnboundedReceiver<oneshot::Sender<()>>;

impl Pulse {
    /// Both ends.
    pub(crate) fn new() -> (Self, Asked) {
        let (ask, asked) = unbounded_channel();
        (Self(ask), asked)
    }

    /// Whether the loop answers within a time. One that is over, because the host stops, needs not.
    async fn beats(&self, within: Duration) -> bool {
        let (answer, answered) = oneshot::channel();
        if self.0.send(answer).is_err() {
            return true;
        }
        // A question that is thrown away was thrown away by a loop that ends.
        timeout(within, answered).await.is_ok()
    }
}

/// Answers probes as long as the process lives.
pub(crate) async fn serve_probes(listener: TcpListener, readiness: Readiness, pulse: Pulse) {
    let ready = get(move || async move {
        if readiness.get() {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready yet")
        }
    });
    let healthy = get(move || async move {
        if pulse.beats(BEAT).await {
            (StatusCode::OK, "ok")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "the main loop is stuck")
        }
    });
    let router = Router::new()
        .route("/healthz", healthy)
        .route("/readyz", ready);
    serve("probes", listener, router).await;
}

/// Answers /metrics as long as the process lives.
pub(crate) async fn serve_metrics(listener: TcpListener, metrics: Metrics) {
    let text = move || async move { ([(CONTENT_TYPE, TEXT_FORMAT)], metrics.text()) };
    let router = Router::new().route("/metrics", get(text));
    serve("metrics", listener, router).await;
}

async fn serve(what: &str, listener: TcpListener, router: Router) {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(what, %address, "listening");
    }
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(what, %error, "nobody is answered any more");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_loop_that_goes_round_is_alive_and_one_that_is_stuck_is_not() {
        let (pulse, mut asked) = Pulse::new();
        assert!(
            !pulse.beats(Duration::ZERO).await,
            "nobody takes the question"
        );
        let round = tokio::spawn(async move {
            while let Some(question) = asked.recv().await {
                question.send(()).ok();
            }
        });
        assert!(pulse.beats(BEAT).await);
        round.abort();
        assert!(round.await.is_err());
        assert!(
            pulse.beats(BEAT).await,
            "a loop that is over needs not answer"
        );
    }
}
