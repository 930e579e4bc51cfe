//! The projected Secret: what its keys are made of, byte for byte.

use std::collections::BTreeMap;

use backup_engine::StorageSettings;
use data_encoding::BASE64;

use super::*;

const SOURCE: (&str, &str) = ("cozy-backup-controller", "cozy-backups-system-credentials");

/// The source Secret, in the place of the one that is there.
pub(crate) fn source(stage: &Stage, values: &[(&str, &str)]) {
    let encoded = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(BASE64.encode(value.as_bytes()))));
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "namespace": SOURCE.0, "name": SOURCE.1 },
        "data": Value::Object(encoded.collect()),
    });
    stage.cluster.put(secret).unwrap();
}

/// The keys of the copy as text.
pub(crate) fn projected(stage: &Stage) -> BTreeMap<String, String> {
    let copy = copy(stage).unwrap_or_else(|| panic!("nothing was projected"));
    let data = copy["data"].as_object().unwrap().iter();
    data.map(|(key, value)| {
        let bytes = BASE64.decode(value.as_str().unwrap().as_bytes()).unwrap();
        (key.clone(), String::from_utf8(bytes).unwrap())
    })
    .collect()
}

/// What a backup projects from this source, under the default settings.
async fn from(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    from_with(StorageSettings::default(), values).await
}

async fn from_with(storage: StorageSettings, values: &[(&str, &str)]) -> BTreeMap<String, String> {
    let settings = Settings {
        storage,
        ..Settings::default()
    };
    let mut stage = platform_with(settings, Guest::default());
    source(&stage, values);
    let said = ordered(&mut stage, "BackupJob", "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    projected(&stage)
}

const FLAT: [(&str, &str); 5] = [
    ("accessKey", "AK"),
    ("secretKey", "SK"),
    ("endpoint", "https://s3.cozy.example"),
    ("bucketName", "cozy-backups"),
    ("region", "eu-1"),
];

/// What these flat keys, and a bucket of COSI that says the same, come to.
fn formats() -> BTreeMap<String, String> {
    let account = r#"{"api_key":"AK","secret":"SK"}"#;
    let blob = format!(
        r#"{{"accounts":{{"@s3.cozy.example":{account},"AK@s3.cozy.example":{account},"s3.cozy.example":{account}}}}}"#
    );
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AK"),
        ("AWS_SECRET_ACCESS_KEY", "SK"),
        ("accessKey", "AK"),
        ("secretKey", "SK"),
        (
            "cloud",
            "[default]\naws_access_key_id=AK\naws_secret_access_key=SK\n",
        ),
        ("blob_credentials.json", blob.as_str()),
        ("endpoint", "s3.cozy.example"),
        ("endpointURL", "https://s3.cozy.example"),
        ("bucketName", "cozy-backups"),
        ("region", "eu-1"),
        ("forcePathStyle", "true"),
    ];
    keys.into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

const COSI: &str = r#"{"spec":{"bucketName":"cozy-backups","secretS3":{
    "accessKeyID":"AK","accessSecretKey":"SK","endpoint":"https://s3.cozy.example","region":"eu-1"}}}"#;

// TestProject_HappyPath_FlatKeys
#[tokio::test]
async fn flat_keys_come_to_every_format() {
    assert_eq!(from(&FLAT).await, formats());
}

// TestProject_HappyPath_BucketInfo
#[tokio::test]
async fn a_bucket_of_cosi_comes_to_the_same() {
    assert_eq!(from(&[("BucketInfo", COSI)]).await, formats());
}

// TestProject_PartialFlatKeys_FallsBackToBucketInfoFields
#[tokio::test]
async fn flat_keys_win_and_those_of_cosi_fill_the_gaps() {
    let flat = [
        ("accessKey", "flat"),
        ("secretKey", ""),
        ("region", "eu-2"),
        ("BucketInfo", COSI),
    ];
    let keys = from(&flat).await;
    assert_eq!(keys["accessKey"], "flat");
    assert_eq!(keys["secretKey"], "SK");
    assert_eq!(keys["region"], "eu-2");
    assert_eq!(keys["endpoint"], "s3.cozy.example");
    assert_eq!(keys["bucketName"], "cozy-backups");
}

// TestProject_GarbledBucketInfo_DoesNotFailWhenFlatKeysValid
#[tokio::test]
async fn a_garbled_bucket_info_does_no_harm_where_nothing_is_missing() {
    let garbled = [FLAT.as_slice(), &[("BucketInfo", "{not json")]].concat();
    assert_eq!(from(&garbled).await, formats());
}

// TestProject_SourceMalformed_NoKeys, TestProject_FailsWhenEndpointMissingEverywhere
#[tokio::test]
async fn a_source_that_lacks_something_is_final_and_says_what() {
    let mut stage = platform(Guest::default());
    let bucket = ("bucketName", "cozy-backups");
    let access = ("accessKey", "AK");
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[bucket], "accessKey is missing"),
        (&[bucket, access], "secretKey is missing"),
        (
            &[bucket, access, ("secretKey", " \n")],
            "secretKey is missing",
        ),
        (
            &[bucket, access, ("BucketInfo", "{not json")],
            "secretKey is missing, and BucketInfo is not JSON",
        ),
        (
            &[bucket, access, ("secretKey", "SK")],
            "endpoint is missing, in the Secret and in backupStorage.endpoint",
        ),
    ];
    for (at, (values, problem)) in cases.into_iter().enumerate() {
        source(&stage, values);
        let said = ordered(&mut stage, "BackupJob", &format!("job-{at}")).await;
        let (namespace, name) = SOURCE;
        let words = format!(
            "Failed BackupFailed: the source Secret {namespace}/{name} is not usable: {problem}"
        );
        assert!(said.starts_with(&words), "{said}");
        assert_eq!(copy(&stage), None);
    }
}

// TestProject_EndpointFallback_StripsScheme
#[tokio::test]
async fn settings_stand_in_for_what_the_source_leaves_out() {
    let storage = StorageSettings {
        endpoint: "http://storage.example:9000".to_owned(),
        region: "eu-3".to_owned(),
        bucket_name: "of-the-settings".to_owned(),
        ..StorageSettings::default()
    };
    let keys = from_with(storage.clone(), &FLAT[..2]).await;
    assert_eq!(keys["endpoint"], "storage.example:9000");
    assert_eq!(keys["region"], "eu-3");
    assert_eq!(keys["bucketName"], "of-the-settings");
    assert_eq!(from_with(storage, &FLAT).await, formats());
}

// TestStripScheme_Forms, TestBuildFDBBlobCredentials_EndpointForms, TestProject_HappyPath_HTTPEndpoint. Defect 16 of the
// reference: the account of FoundationDB and the endpoint differed by a slash. FoundationDB itself looks accounts up by
// key and host, without the port. ClickHouse's backup tool wants the scheme that the reference took away.
#[tokio::test]
async fn endpoint_and_blob_accounts_are_of_one_host_whatever_the_form() {
    let mut stage = platform(Guest::default());
    let forms = [
        ("https://s3.cozy.example", "https", "s3.cozy.example"),
        (
            "http://s3.cozy.example:9000",
            "http",
            "s3.cozy.example:9000",
        ),
        ("s3.cozy.example", "https", "s3.cozy.example"),
        ("s3.cozy.example:9000", "https", "s3.cozy.example:9000"),
        ("https://s3.cozy.example/", "https", "s3.cozy.example"),
        ("s3.cozy.example/", "https", "s3.cozy.example"),
        ("https://s3.cozy.example/s3", "https", "s3.cozy.example/s3"),
    ];
    for (at, (endpoint, scheme, host)) in forms.into_iter().enumerate() {
        let mut values = FLAT;
        values[2].1 = endpoint;
        source(&stage, &values);
        ordered(&mut stage, "BackupJob", &format!("job-{at}")).await;
        let keys = projected(&stage);
        assert_eq!(keys["endpoint"], host, "{endpoint}");
        assert_eq!(keys["endpointURL"], format!("{scheme}://{host}"));
        let blob: Value = serde_json::from_str(&keys["blob_credentials.json"]).unwrap();
        let accounts: Vec<_> = blob["accounts"].as_object().unwrap().keys().collect();
        let by_key = ["@s3.cozy.example", "AK@s3.cozy.example"];
        assert_eq!(accounts, [by_key[0], by_key[1], host], "{endpoint}");
    }
}

#[tokio::test]
async fn characters_that_go_escapes_are_escaped_in_the_blob_account() {
    let mut values = FLAT;
    values[1].1 = r#"a<b>&"c"#;
    let keys = from(&values).await;
    let account = r#""s3.cozy.example":{"api_key":"AK","secret":"a\u003cb\u003e\u0026\"c"}"#;
    let blob = &keys["blob_credentials.json"];
    assert!(blob.ends_with(&format!(",{account}}}}}")), "{blob}");
    assert_eq!(keys["secretKey"], r#"a<b>&"c"#);
}

// TestProject_WritesForcePathStyle
#[tokio::test]
async fn path_style_is_passed_on_as_it_is_set() {
    for (set, written) in [
        (Some(true), Some("true")),
        (Some(false), Some("false")),
        (None, None),
    ] {
        let storage = StorageSettings {
            force_path_style: set,
            ..StorageSettings::default()
        };
        let keys = from_with(storage, &FLAT).await;
        assert_eq!(keys.get("forcePathStyle").map(String::as_str), written);
    }
}

// Defect 16 of the reference: a trailing newline, as `echo` and editors leave it, went into every key.
#[tokio::test]
async fn values_lose_the_white_space_around_them() {
    let spaced = FLAT.map(|(key, value)| (key, format!(" {value}\n")));
    let spaced: Vec<(&str, &str)> = spaced
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect();
    assert_eq!(from(&spaced).await, formats());
    let cosi = COSI
        .replace("AK", "AK\\n")
        .replace("SK", " SK\\n")
        .replace("example", "example\\n");
    assert_eq!(from(&[("BucketInfo", &cosi)]).await, formats());
}
