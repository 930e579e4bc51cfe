//! The real cluster: the engine's trait over an API server.
//!
//! One connection pool serves all accounts; whose rights a request uses is a header. Kinds are looked up in the API
//! server's discovery once, and again where one is not known.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use backup_api::names::API_VERSION;
use backup_engine::cluster::{
    Account, ApiError, ApiReason, Caller, Cluster, DeleteOptions, Part, listed_live_jobs,
};
use backup_sandbox::contract::{ObjectRef, Propagation, Selector};
use http::{HeaderValue, header::USER_AGENT};
use kube::{
    Client, Error,
    api::{
        DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
    },
    core::{Request, Status, params::GetParams},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    leader::Fence,
    sight::{KindOf, Sight, Sighting},
};

/// The header by which a request uses the rights of another account.
const IMPERSONATE: &str = "impersonate-user";

/// Who this is, in the API server's audit log.
const AGENT: &str = concat!("backupstrategy-controller/", env!("CARGO_PKG_VERSION"));

/// Objects of a list that come in one answer.
const PAGE: u32 = 500;

/// How a kind is addressed.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub plural: String,
    pub namespaced: bool,
}

/// Kinds by API version and kind.
type Kinds = HashMap<(String, String), Resource>;

/// An API server.
#[derive(Clone)]
pub struct RealCluster {
    client: Client,
    /// Kinds by API version and kind, as discovery told them.
    kinds: Arc<Mutex<Kinds>>,
    /// What the watches have shown.
    sight: Arc<Sight>,
    /// Counts what may have made kinds known.
    kinds_changed: watch::Sender<u64>,
    /// What every write passes.
    fence: Fence,
}

impl RealCluster {
    /// A cluster behind a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            kinds: Arc::default(),
            sight: Arc::default(),
            kinds_changed: watch::Sender::default(),
            fence: Fence::open(),
        }
    }

    /// The same cluster, to which nothing is written while a fence is closed.
    pub(crate) fn behind(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    /// What the watches have shown.
    pub(crate) fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Told whenever there may be kinds that were not known.
    pub(crate) fn kinds_changed(&self) -> watch::Receiver<u64> {
        self.kinds_changed.subscribe()
    }

    fn kinds(&self) -> MutexGuard<'_, Kinds> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A definition or an API service has changed. Where one is gone, no kind is taken for known any more.
    pub(crate) fn look_for_kinds(&self, one_is_gone: bool) {
        if one_is_gone {
            self.kinds().clear();
        }
        self.kinds_changed.send_modify(|times| *times += 1);
    }

    /// Keeps what a write gave back. One that failed may have been carried out all the same, or failed because what is
    /// known is old.
    fn written(
        &self,
        target: &ObjectRef,
        answer: Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        match &answer {
            Ok(object) => self.sight.written(object),
            Err(error) if error.can_pass() => self.sight.deleted(target),
            Err(_) => self.sight.doubt(target),
        }
        answer
    }

    /// A client that uses the rights of an account, over the same connections.
    pub(crate) fn client_as(&self, account: &Account) -> Client {
        let Some(user) = user(account).and_then(|user| HeaderValue::from_str(&user).ok()) else {
            return self.client.clone();
        };
        let client = self.client.clone();
        let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
            request.headers_mut().insert(IMPERSONATE, user.clone());
            request
                .headers_mut()
                .insert(USER_AGENT, HeaderValue::from_static(AGENT));
            let client = client.clone();
            async move { client.send(request).await }
        });
        Client::new(service, self.client.default_namespace())
    }

    /// How a kind is addressed; none when the API server does not know it.
    pub(crate) async fn resource(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<Option<Resource>, ApiError> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = self.kinds().get(&key) {
            return Ok(Some(known.clone()));
        }
        let listed = if api_version.contains('/') {
            self.client.list_api_group_resources(api_version).await
        } else {
            self.client.list_core_api_resources(api_version).await
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(Error::Api(status)) if status.code == 404 => return Ok(None),
            Err(error) => return Err(api_error(error)),
        };
        let mut kinds = self.kinds();
        for found in listed
            .resources
            .into_iter()
            .filter(|found| !found.name.contains('/'))
        {
            let resource = Resource {
                plural: found.name,
                namespaced: found.namespaced,
            };
            kinds.insert((api_version.to_owned(), found.kind), resource);
        }
        Ok(kinds.get(&key).cloned())
    }

    /// The path of a kind's objects; none when the API server does not know the kind.
    async fn path(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<Option<Request>, ApiError> {
        let Some(resource) = self.resource(api_version, kind).await? else {
            return Ok(None);
        };
        let root = if api_version.contains('/') {
            "/apis"
        } else {
            "/api"
        };
        let plural = &resource.plural;
        let path = match namespace.filter(|_| resource.namespaced) {
            Some(namespace) => format!("{root}/{api_version}/namespaces/{namespace}/{plural}"),
            None => format!("{root}/{api_version}/{plural}"),
        };
        Ok(Some(Request::new(path)))
    }

    /// The path for a write, which needs the kind.
    async fn path_to_write(&self, target: &ObjectRef) -> Result<Request, ApiError> {
        let path = self
            .path(
                &target.api_version,
                &target.kind,
                target.namespace.as_deref(),
            )
            .await?;
        path.ok_or_else(|| {
            ApiError::new(
                ApiReason::NotFound,
                format!(
                    "the cluster does not know the kind {} of {}",
                    target.kind, target.api_version
                ),
            )
        })
    }

    async fn send(
        &self,
        caller: &Caller,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Value, ApiError> {
        let request = prepare(caller, request)?;
        if request.method() != http::Method::GET && !self.fence.is_open() {
            return Err(ApiError::new(
                ApiReason::Unavailable,
                "this host does not lead, and writes nothing",
            ));
        }
        self.client
            .request::<Value>(request)
            .await
            .map_err(api_error)
    }

    /// Asks the API server for an object.
    async fn ask(&self, caller: &Caller, target: &ObjectRef) -> Result<Option<Value>, ApiError> {
        let path = self
            .path(
                &target.api_version,
                &target.kind,
                target.namespace.as_deref(),
            )
            .await?;
        let Some(path) = path else { return Ok(None) };
        match self
            .send(caller, path.get(&target.name, &GetParams::default()))
            .await
        {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.reason == ApiReason::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks the API server for objects.
    async fn ask_all(&self, caller: &Caller, matching: &Selector) -> Result<Vec<Value>, ApiError> {
        let mut objects = vec![];
        let mut next = None;
        loop {
            let (page, after) = self.ask_for_page(caller, matching, PAGE, next).await?;
            objects.extend(page);
            next = after;
            if next.is_none() {
                break;
            }
        }
        let name = |object: &Value, member: &str| {
            object
                .pointer(member)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        objects.sort_by_cached_key(|object| {
            (
                name(object, "/metadata/namespace"),
                name(object, "/metadata/name"),
            )
        });
        Ok(objects)
    }

    /// Asks for a page of objects, from the one on that `next` stands for. Gives back what stands for the next page.
    async fn ask_for_page(
        &self,
        caller: &Caller,
        matching: &Selector,
        size: u32,
        next: Option<String>,
    ) -> Result<(Vec<Value>, Option<String>), ApiError> {
        let path = self
            .path(
                &matching.api_version,
                &matching.kind,
                matching.namespace.as_deref(),
            )
            .await?;
        let Some(path) = path else {
            return Ok((vec![], None));
        };
        let labels: Vec<String> = matching
            .labels
            .iter()
            .map(|label| format!("{}={}", label.key, label.value))
            .collect();
        let mut parameters = ListParams::default().limit(size);
        if !labels.is_empty() {
            parameters = parameters.labels(&labels.join(","));
        }
        if let Some(next) = &next {
            parameters = parameters.continue_token(next);
        }
        let mut page = match self.send(caller, path.list(&parameters)).await {
            Err(error) if error.reason == ApiReason::NotFound => return Ok((vec![], None)),
            page => page?,
        };
        let items = page
            .get_mut("items")
            .and_then(Value::as_array_mut)
            .map(std::mem::take);
        let mut objects = items.unwrap_or_default();
        for object in &mut objects {
            // Items of a list do not say what they are.
            if let Some(members) = object.as_object_mut() {
                members.insert("apiVersion".to_owned(), json!(matching.api_version));
                members.insert("kind".to_owned(), json!(matching.kind));
            }
        }
        let next = page.pointer("/metadata/continue").and_then(Value::as_str);
        let next = next.filter(|next| !next.is_empty());
        Ok((objects, next.map(ToOwned::to_owned)))
    }
}

/// Sets the headers that tell whose rights a request uses, and for what.
fn prepare(
    caller: &Caller,
    request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<http::Request<Vec<u8>>, ApiError> {
    let mut request = request.map_err(|error| {
        ApiError::new(ApiReason::BadRequest, format!("no such request: {error}"))
    })?;
    let header = |text: String| {
        HeaderValue::from_str(&text).map_err(|_| {
            ApiError::new(
                ApiReason::BadRequest,
                format!("{text:?} cannot be a header"),
            )
        })
    };
    if let Some(user) = user(&caller.account) {
        request.headers_mut().insert(IMPERSONATE, header(user)?);
    }
    let agent = if caller.purpose.is_empty() {
        AGENT.to_owned()
    } else {
        format!("{AGENT} ({})", caller.purpose)
    };
    request.headers_mut().insert(USER_AGENT, header(agent)?);
    Ok(request)
}

fn user(account: &Account) -> Option<String> {
    match account {
        Account::Host => None,
        Account::Strategy { namespace, name } => {
            Some(format!("system:serviceaccount:{namespace}:{name}"))
        }
    }
}

/// What the API server answered, in the engine's words.
fn api_error(error: Error) -> ApiError {
    match error {
        Error::Api(status) => ApiError::new(reason(&status), status.message),
        // The request may have been carried out, or not.
        error => ApiError::new(ApiReason::Unavailable, error.to_string()),
    }
}

fn reason(status: &Status) -> ApiReason {
    match (status.reason.as_str(), status.code) {
        ("NotFound", _) | (_, 404) => ApiReason::NotFound,
        ("AlreadyExists", _) => ApiReason::AlreadyExists,
        ("Conflict", _) | (_, 409) => ApiReason::Conflict,
        ("Forbidden", _) | (_, 403) => ApiReason::Forbidden,
        ("Unauthorized", _) | (_, 401) => ApiReason::Unauthorized,
        ("Invalid", _) | (_, 422) => ApiReason::Invalid,
        ("BadRequest", _) | (_, 400) => ApiReason::BadRequest,
        ("MethodNotAllowed", _) | (_, 405) => ApiReason::MethodNotAllowed,
        ("RequestEntityTooLarge", _) | (_, 413) => ApiReason::RequestEntityTooLarge,
        ("TooManyRequests", _) | (_, 429) => ApiReason::TooManyRequests,
        ("Timeout" | "ServerTimeout", _) | (_, 504) => ApiReason::Timeout,
        // The API server's typed merge gives this for a field that the schema does not have.
        _ if status
            .message
            .contains("failed to create typed patch object") =>
        {
            ApiReason::Invalid
        }
        _ => ApiReason::Unavailable,
    }
}

/// A request that is refused where a field is unknown: what a strategy misspells is not dropped in silence.
const STRICT: kube::api::ValidationDirective = kube::api::ValidationDirective::Strict;

impl Cluster for RealCluster {
    async fn get(&self, caller: &Caller, target: &ObjectRef) -> Result<Option<Value>, ApiError> {
        let ticket = match self.sight.get(&caller.account, target) {
            Sighting::Known(object) => return Ok(object),
            Sighting::Ask(ticket) => ticket,
        };
        let object = self.ask(caller, target).await?;
        if let Some(ticket) = ticket {
            let of = KindOf::new(&caller.account, &target.api_version, &target.kind);
            self.sight.learned(&of, ticket, &object);
        }
        Ok(object)
    }

    async fn list(&self, caller: &Caller, matching: &Selector) -> Result<Vec<Value>, ApiError> {
        let ticket = match self.sight.list(&caller.account, matching) {
            Sighting::Known(objects) => return Ok(objects),
            Sighting::Ask(ticket) => ticket,
        };
        let objects = self.ask_all(caller, matching).await?;
        if let Some(ticket) = ticket {
            let of = KindOf::new(&caller.account, &matching.api_version, &matching.kind);
            self.sight.learned_all(&of, ticket, &objects);
        }
        Ok(objects)
    }

    async fn first(
        &self,
        caller: &Caller,
        matching: &Selector,
    ) -> Result<Option<ObjectRef>, ApiError> {
        if let Some(known) = self.sight.first(&caller.account, matching) {
            return Ok(known);
        }
        let (page, _) = self.ask_for_page(caller, matching, 1, None).await?;
        Ok(page.first().map(backup_engine::reference))
    }

    async fn live_jobs(
        &self,
        kind: &str,
        namespace: Option<&str>,
    ) -> Result<Vec<Arc<Value>>, ApiError> {
        let of = KindOf::new(&Account::Host, API_VERSION, kind);
        match self.sight.live(&of, namespace) {
            Some(jobs) => Ok(jobs),
            None => listed_live_jobs(self, kind, namespace).await,
        }
    }

    async fn serves(&self, api_version: &str, kind: &str) -> Result<bool, ApiError> {
        Ok(self.resource(api_version, kind).await?.is_some())
    }

    async fn log_tail(
        &self,
        caller: &Caller,
        pod: &ObjectRef,
        container: &str,
        previous: bool,
        lines: u32,
    ) -> Result<Option<String>, ApiError> {
        let namespace = pod.namespace.as_deref().unwrap_or_default();
        let path = format!(
            "/api/v1/namespaces/{namespace}/pods/{}/log?container={container}&previous={previous}&tailLines={lines}",
            pod.name
        );
        let request = http::Request::get(path).body(vec![]);
        let request = prepare(
            caller,
            request.map_err(kube::core::request::Error::BuildRequest),
        )?;
        match self.client.request_text(request).await {
            Ok(log) => Ok(Some(log)),
            // No such Pod, container or run.
            Err(Error::Api(status)) if matches!(status.code, 400 | 404) => Ok(None),
            Err(error) => Err(api_error(error)),
        }
    }

    async fn create(
        &self,
        caller: &Caller,
        manager: &str,
        object: &Value,
        dry_run: bool,
    ) -> Result<Value, ApiError> {
        let target = backup_engine::reference(object);
        let path = self.path_to_write(&target).await?;
        let parameters = PostParams {
            dry_run,
            field_manager: Some(manager.to_owned()),
        };
        let body = object.to_string().into_bytes();
        let request = path.create(&parameters, body).map(strict);
        let created = self.send(caller, request).await;
        if dry_run {
            return created;
        }
        self.written(&target, created)
    }

    async fn apply(
        &self,
        caller: &Caller,
        manager: &str,
        object: &Value,
        part: Part,
    ) -> Result<Value, ApiError> {
        let target = backup_engine::reference(object);
        let path = self.path_to_write(&target).await?;
        let mut parameters = PatchParams::apply(manager).force();
        parameters.field_validation = Some(STRICT);
        let patch = Patch::Apply(object);
        let request = match part {
            Part::Main => path.patch(&target.name, &parameters, &patch),
            Part::Status => path.patch_subresource("status", &target.name, &parameters, &patch),
        };
        self.written(&target, self.send(caller, request).await)
    }

    async fn merge(
        &self,
        caller: &Caller,
        manager: &str,
        target: &ObjectRef,
        patch: &Value,
        part: Part,
    ) -> Result<Value, ApiError> {
        let path = self.path_to_write(target).await?;
        let parameters = PatchParams {
            field_manager: Some(manager.to_owned()),
            field_validation: Some(STRICT),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(patch);
        let request = match part {
            Part::Main => path.patch(&target.name, &parameters, &patch),
            Part::Status => path.patch_subresource("status", &target.name, &parameters, &patch),
        };
        self.written(target, self.send(caller, request).await)
    }

    async fn delete(
        &self,
        caller: &Caller,
        target: &ObjectRef,
        options: &DeleteOptions,
    ) -> Result<(), ApiError> {
        let path = self.path_to_write(target).await?;
        let preconditions = Preconditions {
            uid: options.uid.clone(),
            resource_version: options.resource_version.clone(),
        };
        let has_preconditions = options.uid.is_some() || options.resource_version.is_some();
        let parameters = DeleteParams {
            propagation_policy: options.propagation.map(|propagation| match propagation {
                Propagation::Background => PropagationPolicy::Background,
                Propagation::Foreground => PropagationPolicy::Foreground,
                Propagation::Orphan => PropagationPolicy::Orphan,
            }),
            preconditions: has_preconditions.then_some(preconditions),
            ..DeleteParams::default()
        };
        let deleted = self
            .send(caller, path.delete(&target.name, &parameters))
            .await;
        self.sight.deleted(target);
        deleted.map(|_| ())
    }
}

/// Adds strict validation of fields to a request whose parameters lack it.
fn strict(request: http::Request<Vec<u8>>) -> http::Request<Vec<u8>> {
    let (mut parts, body) = request.into_parts();
    let separator = if parts.uri.query().is_some_and(|query| !query.is_empty()) {
        "&"
    } else {
        ""
    };
    let uri = format!("{}{separator}fieldValidation=Strict", parts.uri);
    if let Ok(uri) = uri.parse() {
        parts.uri = uri;
    }
    http::Request::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use kube::Config;

    use super::*;

    #[tokio::test]
    async fn nothing_is_written_behind_a_closed_fence() {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        // Nobody is there.
        let config = Config::new("http://127.0.0.1:1".parse().unwrap());
        let cluster = RealCluster::new(Client::try_from(config).unwrap());
        let sent = async |fence: Fence, method: http::Method| {
            let request = http::Request::builder().method(method).uri("/api");
            let request = request.body(vec![]).unwrap();
            let cluster = cluster.clone().behind(fence);
            cluster
                .send(&Caller::host(), Ok(request))
                .await
                .unwrap_err()
        };
        for method in [
            http::Method::POST,
            http::Method::PATCH,
            http::Method::DELETE,
        ] {
            let error = sent(Fence::closed(), method.clone()).await;
            assert!(error.message.contains("does not lead"), "{error}");
            assert!(error.can_pass());
            let error = sent(Fence::open(), method).await;
            assert!(!error.message.contains("does not lead"), "{error}");
        }
        let error = sent(Fence::closed(), http::Method::GET).await;
        assert!(
            !error.message.contains("does not lead"),
            "reads pass: {error}"
        );
    }
}
