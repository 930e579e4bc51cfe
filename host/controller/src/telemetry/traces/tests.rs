//! A collector in the process of the test.

use std::collections::BTreeMap;

use axum::{Router, body::Bytes as Body, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as Said,
    trace::v1::Span,
};
use prost::Message as _;
use stage::Stage;
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::{Registry, layer::SubscriberExt as _};

use super::*;

/// Takes what is sent. Gives back its URL and the bodies.
async fn collector() -> (String, UnboundedReceiver<Body>) {
    let (send, receive) = unbounded_channel();
    let take = post(move |body: Body| async move { send.send(body).unwrap() });
    let router = Router::new().route("/v1/traces", take);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, receive)
}

/// The texts and numbers that a span says.
fn attributes(span: &Span) -> BTreeMap<String, String> {
    let said = span.attributes.iter().filter_map(|attribute| {
        let said = match attribute.value.clone()?.value? {
            Said::StringValue(text) => text,
            Said::IntValue(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        Some((attribute.key.clone(), said))
    });
    said.collect()
}

/// A job that begins: its strategy waits for the operator.
async fn job_that_begins(traces: &Traces) -> Stage {
    let mut stage = Stage::new().unwrap();
    stage.serve(&Stage::bundled("cnpg.wasm").unwrap()).unwrap();
    stage.platform().unwrap();
    stage.namespace("tenant-acme").unwrap();
    stage
        .postgres("tenant-acme", "orders-db", "a-password")
        .unwrap();
    stage
        .backup_job("tenant-acme", "ad-hoc", "orders-db")
        .unwrap();
    let subscriber = Registry::default().with(traces.layer());
    let settled = stage.runner.settle().with_subscriber(subscriber);
    settled.await.unwrap();
    stage
}

/// It blocks while it sends.
async fn flush(traces: Traces) {
    tokio::task::spawn_blocking(move || traces.flush())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_is_a_span_with_its_stages_and_no_secret() {
    let (url, mut exports) = collector().await;
    let traces = Traces::to(&url).unwrap();
    let stage = job_that_begins(&traces).await;
    flush(traces).await;
    let body = exports.recv().await.unwrap();
    let export = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let spans: Vec<Span> = export
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect();

    // The pass over the job in which it began.
    let commit = spans.iter().find(|span| span.name == "commit").unwrap();
    let pass = spans
        .iter()
        .find(|span| span.span_id == commit.parent_span_id)
        .unwrap();
    assert_eq!(pass.name, "pass");
    let said = attributes(pass);
    for (attribute, expected) in [
        ("kind", "BackupJob"),
        ("namespace", "tenant-acme"),
        ("name", "ad-hoc"),
        ("class", "cozy-default"),
        ("strategy", "CNPG"),
        ("plugin", "cnpg"),
    ] {
        assert_eq!(said.get(attribute).map(String::as_str), Some(expected));
    }
    assert!(said["digest"].starts_with("sha256:"), "{said:?}");
    let part = |name: &str| {
        let is_part = |span: &&Span| span.name == name && span.parent_span_id == pass.span_id;
        let found = spans.iter().find(is_part);
        assert!(found.is_some(), "{name} is no part of the pass");
        attributes(found.unwrap())
    };
    for name in ["resolve", "admit", "guard"] {
        part(name);
    }
    let evaluate = part("evaluate");
    assert_eq!(evaluate["question"], "backup");
    assert!(evaluate["fuel"].parse::<u64>().unwrap() > 0);

    let sent = String::from_utf8_lossy(&body);
    for secret in [&stage.access_key, &stage.secret_key, "a-password"] {
        assert!(!sent.contains(secret), "{secret} was sent");
    }
    assert!(
        spans.iter().all(|span| span.events.is_empty()),
        "log lines stay here"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_keeps_nobody_from_work() {
    // Nobody listens at this port.
    let traces = Traces::to("http://127.0.0.1:1").unwrap();
    let stage = job_that_begins(&traces).await;
    let job = stage.read("BackupJob", "tenant-acme", "ad-hoc");
    assert!(job["status"]["startedAt"].is_string(), "{job}");
    flush(traces).await;
}

#[test]
fn what_is_no_url_is_refused() {
    assert!(Traces::to("collector").is_err());
}
