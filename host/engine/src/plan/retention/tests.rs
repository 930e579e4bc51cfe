use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn backup(taken_at: &str, worth: Worth) -> Held {
    Held {
        name: taken_at.to_owned(),
        taken_at: at(&format!("2026-{taken_at}:00Z")),
        worth,
    }
}

fn good(times: &[&str]) -> Vec<Held> {
    times
        .iter()
        .map(|taken| backup(taken, Worth::Good))
        .collect()
}

fn rules(policy: &RetentionPolicy) -> Rules {
    Rules::read(policy).unwrap()
}

/// The names of those that stay, newest first.
fn kept(policy: &RetentionPolicy, held: &[Held], now: &str) -> Vec<String> {
    let judgement = rules(policy).judge(held, at(now), &TimeZone::UTC);
    judgement
        .kept
        .into_iter()
        .map(|(held, _)| held.name)
        .collect()
}

const NOW: &str = "2026-06-30T12:00:00Z";

#[test]
fn without_a_rule_everything_stays() {
    let mut held = good(&["01-01T00:00", "02-01T00:00"]);
    held.push(backup("01-15T00:00", Worth::Bad));
    assert_eq!(kept(&RetentionPolicy::default(), &held, NOW).len(), 3);
}

#[test]
fn the_newest_stay_by_number() {
    let held = good(&["06-01T00:00", "06-03T00:00", "06-02T00:00"]);
    let policy = RetentionPolicy {
        keep_last: Some(2),
        ..RetentionPolicy::default()
    };
    assert_eq!(kept(&policy, &held, NOW), ["06-03T00:00", "06-02T00:00"]);
    let removed = rules(&policy).judge(&held, at(NOW), &TimeZone::UTC).removed;
    assert_eq!(removed[0].name, "06-01T00:00");
}

#[test]
fn the_newest_of_each_period_that_has_one_stays() {
    let held = good(&[
        "06-01T01:10",
        "06-01T01:50",
        "06-01T23:00",
        "06-05T08:00",
        "06-05T09:00",
        "06-20T00:00",
    ]);
    let daily = RetentionPolicy {
        keep_daily: Some(2),
        ..RetentionPolicy::default()
    };
    assert_eq!(kept(&daily, &held, NOW), ["06-20T00:00", "06-05T09:00"]);
    let hourly = RetentionPolicy {
        keep_hourly: Some(5),
        ..RetentionPolicy::default()
    };
    assert_eq!(
        kept(&hourly, &held, NOW),
        [
            "06-20T00:00",
            "06-05T09:00",
            "06-05T08:00",
            "06-01T23:00",
            "06-01T01:50"
        ]
    );
    let monthly = RetentionPolicy {
        keep_monthly: Some(5),
        ..RetentionPolicy::default()
    };
    assert_eq!(kept(&monthly, &held, NOW), ["06-20T00:00"]);
}

#[test]
fn weeks_begin_on_monday_and_belong_to_the_year_of_their_thursday() {
    // 2025-12-29 is the Monday of 2026's first week.
    let taken = |text: &str| Held {
        name: text.to_owned(),
        taken_at: at(text),
        worth: Worth::Good,
    };
    let held = [
        taken("2025-12-28T00:00:00Z"),
        taken("2025-12-29T00:00:00Z"),
        taken("2026-01-04T00:00:00Z"),
        taken("2026-01-05T00:00:00Z"),
    ];
    let weekly = RetentionPolicy {
        keep_weekly: Some(9),
        ..RetentionPolicy::default()
    };
    assert_eq!(
        kept(&weekly, &held, NOW),
        [
            "2026-01-05T00:00:00Z",
            "2026-01-04T00:00:00Z",
            "2025-12-28T00:00:00Z"
        ]
    );
    let yearly = RetentionPolicy {
        keep_yearly: Some(9),
        ..RetentionPolicy::default()
    };
    assert_eq!(
        kept(&yearly, &held, NOW),
        ["2026-01-05T00:00:00Z", "2025-12-29T00:00:00Z"]
    );
}

#[test]
fn days_are_those_of_the_time_zone() {
    // Half past ten in the evening UTC is the next day in Berlin.
    let held = good(&["06-01T20:00", "06-01T22:30", "06-02T08:00"]);
    let daily = rules(&RetentionPolicy {
        keep_daily: Some(9),
        ..RetentionPolicy::default()
    });
    let berlin = jiff::tz::TimeZoneDatabase::bundled()
        .get("Europe/Berlin")
        .unwrap();
    let names = |zone| {
        let judgement = daily.judge(&held, at(NOW), &zone);
        judgement
            .kept
            .into_iter()
            .map(|(held, _)| held.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(TimeZone::UTC), ["06-02T08:00", "06-01T22:30"]);
    assert_eq!(names(berlin), ["06-02T08:00", "06-01T20:00"]);
}

#[test]
fn the_hour_that_the_wall_clock_shows_twice_is_two_hours() {
    let berlin = jiff::tz::TimeZoneDatabase::bundled()
        .get("Europe/Berlin")
        .unwrap();
    let held = good(&["10-25T00:30", "10-25T01:30"]);
    let hourly = rules(&RetentionPolicy {
        keep_hourly: Some(2),
        ..RetentionPolicy::default()
    });
    assert!(hourly.judge(&held, at(NOW), &berlin).removed.is_empty());
}

#[test]
fn what_is_younger_than_the_age_stays() {
    let policy = RetentionPolicy {
        max_age: Some("10d".to_owned()),
        ..RetentionPolicy::default()
    };
    let held = good(&["06-19T12:00", "06-20T12:00", "06-20T12:01", "06-29T00:00"]);
    assert_eq!(kept(&policy, &held, NOW), ["06-29T00:00", "06-20T12:01"]);
}

#[test]
fn any_rule_keeps() {
    let policy = RetentionPolicy {
        keep_last: Some(1),
        keep_monthly: Some(2),
        max_age: Some("1d".to_owned()),
        ..RetentionPolicy::default()
    };
    let held = good(&[
        "05-01T00:00",
        "05-31T00:00",
        "06-10T00:00",
        "06-29T18:00",
        "06-30T00:00",
    ]);
    assert_eq!(
        kept(&policy, &held, NOW),
        ["06-30T00:00", "06-29T18:00", "05-31T00:00"]
    );
}

#[test]
fn the_last_good_backup_stays_whatever_the_rules_say() {
    let policy = RetentionPolicy {
        max_age: Some("1h".to_owned()),
        ..RetentionPolicy::default()
    };
    let mut held = good(&["01-01T00:00", "01-02T00:00"]);
    held.push(backup("03-01T00:00", Worth::Bad));
    assert_eq!(kept(&policy, &held, NOW), ["03-01T00:00", "01-02T00:00"]);
}

#[test]
fn a_failed_backup_takes_no_place_and_goes_when_a_good_one_is_newer() {
    let policy = RetentionPolicy {
        keep_last: Some(2),
        ..RetentionPolicy::default()
    };
    let mut held = good(&["06-01T00:00", "06-02T00:00"]);
    held.push(backup("06-03T00:00", Worth::Bad));
    assert_eq!(kept(&policy, &held, NOW).len(), 3, "nothing good is newer");
    held.extend(good(&["06-04T00:00"]));
    assert_eq!(kept(&policy, &held, NOW), ["06-04T00:00", "06-02T00:00"]);
    let by_age = RetentionPolicy {
        max_age: Some("60d".to_owned()),
        ..policy
    };
    assert_eq!(kept(&by_age, &held, NOW).len(), 4, "it is young");
}

#[test]
fn a_backup_that_is_leaving_or_not_done_does_not_count() {
    let policy = RetentionPolicy {
        keep_last: Some(1),
        ..RetentionPolicy::default()
    };
    let held = [
        backup("06-01T00:00", Worth::Unfinished),
        backup("06-02T00:00", Worth::Good),
        backup("06-03T00:00", Worth::Leaving),
        backup("06-04T00:00", Worth::Unfinished),
    ];
    let judgement = rules(&policy).judge(&held, at(NOW), &TimeZone::UTC);
    assert!(judgement.removed.is_empty());
    assert_eq!(judgement.kept.len(), 3);
}

#[test]
fn what_goes_next_is_foretold() {
    let zone = TimeZone::UTC;
    let next = Some(at("2026-07-01T00:00:00Z"));
    let held = good(&["06-28T00:00", "06-29T00:00", "06-30T00:00"]);
    let counted = rules(&RetentionPolicy {
        keep_last: Some(3),
        ..RetentionPolicy::default()
    });
    let removal = counted.next_removal(&held, at(NOW), &zone, next).unwrap();
    assert_eq!(removal.names, ["06-28T00:00"]);
    assert_eq!(removal.at, None, "after the next backup");
    assert_eq!(counted.next_removal(&held, at(NOW), &zone, None), None);

    let aged = rules(&RetentionPolicy {
        max_age: Some("3d".to_owned()),
        ..RetentionPolicy::default()
    });
    let removal = aged.next_removal(&held, at(NOW), &zone, next).unwrap();
    assert_eq!(removal.names, ["06-28T00:00"]);
    assert_eq!(removal.at, Some(at("2026-07-01T00:00:00Z")));
    // The newest never goes, so there is nothing to foretell.
    assert_eq!(aged.next_removal(&held[2..], at(NOW), &zone, None), None);
}

#[test]
fn an_age_that_cannot_be_read_is_an_error() {
    for wrong in ["soon", "99999999999999999999w"] {
        let policy = RetentionPolicy {
            max_age: Some(wrong.to_owned()),
            ..RetentionPolicy::default()
        };
        let said = Rules::read(&policy).unwrap_err();
        assert!(said.starts_with("spec.retentionPolicy.maxAge"), "{said}");
    }
    // One that goes beyond the calendar keeps everything.
    let policy = RetentionPolicy {
        max_age: Some("500000000w".to_owned()),
        ..RetentionPolicy::default()
    };
    assert_eq!(
        kept(&policy, &good(&["01-01T00:00", "02-01T00:00"]), NOW).len(),
        2
    );
}

prop_compose! {
    fn any_held()(
        seconds in 1_700_000_000_i64..1_800_000_000,
        worth in prop::sample::select(vec![Worth::Good, Worth::Good, Worth::Bad, Worth::Unfinished, Worth::Leaving]),
        name in 0..100_000_u32,
    ) -> Held {
        Held { name: format!("b-{name}"), taken_at: Timestamp::from_second(seconds).unwrap(), worth }
    }
}

prop_compose! {
    fn any_policy()(
        counts in prop::array::uniform6(prop::option::of(1..6_u32)),
        days in prop::option::of(1..400_u32),
    ) -> RetentionPolicy {
        RetentionPolicy {
            keep_last: counts[0],
            keep_hourly: counts[1],
            keep_daily: counts[2],
            keep_weekly: counts[3],
            keep_monthly: counts[4],
            keep_yearly: counts[5],
            max_age: days.map(|days| format!("{days}d")),
        }
    }
}

fn newest_good(held: &[Held]) -> Option<Timestamp> {
    let good = held.iter().filter(|held| held.worth == Worth::Good);
    good.map(|held| held.taken_at).max()
}

proptest! {
    #[test]
    fn the_last_good_backup_is_never_removed(
        policy in any_policy(),
        held in prop::collection::vec(any_held(), 0..40),
        now in 1_700_000_000_i64..2_000_000_000,
    ) {
        let now = Timestamp::from_second(now).unwrap();
        let judgement = rules(&policy).judge(&held, now, &TimeZone::UTC);
        let left: Vec<Held> = judgement.kept.into_iter().map(|(held, _)| held).collect();
        prop_assert_eq!(newest_good(&left), newest_good(&held));
        for gone in &judgement.removed {
            prop_assert!(matches!(gone.worth, Worth::Good | Worth::Bad));
            prop_assert!(newest_good(&held) >= Some(gone.taken_at));
        }
    }

    #[test]
    fn judging_again_removes_nothing_more(
        policy in any_policy(),
        held in prop::collection::vec(any_held(), 0..40),
    ) {
        let now = at(NOW);
        let judgement = rules(&policy).judge(&held, now, &TimeZone::UTC);
        let left: Vec<Held> = judgement.kept.into_iter().map(|(held, _)| held).collect();
        let again = rules(&policy).judge(&left, now, &TimeZone::UTC);
        prop_assert!(again.removed.is_empty(), "{:?}", again.removed);
    }

    #[test]
    fn a_further_rule_never_removes_more(
        policy in any_policy(),
        more in any_policy(),
        held in prop::collection::vec(any_held(), 0..40),
    ) {
        prop_assume!(!rules(&policy).keep_all());
        let both = RetentionPolicy {
            keep_last: policy.keep_last.max(more.keep_last),
            keep_hourly: policy.keep_hourly.max(more.keep_hourly),
            keep_daily: policy.keep_daily.max(more.keep_daily),
            keep_weekly: policy.keep_weekly.max(more.keep_weekly),
            keep_monthly: policy.keep_monthly.max(more.keep_monthly),
            keep_yearly: policy.keep_yearly.max(more.keep_yearly),
            max_age: policy.max_age.clone(),
        };
        let removed = |policy| rules(policy).judge(&held, at(NOW), &TimeZone::UTC).removed;
        let before = removed(&policy);
        for gone in removed(&both) {
            prop_assert!(before.contains(&gone));
        }
    }

    #[test]
    fn what_is_foretold_comes_true(
        policy in any_policy(),
        held in prop::collection::vec(any_held(), 0..40),
    ) {
        let rules = rules(&policy);
        // After all that there is, so that the next backup is the newest.
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let next = now.checked_add(SignedDuration::from_hours(1)).unwrap();
        let kept = rules.judge(&held, now, &TimeZone::UTC).kept;
        let mut held: Vec<Held> = kept.into_iter().map(|(held, _)| held).collect();
        let Some(removal) = rules.next_removal(&held, now, &TimeZone::UTC, Some(next)) else {
            return Ok(());
        };
        let when = removal.at.unwrap_or(next);
        if removal.at.is_none() {
            held.push(Held { name: "next".to_owned(), taken_at: next, worth: Worth::Good });
        }
        let gone = rules.judge(&held, when, &TimeZone::UTC).removed;
        let gone: Vec<String> = gone.into_iter().map(|held| held.name).collect();
        prop_assert_eq!(gone, removal.names);
    }
}
