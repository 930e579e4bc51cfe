//! When a Plan makes jobs: its schedule as a row of slots.
//!
//! The syntax is that of the reference's library, Go's `robfig/cron` with its standard parser, so that a Plan means
//! the same to an old and a new controller:
//!
//! ```text
//!  [TZ=<zone> ] minute  hour  day-of-month  month    day-of-week        * ? n n-m n-m/s */s n/s, lists, JAN, SUN
//!               0-59    0-23  1-31          1-12     0-6
//!  [TZ=<zone> ] @yearly @annually @monthly @weekly @daily @midnight @hourly
//!               @every 1h30m
//! ```
//!
//! A slot is an instant at which the clock on the wall shows a time of the schedule. A time that the wall clock
//! leaves out in spring is therefore no slot on that day, and one that it shows twice in autumn is two: so do
//! Kubernetes' CronJob and the reference. `@every` counts from the Plan's creation on, whatever the wall clock does.

use cronexpr::{Crontab, FallbackTimezoneOption, ParseOptions, parse_crontab_with};
use jiff::{
    SignedDuration, Timestamp, ToSpan as _,
    civil::DateTime,
    tz::{TimeZone, TimeZoneDatabase},
};

use super::duration::go_duration;

/// Slots are named by their minute, so there can be no two in one.
const SHORTEST: SignedDuration = SignedDuration::from_secs(60);

/// The search of the library ends after four years, and from one 29 February to the next it can be eight.
const SEARCHES: usize = 3;

/// A zone has changed its offset at most four times a year, and a slot is found within nine years or never: so many
/// stretches with one offset are looked through.
const STRETCHES: usize = 40;

/// A schedule that was read.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    times: Times,
    zone: TimeZone,
}

#[derive(Clone, Debug)]
enum Times {
    /// By the clock on the wall.
    Wall(Box<Crontab>),
    /// At a beginning and then again and again.
    Every {
        since: Timestamp,
        period: SignedDuration,
    },
}

impl Schedule {
    /// Reads the schedule of a Plan that was created at `created`.
    ///
    /// # Errors
    /// What is wrong with it and where, for the tenant who wrote it.
    pub(crate) fn read(
        schedule: &backup_api::Schedule,
        created: Timestamp,
    ) -> Result<Self, String> {
        let type_ = schedule.type_.as_deref().unwrap_or_default();
        if !matches!(type_, "" | "cron") {
            return Err(format!(
                "spec.schedule.type is {type_:?}; the only type of schedule is \"cron\""
            ));
        }
        let text = schedule.cron.as_deref().unwrap_or_default();
        let (prefix, rest) = zone_prefix(text)?;
        let field = schedule
            .time_zone
            .as_deref()
            .filter(|name| !name.is_empty());
        let zone = match (prefix, field) {
            (Some(_), Some(_)) => {
                return Err(
                    "the time zone stands in both spec.schedule.cron and spec.schedule.timeZone; \
                     name it once"
                        .to_owned(),
                );
            }
            (Some(name), None) => zone(name, "spec.schedule.cron")?,
            (None, Some(name)) => zone(name, "spec.schedule.timeZone")?,
            (None, None) => TimeZone::UTC,
        };
        let times = times(rest.trim(), created)
            .map_err(|wrong| format!("spec.schedule.cron {text:?}: {wrong}"))?;
        Ok(Self { times, zone })
    }

    /// The zone whose days, weeks and months count.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first slot after an instant; none where there is no more before the end of time.
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.times {
            Times::Wall(table) => next_on_the_wall(table, &self.zone, after),
            Times::Every { since, period } => next_of_every(*since, *period, after),
        }
    }

    /// The last slot up to and including `until`, and not before `from`.
    ///
    /// The search goes back from `until` in growing strides, so that it costs the same after a minute and after a
    /// year without a look.
    pub(crate) fn last(&self, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut stride = SignedDuration::from_mins(2);
        loop {
            let start = until
                .checked_sub(stride)
                .unwrap_or(Timestamp::MIN)
                .max(from);
            let last = self.slots(start, until).last();
            if last.is_some() || start <= from {
                return last;
            }
            stride = stride.saturating_mul(8);
        }
    }

    /// The slots from one instant to another, both included.
    pub(crate) fn slots(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = Timestamp> {
        let before = from
            .checked_sub(SignedDuration::from_nanos(1))
            .unwrap_or(from);
        std::iter::successors(self.next(before), |slot| self.next(*slot))
            .take_while(move |slot| *slot <= until)
    }
}

/// The time zone that an expression begins with, and the rest of it.
fn zone_prefix(text: &str) -> Result<(Option<&str>, &str), String> {
    let text = text.trim();
    let named = text
        .strip_prefix("CRON_TZ=")
        .or_else(|| text.strip_prefix("TZ="));
    let Some(named) = named else {
        return Ok((None, text));
    };
    match named.split_once(char::is_whitespace) {
        Some((name, rest)) => Ok((Some(name), rest)),
        None => Err(format!(
            "spec.schedule.cron {text:?} names a time zone but no times"
        )),
    }
}

/// The time zone of a name, from the data that is compiled in: the image of the host has none, and every host knows
/// the same.
fn zone(name: &str, field: &str) -> Result<TimeZone, String> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| {
        format!("{field}: {name:?} is no time zone; write an IANA name such as \"Europe/Berlin\"")
    })
}

fn times(text: &str, created: Timestamp) -> Result<Times, String> {
    if text.is_empty() {
        return Err("it is empty; write five fields, or a word such as @daily".to_owned());
    }
    if let Some(duration) = text.strip_prefix("@every ") {
        let period = go_duration(duration.trim())?;
        // Whole seconds, as the reference has them.
        let period = SignedDuration::from_secs(period.as_secs());
        if period < SHORTEST {
            return Err("the shortest period is one minute".to_owned());
        }
        return Ok(Times::Every {
            since: created,
            period,
        });
    }
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        word if word.starts_with('@') => {
            return Err(format!(
                "{word:?} is not known; there are @yearly, @annually, @monthly, @weekly, @daily, \
                 @midnight, @hourly and @every <duration>"
            ));
        }
        fields => fields,
    };
    let table = table(fields)?;
    let some_day = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
    if next_civil(&table, some_day).is_none() {
        return Err("no calendar has such a day in such a month".to_owned());
    }
    Ok(Times::Wall(Box::new(table)))
}

/// The five fields, in order: name, highest value, whether values may be names.
const FIELDS: [(&str, u32, bool); 5] = [
    ("minute", 59, false),
    ("hour", 23, false),
    ("day of month", 31, false),
    ("month", 12, true),
    ("day of week", 6, true),
];

/// Reads five fields in the library's syntax, which has more than the reference's and tells `*` from `*/2` in
/// another way.
fn table(text: &str) -> Result<Crontab, String> {
    let given: Vec<&str> = text.split_whitespace().collect();
    if given.len() != FIELDS.len() {
        return Err(format!(
            "there are {} fields; write five: minute, hour, day of month, month and day of week",
            given.len()
        ));
    }
    let mut fields = vec![];
    for (index, text) in given.iter().enumerate() {
        let translated = translate(index, text)
            .and_then(|field| {
                let mut alone = ["*"; 5];
                alone[index] = &field;
                read(&alone.join(" "))?;
                Ok(field)
            })
            .map_err(|wrong| format!("the {} {text:?}: {wrong}", FIELDS[index].0))?;
        fields.push(translated);
    }
    read(&fields.join(" "))
}

fn read(fields: &str) -> Result<Crontab, String> {
    let mut options = ParseOptions::default();
    // The wall clock's times are looked up as if they were UTC: the zone is ours, see `next_on_the_wall`.
    options.fallback_timezone_option = FallbackTimezoneOption::UTC;
    parse_crontab_with(fields, options).map_err(|error| {
        let said = error.to_string();
        // The library points into the text with a caret, and says after it what it finds there.
        let reason = said
            .rsplit_once("^ ")
            .map_or(said.as_str(), |(_, reason)| reason);
        reason.to_owned()
    })
}

/// A field of the reference's syntax in the library's.
fn translate(index: usize, field: &str) -> Result<String, String> {
    let items: Vec<&str> = field.split(',').collect();
    let mut translated = vec![];
    for item in items {
        let item = translate_item(index, item)?;
        if item == "*" {
            // Whatever else stands in the list: the field is unrestricted.
            return Ok(item);
        }
        translated.push(item);
    }
    Ok(translated.join(","))
}

fn translate_item(index: usize, item: &str) -> Result<String, String> {
    let (_, highest, _) = FIELDS[index];
    let lowest = u32::from(index == 2 || index == 3);
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    if range != "*" && range != "?" {
        for value in range.split('-') {
            check_value(index, value)?;
        }
    }
    let is_any = range == "*" || range == "?";
    let step = match step {
        None => None,
        Some(step) => Some(
            step.parse::<u32>()
                .map_err(|_| format!("{step:?} is no number of steps"))?,
        ),
    };
    Ok(match (is_any, step) {
        (_, Some(0)) => return Err("a step of 0 never gets anywhere".to_owned()),
        (true, None | Some(1)) => "*".to_owned(),
        (false, None | Some(1)) if step.is_none() || range.contains('-') => range.to_owned(),
        // A step beyond the end is taken never: the first value is the only one.
        (true, Some(step)) if step > highest => lowest.to_string(),
        (false, Some(step)) if step > highest => {
            range.split('-').next().unwrap_or(range).to_owned()
        }
        // A range, not an asterisk: to the reference `*/2` restricts the field.
        (true, Some(step)) => format!("{lowest}-{highest}/{step}"),
        (false, step) => {
            let step = step.unwrap_or(1);
            match range.contains('-') {
                true => format!("{range}/{step}"),
                false => format!("{range}-{highest}/{step}"),
            }
        }
    })
}

/// A number or a name; the library knows letters of its own (`L`, `W`, `#`) that the reference does not.
fn check_value(index: usize, value: &str) -> Result<(), String> {
    let (_, highest, has_names) = FIELDS[index];
    let is_name = value.len() == 3 && value.chars().all(|c| c.is_ascii_alphabetic());
    if has_names && is_name {
        return Ok(());
    }
    let is_number = !value.is_empty() && value.chars().all(|c| c.is_ascii_digit());
    if !is_number {
        let names = if has_names {
            " or a name of three letters"
        } else {
            ""
        };
        return Err(format!("{value:?} is no number{names}"));
    }
    match value.parse::<u32>() {
        Ok(number) if number <= highest => Ok(()),
        _ if index == 4 => Err(format!(
            "{value} is out of range; the days are 0 (Sunday) to 6 (Saturday)"
        )),
        _ => Err(format!("{value} is out of range; the highest is {highest}")),
    }
}

fn next_of_every(since: Timestamp, period: SignedDuration, after: Timestamp) -> Option<Timestamp> {
    let passed = after.duration_since(since).as_secs().max(0);
    // Whoever asks half a second after a slot gets the next, and so does who asks just before the first.
    let periods = passed / period.as_secs() + 1;
    let seconds = period.as_secs().checked_mul(periods)?;
    since.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Searches stretch by stretch in which the zone keeps its offset, with the wall clock as the library's only clock:
/// in one stretch, the wall clock and the world's run alike.
fn next_on_the_wall(table: &Crontab, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let mut stretch = after;
    let mut before = zone.to_offset(after).to_datetime(after);
    for _ in 0..STRETCHES {
        let offset = zone.to_offset(stretch);
        let end = zone
            .following(stretch)
            .next()
            .map(|change| change.timestamp());
        let found = next_civil(table, before)?;
        let at = offset.to_timestamp(found).ok();
        match end {
            Some(end) if at.is_none_or(|at| at >= end) => {
                stretch = end;
                // The first instant of a stretch can be a slot.
                let shown = zone.to_offset(end).to_datetime(end);
                before = shown.checked_sub(1.nanosecond()).ok()?;
            }
            _ => return at,
        }
    }
    None
}

/// The first time on the wall after another, whatever the zone.
fn next_civil(table: &Crontab, after: DateTime) -> Option<DateTime> {
    let mut after = after;
    for _ in 0..SEARCHES {
        let instant = TimeZone::UTC.to_timestamp(after).ok()?;
        if let Ok(found) = table.find_next(instant) {
            return Some(found.datetime());
        }
        after = after.checked_add(4.years()).ok()?;
    }
    None
}

#[cfg(test)]
mod tests;
