use super::*;

#[test]
fn places_folders_and_durations_are_told_apart() {
    assert!(PLACE.fits("s3://b/p/") && !PLACE.fits("bucket") && !PLACE.fits("s3:///orders"));
    assert!(FOLDER_NAME.fits("orders") && !FOLDER_NAME.fits("a/b") && !FOLDER_NAME.fits(".."));
    assert!(RETENTION.fits("30d") && !RETENTION.fits("0d") && !RETENTION.fits("30"));
    assert!(ONE_OR_MORE.fits("1") && !ONE_OR_MORE.fits("0"));
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
