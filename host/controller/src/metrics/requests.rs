//! What the API server was asked, and what it answered.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tower::{Layer, Service};

/// A request and its answer.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    code: String,
    method: String,
}

/// Counts requests to the API server: a layer of the client.
#[derive(Clone, Default)]
pub(crate) struct Requests(Family<Answered, Counter>);

impl Requests {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "rest_client_requests",
            "Requests to the API server, by method and status code; <error> where no answer came",
            self.0.clone(),
        );
    }

    pub(super) fn count(&self, method: &str, code: String) {
        let method = method.to_owned();
        self.0.get_or_create(&Answered { code, method }).inc();
    }
}

impl<S> Layer<S> for Requests {
    type Service = Counted<S>;

    fn layer(&self, client: S) -> Counted<S> {
        Counted {
            client,
            requests: self.clone(),
        }
    }
}

/// A client whose requests are counted.
#[derive(Clone)]
pub(crate) struct Counted<S> {
    client: S,
    requests: Requests,
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.client.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let method = request.method().to_string();
        let requests = self.requests.clone();
        let answer = self.client.call(request);
        Box::pin(async move {
            let answer = answer.await;
            let code = answer.as_ref().map_or_else(
                |_| "<error>".to_owned(),
                |answer| answer.status().as_u16().to_string(),
            );
            requests.count(&method, code);
            answer
        })
    }
}
