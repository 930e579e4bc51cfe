use super::*;

fn template(store: BarmanObjectStore) -> Template {
    Template {
        server_name: None,
        barman_object_store: store,
    }
}

fn pointers(store: BarmanObjectStore, parameters: &Parameters) -> Vec<String> {
    let spec = Spec {
        template: template(store),
    };
    problems(&spec, parameters)
        .into_iter()
        .map(|problem| problem.path)
        .collect()
}

fn store(destination: &str, endpoint: &str, retention: &str) -> BarmanObjectStore {
    BarmanObjectStore {
        destination_path: destination.into(),
        endpoint_url: Some(endpoint.into()),
        retention_policy: Some(retention.into()),
        ..BarmanObjectStore::default()
    }
}

#[test]
fn templates_and_what_is_empty_are_not_judged() {
    let none = Parameters::default();
    let templated = store(
        "{{ .Parameters.path }}",
        "{{ .Storage.endpoint }}",
        "{{ .Parameters.keep }}",
    );
    assert!(pointers(templated, &none).is_empty());
    let place = store("s3://bucket/{{ .Application.metadata.name }}", "", "");
    assert!(pointers(place, &none).is_empty());
}

#[test]
fn problems_name_the_setting() {
    let parameters = Parameters {
        server_name: Some("a/b".into()),
        destination_path: Some("s3:///orders".into()),
        retention_policy: Some("30".into()),
        data_jobs: Some(Parsed(0)),
        ..Parameters::default()
    };
    let mut wrong = store("bucket", "s3.example.org", "0d");
    wrong.data.jobs = Some(0);
    assert_eq!(
        pointers(wrong, &parameters),
        [
            "/spec/template/barmanObjectStore/destinationPath",
            "/spec/template/barmanObjectStore/endpointURL",
            "/spec/template/barmanObjectStore/retentionPolicy",
            "/parameters/serverName",
            "/parameters/barmanObjectStore.destinationPath",
            "/parameters/barmanObjectStore.retentionPolicy",
            "/spec/template/barmanObjectStore/data/jobs",
            "/parameters/data.jobs",
        ]
    );
}

// TestParseCNPGRestoreOptions: missing fields, recovery time only, timeout only, both, malformed. Zone and parts of a
// second stay as they were written.
#[test]
fn a_recovery_time_is_a_time_or_latest_or_the_backups_own() {
    let read = |text: &str| {
        let text = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text);
        RecoveryTime::deserialize(text).map_err(|error| error.to_string())
    };
    assert_eq!(read(""), Ok(RecoveryTime::Backup));
    assert_eq!(read("latest"), Ok(RecoveryTime::Latest));
    let at = Timestamp(1_787_274_245);
    let written = "2026-08-21T03:04:05.123456+02:00";
    assert_eq!(read(written), Ok(RecoveryTime::At(written.into(), at)));
    assert_eq!(
        read("2026-08-21t01:04:05z"),
        Ok(RecoveryTime::At("2026-08-21T01:04:05Z".into(), at))
    );
    for wrong in [
        "yesterday",
        "2026-08-21",
        "2026-08-21 01:04:05",
        "2026-08-21T01:04:05Z\n",
        "LATEST",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

// TestEffectiveRestoreDeadline, TestEffectiveWALArchiveDeadline
#[test]
fn a_deadline_of_zero_or_less_is_none() {
    let asked = |seconds| {
        let options = Options {
            recovery_time: None,
            restore_timeout_seconds: seconds,
            wal_archive_timeout_seconds: seconds,
        };
        (
            options.restore_deadline().as_secs(),
            options.wal_deadline().as_secs(),
        )
    };
    assert_eq!(asked(None), (1800, 180));
    assert_eq!(asked(Some(0)), (1800, 180));
    assert_eq!(asked(Some(-3600)), (1800, 180));
    assert_eq!(asked(Some(7200)), (7200, 7200));
}

#[test]
fn a_parameter_wins_over_the_setting() {
    let mut settings = template(store("s3://b/p", "https://a.example", "30d"));
    settings.barman_object_store.data.jobs = Some(2);
    let class = Parameters {
        server_name: Some("server".into()),
        endpoint_url: Some("https://b.example".into()),
        retention_policy: Some(String::new()),
        endpoint_ca: Some("ca".into()),
        secret: Some("keys".into()),
        access_key_id_key: Some("id".into()),
        data_encryption: Some(Templated::Value(Encryption::AwsKms)),
        data_jobs: Some(Parsed(4)),
        ..Parameters::default()
    };
    let Template {
        server_name,
        barman_object_store: store,
    } = settings.with(class);
    assert_eq!(server_name.as_deref(), Some("server"));
    assert_eq!(store.destination_path, "s3://b/p");
    assert_eq!(store.endpoint_url.as_deref(), Some("https://b.example"));
    assert_eq!(store.retention_policy.as_deref(), Some("30d"));
    assert_eq!(
        store.endpoint_ca.map(|ca| ca.secret_ref.name),
        Some("ca".into())
    );
    let keys = store.s3_credentials.unwrap_or_default();
    assert_eq!(keys.secret_ref.name, "keys");
    assert_eq!(keys.access_key_id_key.as_deref(), Some("id"));
    assert_eq!(
        store.data.encryption,
        Some(Templated::Value(Encryption::AwsKms))
    );
    assert_eq!(store.data.jobs, Some(4));
}
