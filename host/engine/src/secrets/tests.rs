//! The rules, one by one.

use serde_json::json;

use super::*;

fn secrets(platform: &[&str], application: &[&str]) -> Secrets {
    let values = application
        .iter()
        .map(|value| (*value).to_owned())
        .collect();
    Secrets::new(
        Arc::new(Needles::new(platform.iter().copied())),
        &values,
        |value| "postgresql.cnpg.io/v1".contains(value),
    )
}

#[test]
fn looks_alone_betray_a_credential() {
    assert!(looks_like_credential("bucket", "cozy-backups").is_none());
    assert!(looks_like_credential("note", "AKIAIOSFODNN7EXAMPLE").is_some());
    assert!(looks_like_credential("note", "xAKIAIOSFODNN7EXAMPLE").is_none());
    assert!(looks_like_credential("s3SecretKey", "x").is_some());
    assert!(looks_like_credential("passwordSecretRef", "x").is_none());
    assert!(looks_like_credential("ca", "-----BEGIN RSA PRIVATE KEY-----\n").is_some());
}

#[test]
fn the_platform_keys_are_found_inside_other_text_and_in_names() {
    let secrets = secrets(&["access-key-1", "secret-key-1", "secret-key-0"], &[]);
    let found = secrets.find(&json!({ "env": [{ "name": "X", "value": "key=secret-key-1" }] }));
    assert_eq!(
        found.unwrap(),
        "/env/0/value holds the platform's own credentials"
    );
    let found = secrets.find(&json!({ "metadata": { "labels": { "secret-key-0": "x" } } }));
    assert_eq!(
        found.unwrap(),
        "/metadata/labels/secret-key-0 holds the platform's own credentials"
    );
}

#[test]
fn a_secret_of_the_application_may_stand_in_the_application_only() {
    let secrets = secrets(&[], &["hunter2hunter2"]);
    let document = json!({ "spec": { "note": "hunter2hunter2" } });
    assert_eq!(
        secrets.find(&document).unwrap(),
        "/spec/note holds a secret of the application"
    );
    assert_eq!(secrets.find_in_application(&document), None);
}

#[test]
fn a_password_that_is_public_anyway_refuses_nothing() {
    let secrets = secrets(&[], &["postgres"]);
    assert_eq!(
        secrets.find(&json!({ "apiVersion": "postgresql.cnpg.io/v1" })),
        None
    );
}

#[test]
fn sensitive_fields_are_known_by_their_names() {
    let mut found = BTreeSet::new();
    sensitive_values(
        &json!({
            "users": { "app": { "password": "password-of-app" } },
            "backup": {
                "s3AccessKey": "access-of-tenant", "s3SecretKey": "secret-of-tenant",
                "s3CredentialsSecret": { "name": "name-of-secret", "secretAccessKeyKey": "AWS_SECRET_ACCESS_KEY" },
            },
            "pin": { "authToken": 1_234_567_890_u64 },
            "tokens": "not-one-token",
            "list": { "apiKey": ["first-api-key", "other-api-key"] },
            "short": { "password": "short" },
            "env": [
                { "name": "PGPASSWORD", "value": "password-in-env" },
                { "name": "PGPASSWORD_FILE", "value": "/run/password" },
            ],
            "superuserPassword": { "name": "a-reference-to-a-secret" },
        }),
        &mut found,
    );
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(
        found,
        [
            "1234567890",
            "access-of-tenant",
            "first-api-key",
            "other-api-key",
            "password-in-env",
            "password-of-app",
            "secret-of-tenant",
        ]
    );
}

#[test]
fn a_literal_password_in_a_variable_is_refused() {
    let document = |name: &str| json!({ "env": [{ "name": name, "value": "x" }] });
    let secrets = secrets(&[], &[]);
    assert_eq!(
        secrets.find(&document("PGPASSWORD")).unwrap(),
        "/env/0 holds a literal password or key"
    );
    assert_eq!(secrets.find(&document("PGHOST")), None);
    let reference = json!({ "env": [{ "name": "PGPASSWORD", "valueFrom": { "secretKeyRef": { "name": "x", "key": "y" } } }] });
    assert_eq!(secrets.find(&reference), None);
}

#[test]
fn a_log_line_keeps_all_but_the_secrets() {
    let secrets = secrets(&["secret-key-1"], &["hunter2hunter2"]);
    assert_eq!(secrets.redact("nothing to hide"), "nothing to hide");
    assert_eq!(
        secrets.redact("a secret-key-1 b hunter2hunter2 c AKIAIOSFODNN7EXAMPLE d"),
        "a [redacted] b [redacted] c [redacted] d"
    );
    assert_eq!(
        secrets.redact("key:\n-----BEGIN PRIVATE KEY-----\nMIIE"),
        "key:\n[redacted]"
    );
}

#[test]
fn a_megabyte_is_looked_through_once_for_a_thousand_secrets() {
    let values: Vec<String> = (0..1000)
        .map(|n| format!("password-number-{n}-of-many"))
        .collect();
    let needles = Needles::new(values.iter().map(String::as_str));
    let text = "a text without any secret in it, ".repeat(32 * 1024);
    assert!(!needles.is_in(&text));
    assert!(needles.is_in(&format!("{text}password-number-999-of-many")));
}

#[test]
fn the_platforms_keys_in_parameters_are_found() {
    let parameters = |value: &str| BTreeMap::from([("bucket-of".to_owned(), value.to_owned())]);
    let platform = Needles::new(["secret-key-1"]);
    let found = platform_keys_in_parameters(&platform, &parameters("x:secret-key-1"));
    assert_eq!(
        found.unwrap(),
        "parameter bucket-of holds the platform's own credentials; tenants can read parameters, so name a Secret instead"
    );
    assert_eq!(
        platform_keys_in_parameters(&platform, &parameters("orders")),
        None
    );
}
