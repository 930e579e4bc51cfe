//! Objects of the tests: applied as an administrator with kubectl would.

use anyhow::{Context as _, Result, anyhow};
use http::Request;
use kube::{
    Client,
    api::{Api, ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    discovery::{self, Scope},
};
use serde_json::{Value, json};

use crate::plane::{ControlPlane, until};

/// The field manager of the tests.
const MANAGER: &str = "test";

/// For how long a token is valid that a Pod would have, in seconds.
const HOUR: u32 = 3600;

impl ControlPlane {
    /// Applies objects, in their order; CustomResourceDefinitions are served when this returns.
    ///
    /// # Errors
    /// When one is not accepted.
    pub async fn apply(&self, objects: &[Value]) -> Result<()> {
        apply(&self.client().await?, objects).await
    }

    /// Creates a namespace whose name begins with `prefix`, and gives its name.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn namespace(&self, prefix: &str) -> Result<String> {
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "generateName": format!("{prefix}-") } });
        let made = post(&self.client().await?, "/api/v1/namespaces", &body).await?;
        text(&made, "/metadata/name")
    }

    /// A token of a ServiceAccount, which must exist, valid for an hour: what a Pod of its would find mounted.
    ///
    /// # Errors
    /// When there is no such ServiceAccount.
    pub async fn token(&self, namespace: &str, name: &str) -> Result<String> {
        self.token_for(namespace, name, HOUR).await
    }

    /// The same, valid for so many seconds.
    ///
    /// # Errors
    /// As [`ControlPlane::token`], and when it is less than ten minutes, which Kubernetes does not give.
    pub async fn token_for(&self, namespace: &str, name: &str, seconds: u32) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": { "expirationSeconds": seconds },
        });
        let made = post(&self.client().await?, &path, &body).await?;
        text(&made, "/status/token")
    }
}

fn text(answer: &Value, pointer: &str) -> Result<String> {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(ToOwned::to_owned)
        .with_context(|| format!("the API server answered without {pointer}"))
}

async fn post(client: &Client, path: &str, body: &Value) -> Result<Value> {
    let request = Request::post(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(serde_json::to_vec(body)?)
        .context("could not make a request")?;
    client
        .request(request)
        .await
        .with_context(|| format!("could not post to {path}"))
}

/// Whether the API server says that it is ready.
pub(crate) async fn is_ready(client: &Client) -> bool {
    match Request::get("/readyz").body(Vec::new()) {
        Ok(request) => client.request_text(request).await.is_ok(),
        Err(_) => false,
    }
}

pub(crate) async fn apply(client: &Client, objects: &[Value]) -> Result<()> {
    for object in objects {
        apply_one(client, object)
            .await
            .with_context(|| format!("could not apply {}", name(object)))?;
    }
    // All of them first: the API server needs a moment for each.
    for object in objects {
        if object["kind"] == "CustomResourceDefinition" {
            served(client, object)
                .await
                .with_context(|| format!("could not define {}", name(object)))?;
        }
    }
    Ok(())
}

fn name(object: &Value) -> String {
    format!(
        "{} {}",
        object["kind"].as_str().unwrap_or_default(),
        object["metadata"]["name"].as_str().unwrap_or_default()
    )
}

async fn apply_one(client: &Client, object: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, namespaced) =
        find(client, &text(&object["apiVersion"]), &text(&object["kind"])).await?;
    let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
        Some(namespace) if namespaced => Api::namespaced_with(client.clone(), namespace, &kind),
        None if namespaced => return Err(anyhow!("it names no namespace")),
        _ => Api::all_with(client.clone(), &kind),
    };
    api.patch(
        &text(&object["metadata"]["name"]),
        &PatchParams::apply(MANAGER).force(),
        &Patch::Apply(object),
    )
    .await?;
    Ok(())
}

/// A kind, and whether it is namespaced.
async fn find(client: &Client, api_version: &str, kind: &str) -> Result<(ApiResource, bool)> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = GroupVersionKind::gvk(group, version, kind);
    let (found, capabilities) = discovery::pinned_kind(client, &kind).await?;
    Ok((found, capabilities.scope == Scope::Namespaced))
}

/// Waits until all versions of a definition are found and answer.
async fn served(client: &Client, definition: &Value) -> Result<()> {
    let spec = &definition["spec"];
    let group = spec["group"].as_str().unwrap_or_default();
    let kind = spec["names"]["kind"].as_str().unwrap_or_default();
    let versions = spec["versions"].as_array().into_iter().flatten();
    for version in versions.filter(|version| version["served"] == true) {
        let version = version["name"].as_str().unwrap_or_default();
        let kind = GroupVersionKind::gvk(group, version, kind);
        until("the kind is served", async || {
            let Ok((kind, _)) = discovery::pinned_kind(client, &kind).await else {
                return Ok(false);
            };
            let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
            let one = kube::api::ListParams::default().limit(1);
            Ok(api.list_metadata(&one).await.is_ok())
        })
        .await?;
    }
    Ok(())
}
