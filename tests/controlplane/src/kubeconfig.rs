//! Kubeconfigs: who asks, where, and whom to trust. They carry all they need, so a copy works anywhere.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::certificates::Identity;

/// As whom a request is made, where that is not the holder of the certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guise<'a> {
    pub(crate) user: &'a str,
    pub(crate) groups: &'a [&'a str],
}

/// How the holder proves who it is.
pub(crate) enum Proof<'a> {
    Certificate(&'a Identity),
    Token(&'a str),
}

/// A kubeconfig, in JSON, which every reader of YAML takes.
pub(crate) fn kubeconfig(
    url: &str,
    authority: &str,
    proof: &Proof<'_>,
    guise: Option<Guise<'_>>,
) -> String {
    let mut user = match proof {
        Proof::Certificate(identity) => json!({
            "client-certificate-data": BASE64.encode(identity.certificate.as_bytes()),
            "client-key-data": BASE64.encode(identity.key.as_bytes()),
        }),
        Proof::Token(token) => json!({ "token": token }),
    };
    if let Some(guise) = guise {
        user["as"] = Value::from(guise.user);
        user["as-groups"] = Value::from(guise.groups);
    }
    let name = "test";
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": name, "cluster": {
            "server": url,
            "certificate-authority-data": BASE64.encode(authority.as_bytes()),
        } }],
        "users": [{ "name": name, "user": user }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name } }],
        "current-context": name,
    });
    format!("{config:#}\n")
}
