//! Which Backups stay and which go: the rules of a `RetentionPolicy`, as users of restic, borg and ZFS snapshots
//! know them.
//!
//! Each rule that is set keeps some Backups; a Backup that any rule keeps stays. `keepLast: 3` keeps the newest three.
//! `keepDaily: 7` looks at the days that have a Backup, takes the last seven of them, and keeps the newest Backup of
//! each; weeks are those of ISO 8601, and all periods are those of the Plan's time zone. `maxAge: 30d` keeps what is
//! younger than thirty days. Where no rule is set, everything stays.
//!
//! Only good Backups count: one that failed takes nobody's place. It goes once a good one is newer, but for what
//! `maxAge` keeps: until then, somebody may want to know what became of it. The newest good Backup always stays,
//! whatever the rules say.

use std::collections::BTreeSet;

use backup_api::RetentionPolicy;
use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};

use super::duration::age;

/// What retention needs to know of a Backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its name.
    pub name: String,
    /// When its state was taken.
    pub taken_at: Timestamp,
    /// Whether it is of use.
    pub worth: Worth,
}

/// Whether a Backup is of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It can be restored.
    Good,
    /// It failed, or its data is lost.
    Bad,
    /// Its job is still at work: it is left alone, and does not count.
    Unfinished,
    /// It is being deleted: it does not count any more.
    Leaving,
}

/// Why a Backup stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// It is one of the newest.
    Last,
    /// It is the newest of one of the last periods.
    Each(Period),
    /// It is not too old.
    Age,
    /// No good one is newer: nothing removes it.
    Newest,
}

/// What rules count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Period {
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Weeks of ISO 8601, from Monday on.
    Week,
    /// Months.
    Month,
    /// Years.
    Year,
}

/// The rules that are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    last: Option<usize>,
    each: Vec<(Period, usize)>,
    max_age: Option<SignedDuration>,
}

/// What becomes of the Backups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Those that stay, newest first, each with all rules that keep it: none where no rule is set, or where it is not
    /// a matter of rules.
    pub kept: Vec<(Held, BTreeSet<Rule>)>,
    /// Those that go, oldest first.
    pub removed: Vec<Held>,
}

/// What goes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    /// The names of those that go, oldest first.
    pub names: Vec<String>,
    /// When they are too old; none where they go once there is another good Backup.
    pub at: Option<Timestamp>,
}

impl Rules {
    /// Reads a policy.
    ///
    /// # Errors
    /// A `maxAge` that cannot be read.
    pub(crate) fn read(policy: &RetentionPolicy) -> Result<Self, String> {
        // The schema refuses 0; it keeps nothing, as everywhere.
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let each = [
            (Period::Hour, policy.keep_hourly),
            (Period::Day, policy.keep_daily),
            (Period::Week, policy.keep_weekly),
            (Period::Month, policy.keep_monthly),
            (Period::Year, policy.keep_yearly),
        ];
        let max_age = policy.max_age.as_deref().map(age).transpose();
        Ok(Self {
            last: policy.keep_last.map(count),
            each: each
                .into_iter()
                .filter_map(|(period, kept)| Some((period, count(kept?))))
                .collect(),
            max_age: max_age.map_err(|wrong| format!("spec.retentionPolicy.maxAge: {wrong}"))?,
        })
    }

    /// Whether no rule is set, so that everything stays.
    pub(crate) fn keep_all(&self) -> bool {
        self.last.is_none() && self.each.is_empty() && self.max_age.is_none()
    }

    /// Whether a Backup is kept by its age, whatever others there are.
    pub(crate) fn keeps_by_age(&self, taken_at: Timestamp, now: Timestamp) -> bool {
        let max_age = self.max_age;
        max_age.is_some_and(|max_age| now.duration_since(taken_at) < max_age)
    }

    /// Which Backups stay and which go, in a time zone.
    pub(crate) fn judge(&self, held: &[Held], now: Timestamp, zone: &TimeZone) -> Judgement {
        let mut held = held.to_vec();
        held.retain(|backup| backup.worth != Worth::Leaving);
        // Two of the same instant are told apart by name, so that every pass judges alike.
        held.sort_by(|a, b| (b.taken_at, &b.name).cmp(&(a.taken_at, &a.name)));
        let good: Vec<(usize, Zoned)> = held
            .iter()
            .enumerate()
            .filter(|(_, backup)| backup.worth == Worth::Good)
            .map(|(at, backup)| (at, backup.taken_at.to_zoned(zone.clone())))
            .collect();
        let mut reasons = vec![BTreeSet::new(); held.len()];
        for (at, _) in good.iter().take(self.last.unwrap_or_default()) {
            reasons[*at].insert(Rule::Last);
        }
        for (period, count) in &self.each {
            for at in newest_of_each(&good, *period).into_iter().take(*count) {
                reasons[at].insert(Rule::Each(*period));
            }
        }
        let newest = good.first().map(|(at, _)| *at);
        let mut judgement = Judgement::default();
        for (at, (backup, mut reasons)) in held.into_iter().zip(reasons).enumerate() {
            if newest.is_none_or(|newest| at <= newest) {
                reasons.insert(Rule::Newest);
            }
            if self.expires(&backup).is_some_and(|expires| expires > now) {
                reasons.insert(Rule::Age);
            }
            let is_judged = matches!(backup.worth, Worth::Good | Worth::Bad);
            if is_judged && reasons.is_empty() && !self.keep_all() {
                judgement.removed.push(backup);
            } else {
                judgement.kept.push((backup, reasons));
            }
        }
        judgement.removed.reverse();
        judgement
    }

    /// What goes next, when nothing is left that should go now: by age, or once there is another good Backup, which
    /// is expected at `next`.
    pub(crate) fn next_removal(
        &self,
        held: &[Held],
        now: Timestamp,
        zone: &TimeZone,
        next: Option<Timestamp>,
    ) -> Option<Removal> {
        let judgement = self.judge(held, now, zone);
        let by_age = self.next_by_age(&judgement);
        if let (Some(removal), Some(next)) = (&by_age, next)
            && removal.at.is_some_and(|at| at <= next)
        {
            return by_age;
        }
        next.and_then(|next| self.next_by_count(&judgement, zone, next))
            .or(by_age)
    }

    /// Those that only their age keeps, and that are the first to lose that.
    fn next_by_age(&self, judgement: &Judgement) -> Option<Removal> {
        let only_age = judgement
            .kept
            .iter()
            .filter(|(backup, reasons)| {
                matches!(backup.worth, Worth::Good | Worth::Bad)
                    && reasons.len() == 1
                    && reasons.contains(&Rule::Age)
            })
            .filter_map(|(backup, _)| Some((self.expires(backup)?, backup)));
        let only_age: Vec<(Timestamp, &Held)> = only_age.collect();
        let at = only_age.iter().map(|(expires, _)| *expires).min()?;
        let mut names: Vec<String> = only_age
            .iter()
            .filter(|(expires, _)| *expires == at)
            .map(|(_, backup)| backup.name.clone())
            .collect();
        names.reverse();
        Some(Removal {
            names,
            at: Some(at),
        })
    }

    /// Those that go when another good Backup is there, taken at `next`.
    fn next_by_count(
        &self,
        judgement: &Judgement,
        zone: &TimeZone,
        next: Timestamp,
    ) -> Option<Removal> {
        let mut held: Vec<Held> = judgement
            .kept
            .iter()
            .map(|(backup, _)| backup.clone())
            .collect();
        held.push(Held {
            name: String::new(),
            taken_at: next,
            worth: Worth::Good,
        });
        let removed = self.judge(&held, next, zone).removed;
        let names: Vec<String> = removed.into_iter().map(|backup| backup.name).collect();
        (!names.is_empty()).then_some(Removal { names, at: None })
    }

    /// When a Backup is too old; none where age does not count.
    fn expires(&self, backup: &Held) -> Option<Timestamp> {
        let max_age = self.max_age?;
        Some(
            backup
                .taken_at
                .checked_add(max_age)
                .unwrap_or(Timestamp::MAX),
        )
    }
}

/// The newest good Backup of each period, newest period first. `good` is sorted newest first.
fn newest_of_each(good: &[(usize, Zoned)], period: Period) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    good.iter()
        .filter(|(_, taken)| seen.insert(period.of(taken)))
        .map(|(at, _)| *at)
        .collect()
}

impl Period {
    /// Which of its periods an instant lies in: year, number in the year, and what else tells two apart.
    fn of(self, taken: &Zoned) -> (i16, i32, i32) {
        let day = i32::from(taken.day_of_year());
        match self {
            // In autumn the wall clock shows an hour twice; the offset tells them apart.
            Self::Hour => (
                taken.year(),
                day * 24 + i32::from(taken.hour()),
                taken.offset().seconds(),
            ),
            Self::Day => (taken.year(), day, 0),
            Self::Week => {
                let week = taken.date().iso_week_date();
                (week.year(), i32::from(week.week()), 0)
            }
            Self::Month => (taken.year(), i32::from(taken.month()), 0),
            Self::Year => (taken.year(), 0, 0),
        }
    }
}

#[cfg(test)]
mod tests;
