use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(cron: &str, time_zone: Option<&str>) -> Result<Schedule, String> {
    let spec = backup_api::Schedule {
        cron: Some(cron.to_owned()),
        time_zone: time_zone.map(ToOwned::to_owned),
        ..backup_api::Schedule::default()
    };
    Schedule::read(&spec, at("2026-01-01T00:00:30Z"))
}

/// The first slots after an instant, as the zone of the schedule shows them.
fn slots(cron: &str, time_zone: Option<&str>, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(cron, time_zone).unwrap();
    let first = schedule.next(at(after));
    std::iter::successors(first, |slot| schedule.next(*slot))
        .take(count)
        .map(|slot| {
            slot.to_zoned(schedule.zone().clone())
                .strftime("%m-%d %H:%M%:z")
                .to_string()
        })
        .collect()
}

fn utc(cron: &str, after: &str, count: usize) -> Vec<String> {
    let mut found = slots(cron, None, after, count);
    for slot in &mut found {
        slot.truncate("01-01 00:00".len());
    }
    found
}

fn wrong(cron: &str) -> String {
    schedule(cron, None).unwrap_err()
}

#[test]
fn five_fields_mean_what_they_mean_to_the_reference() {
    let new_year = "2026-01-01T00:00:00Z"; // A Thursday.
    let cases: [(&str, &[&str]); 16] = [
        ("* * * * *", &["01-01 00:01", "01-01 00:02"]),
        ("*/15 * * * *", &["01-01 00:15", "01-01 00:30"]),
        (
            "5/25 * * * *",
            &["01-01 00:05", "01-01 00:30", "01-01 00:55", "01-01 01:05"],
        ),
        (
            "0 2-8/3 * * *",
            &["01-01 02:00", "01-01 05:00", "01-01 08:00", "01-02 02:00"],
        ),
        ("0 0 * FEB,mar *", &["02-01 00:00", "02-02 00:00"]),
        (
            "0 0 * * SUN-Tue",
            &["01-04 00:00", "01-05 00:00", "01-06 00:00", "01-11 00:00"],
        ),
        ("0 0 ? * ?", &["01-02 00:00", "01-03 00:00"]),
        // Either of both, when both are restricted.
        (
            "0 0 13 * FRI",
            &["01-02 00:00", "01-09 00:00", "01-13 00:00", "01-16 00:00"],
        ),
        ("0 0 * * FRI", &["01-02 00:00", "01-09 00:00"]),
        ("0 0 13 * *", &["01-13 00:00", "02-13 00:00"]),
        // A step restricts too, and a list with an asterisk does not, wherever it stands.
        (
            "0 0 */20 * FRI",
            &["01-02 00:00", "01-09 00:00", "01-16 00:00", "01-21 00:00"],
        ),
        ("0 0 13,* * FRI", &["01-02 00:00", "01-09 00:00"]),
        ("0 0 */1 * FRI", &["01-02 00:00", "01-09 00:00"]),
        // A step beyond the end.
        ("*/60 * * * *", &["01-01 01:00", "01-01 02:00"]),
        ("7-9/90 * * * *", &["01-01 00:07", "01-01 01:07"]),
        ("  0   0\t* * 0 ", &["01-04 00:00", "01-11 00:00"]),
    ];
    for (cron, expected) in cases {
        assert_eq!(utc(cron, new_year, expected.len()), expected, "{cron}");
    }
}

#[test]
fn words_stand_for_fields() {
    let new_year = "2026-01-01T00:00:00Z";
    for (cron, expected) in [
        ("@hourly", "01-01 01:00"),
        ("@daily", "01-02 00:00"),
        ("@midnight", "01-02 00:00"),
        ("@weekly", "01-04 00:00"),
        ("@monthly", "02-01 00:00"),
        ("@yearly", "01-01 00:00"),
        ("@annually", "01-01 00:00"),
    ] {
        assert_eq!(utc(cron, new_year, 1), [expected], "{cron}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (cron, part) in [
        ("", "it is empty"),
        ("   ", "it is empty"),
        ("0 0 * *", "there are 4 fields"),
        ("0 0 0 * * *", "there are 6 fields"),
        (
            "60 * * * *",
            "the minute \"60\": 60 is out of range; the highest is 59",
        ),
        ("* 24 * * *", "the hour \"24\""),
        ("* * 0 * *", "the day of month \"0\""),
        ("* * 32 * *", "the day of month \"32\""),
        ("* * * 13 *", "the month \"13\""),
        ("* * * FOO *", "the month \"FOO\""),
        ("* * * * 7", "the days are 0 (Sunday) to 6 (Saturday)"),
        ("* * * * 0-7", "the days are 0 (Sunday) to 6 (Saturday)"),
        ("* * * * 5L", "the day of week \"5L\""),
        ("* * * * 5#2", "the day of week \"5#2\""),
        ("* * L * *", "the day of month \"L\""),
        ("* * 15W * *", "the day of month \"15W\""),
        ("H * * * *", "the minute \"H\""),
        ("*/0 * * * *", "a step of 0"),
        ("*/x * * * *", "\"x\" is no number of steps"),
        ("5-1 * * * *", "ascending order"),
        ("1- * * * *", "the minute \"1-\""),
        ("1,,2 * * * *", "the minute \"1,,2\""),
        ("1--2 * * * *", "the minute"),
        ("-1 * * * *", "the minute"),
        ("99999999999 * * * *", "the minute"),
        ("@reboot", "\"@reboot\" is not known"),
        ("@every", "\"@every\" is not known"),
        ("@every 5", "is no duration"),
        ("@every 59s", "the shortest period is one minute"),
        ("@every -5m", "is no duration"),
        ("@every 999999999h", "longer than a schedule can be"),
        ("TZ=Europe/Berlin", "names a time zone but no times"),
        (
            "TZ=Nowhere/Land 0 0 * * *",
            "\"Nowhere/Land\" is no time zone",
        ),
        ("TZ=../../etc/passwd 0 0 * * *", "is no time zone"),
    ] {
        let said = wrong(cron);
        assert!(said.contains(part), "{cron}: {said}");
        assert!(said.contains("spec.schedule.cron"), "{cron}: {said}");
    }
}

// Defect 3 of the reference.
#[test]
fn an_impossible_date_is_refused() {
    for cron in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31 FEB ?"] {
        assert!(wrong(cron).contains("no calendar has such a day"), "{cron}");
    }
    // Or-ed with a weekday, there are such days.
    assert_eq!(
        utc("0 0 30 2 MON", "2026-01-01T00:00:00Z", 1),
        ["02-02 00:00"]
    );
}

#[test]
fn a_leap_day_comes_after_four_or_eight_years() {
    let leap = schedule("0 0 29 2 *", Some("Europe/Berlin")).unwrap();
    let next = |after| leap.next(at(after)).unwrap().to_string();
    assert_eq!(next("2026-01-01T00:00:00Z"), "2028-02-28T23:00:00Z");
    assert_eq!(next("2096-03-01T00:00:00Z"), "2104-02-28T23:00:00Z");
}

#[test]
fn only_cron_is_a_type_of_schedule() {
    let typed = |type_: &str| {
        let spec = backup_api::Schedule {
            type_: Some(type_.to_owned()),
            cron: Some("@daily".to_owned()),
            ..backup_api::Schedule::default()
        };
        Schedule::read(&spec, Timestamp::UNIX_EPOCH)
    };
    assert!(typed("cron").is_ok());
    assert!(
        typed("interval")
            .unwrap_err()
            .contains("spec.schedule.type")
    );
    assert!(typed("").is_ok());
}

#[test]
fn a_time_zone_is_named_once() {
    let noon = ["06-01 12:00+02:00"];
    let may = "2026-05-31T12:00:00Z";
    assert_eq!(slots("0 12 * * *", Some("Europe/Berlin"), may, 1), noon);
    assert_eq!(slots("TZ=Europe/Berlin 0 12 * * *", None, may, 1), noon);
    assert_eq!(
        slots("CRON_TZ=Europe/Berlin 0 12 * * *", None, may, 1),
        noon
    );
    assert_eq!(
        slots("TZ=Europe/Berlin @daily", None, may, 1),
        ["06-01 00:00+02:00"]
    );
    let both = schedule("TZ=UTC 0 12 * * *", Some("Europe/Berlin")).unwrap_err();
    assert!(both.contains("name it once"), "{both}");
    let unknown = schedule("0 12 * * *", Some("Mars/Base")).unwrap_err();
    assert!(
        unknown.contains("spec.schedule.timeZone: \"Mars/Base\""),
        "{unknown}"
    );
}

#[test]
fn a_time_that_the_wall_clock_leaves_out_is_no_slot() {
    // 2026-03-29, 02:00 is followed by 03:00 in Berlin.
    let eve = "2026-03-28T00:00:00Z";
    let berlin = Some("Europe/Berlin");
    assert_eq!(
        slots("30 2 * * *", berlin, eve, 2),
        ["03-28 02:30+01:00", "03-30 02:30+02:00"]
    );
    // The hour goes on without a pause, and the slot at the change itself is one.
    assert_eq!(
        slots("0 * * * *", berlin, "2026-03-28T23:30:00Z", 3),
        [
            "03-29 01:00+01:00",
            "03-29 03:00+02:00",
            "03-29 04:00+02:00"
        ]
    );
    assert_eq!(slots("0 3 29 3 *", berlin, eve, 1), ["03-29 03:00+02:00"]);
}

#[test]
fn a_time_that_the_wall_clock_shows_twice_is_two_slots() {
    // 2026-10-25, 03:00 is followed by 02:00 in Berlin.
    let eve = "2026-10-24T12:00:00Z";
    let berlin = Some("Europe/Berlin");
    assert_eq!(
        slots("30 2 * * *", berlin, eve, 3),
        [
            "10-25 02:30+02:00",
            "10-25 02:30+01:00",
            "10-26 02:30+01:00"
        ]
    );
    assert_eq!(
        slots("0 2 * * *", berlin, eve, 2),
        ["10-25 02:00+02:00", "10-25 02:00+01:00"]
    );
}

#[test]
fn a_zone_that_moves_by_half_an_hour_is_no_trap() {
    // 2026-04-05, 02:00 is followed by 01:30 on Lord Howe Island.
    assert_eq!(
        slots(
            "45 1 * * *",
            Some("Australia/Lord_Howe"),
            "2026-04-04T12:00:00Z",
            2
        ),
        ["04-05 01:45+11:00", "04-05 01:45+10:30"]
    );
    // 2026-10-04, 02:00 is followed by 02:30.
    assert_eq!(
        slots(
            "15 2 * * *",
            Some("Australia/Lord_Howe"),
            "2026-10-03T00:00:00Z",
            1
        ),
        ["10-05 02:15+11:00"]
    );
}

// Defect 2 of the reference.
#[test]
fn any_period_of_a_minute_or_more_has_slots_counted_from_the_creation() {
    let made = |cron| {
        let schedule = schedule(cron, None).unwrap();
        move |after: &str| schedule.next(at(after)).unwrap().to_string()
    };
    let hours = made("@every 6h");
    assert_eq!(hours("2026-01-01T00:00:30Z"), "2026-01-01T06:00:30Z");
    assert_eq!(hours("2026-01-01T06:00:29Z"), "2026-01-01T06:00:30Z");
    assert_eq!(hours("2026-01-01T06:00:30Z"), "2026-01-01T12:00:30Z");
    let odd = made("@every 1m30.9s");
    assert_eq!(odd("2025-12-01T00:00:00Z"), "2026-01-01T00:02:00Z");
    assert_eq!(odd("2026-01-01T00:02:00Z"), "2026-01-01T00:03:30Z");
}

#[test]
fn the_last_slot_of_a_stretch_is_found_whatever_its_length() {
    let minutes = schedule("* * * * *", None).unwrap();
    let yearly = schedule("@yearly", None).unwrap();
    let (from, until) = (at("2020-06-01T00:00:00Z"), at("2026-06-01T10:00:59Z"));
    assert_eq!(minutes.last(from, until), Some(at("2026-06-01T10:00:00Z")));
    assert_eq!(yearly.last(from, until), Some(at("2026-01-01T00:00:00Z")));
    assert_eq!(yearly.last(at("2026-01-01T00:00:01Z"), until), None);
    let edge = at("2026-01-01T00:00:00Z");
    assert_eq!(yearly.last(edge, edge), Some(edge));
}

#[test]
fn slots_of_a_stretch_include_both_ends() {
    let hourly = schedule("@hourly", None).unwrap();
    let found: Vec<_> = hourly
        .slots(at("2026-01-01T01:00:00Z"), at("2026-01-01T03:00:00Z"))
        .map(|slot| slot.to_string())
        .collect();
    assert_eq!(
        found,
        [
            "2026-01-01T01:00:00Z",
            "2026-01-01T02:00:00Z",
            "2026-01-01T03:00:00Z"
        ]
    );
}
