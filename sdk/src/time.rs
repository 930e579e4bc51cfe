//! Moments, as Kubernetes writes them.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

const SECONDS_PER_DAY: u64 = 86_400;
/// From 0000-03-01, where the arithmetic below starts, to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

/// Seconds since the Unix epoch, UTC. In JSON a time by RFC 3339, as Kubernetes writes it; parts of a second
/// are dropped.
///
/// ```
/// use backup_strategy::Timestamp;
///
/// let taken: Timestamp = "2026-08-21T03:04:05.678+02:00".parse()?;
/// assert_eq!(taken.to_string(), "2026-08-21T01:04:05Z");
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// How long after `earlier` this is; nothing when it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }
}

impl std::str::FromStr for Timestamp {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text.as_bytes()).ok_or("not a time by RFC 3339, such as 2026-08-21T01:04:05Z")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0 / SECONDS_PER_DAY);
        let second = self.0 % SECONDS_PER_DAY;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(Error::custom)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let (year, month, day) = (
        number(text, 0, 4)?,
        number(text, 5, 2)?,
        number(text, 8, 2)?,
    );
    let (hour, minute, second) = (
        number(text, 11, 2)?,
        number(text, 14, 2)?,
        number(text, 17, 2)?,
    );
    let separators =
        [(4, b"-"), (7, b"-"), (10, b"Tt"), (13, b":"), (16, b":")] as [(usize, &[u8]); 5];
    let well_formed = separators
        .iter()
        .all(|(at, allowed)| text.get(*at).is_some_and(|c| allowed.contains(c)));
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60;
    // A leap second is a 60; it counts as the second after it.
    if !well_formed || !in_range || second > 60 {
        return None;
    }

    let mut rest = text.get(19..)?;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|c| c.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        rest = &fraction[digits..];
    }
    let offset = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] if zone.len() == 5 && zone[2] == b':' => {
            let minutes = number(zone, 0, 2)? * 60 + number(zone, 3, 2)?;
            if *sign == b'+' { minutes } else { -minutes }
        }
        _ => return None,
    };
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute - offset) * 60 + second;
    u64::try_from(seconds).ok().map(Timestamp)
}

fn number(text: &[u8], start: usize, length: usize) -> Option<i64> {
    let digits = text.get(start..start + length)?;
    digits.iter().try_fold(0, |value, c| {
        c.is_ascii_digit().then(|| value * 10 + i64::from(c - b'0'))
    })
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the epoch of a date of the Gregorian calendar: years that begin in March put the leap day last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_EPOCH
}

/// The inverse of [`days`].
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_TO_EPOCH.unsigned_abs();
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_being_written_and_read() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2026-08-21T01:04:05Z", 1_787_274_245),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(text.parse(), Ok(Timestamp(seconds)));
            assert_eq!(Timestamp(seconds).to_string(), text);
        }
    }

    #[test]
    fn zones_and_fractions_are_understood() {
        assert_eq!("1970-01-01T01:00:00.999999+01:00".parse(), Ok(Timestamp(0)));
        assert_eq!("1969-12-31T23:30:00-00:30".parse(), Ok(Timestamp(0)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-08-21",
            "2026-08-21T01:04:05",
            "2026-02-29T00:00:00Z",
            "2026-08-21 01:04:05Z",
            "2026-08-21T01:04:05.Z",
            "2026-08-21T01:04:05+0200",
            "1960-01-01T00:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
