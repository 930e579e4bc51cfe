//! Durations as tenants write them: Go's in schedules, and those of `maxAge`.

use jiff::SignedDuration;

/// Reads a duration as Go writes it: `1h30m`, `1.5h`, `90s`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn go_duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{text:?} is no duration; write it like \"1h30m\"");
    let mut nanoseconds: i128 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = split_number(rest, true).ok_or_else(wrong)?;
        let (unit, after) = split_unit(after).ok_or_else(wrong)?;
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(format!("{unit:?} in {text:?} is no unit; use h, m or s")),
        };
        let part = scaled(number, scale).ok_or_else(wrong)?;
        nanoseconds = nanoseconds.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    // Go counts in 64 bits: 292 years.
    let nanoseconds = i64::try_from(nanoseconds)
        .map_err(|_| format!("{text:?} is longer than a schedule can be"))?;
    if text.is_empty() {
        return Err(wrong());
    }
    Ok(SignedDuration::from_nanos(nanoseconds))
}

/// Reads an age: whole numbers with the units `s`, `m`, `h`, `d` (24 hours) and `w` (7 days).
///
/// # Errors
/// What is wrong with it.
pub(crate) fn age(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{text:?} is no age; write it like \"720h\", \"30d\" or \"2w\"");
    let too_long = || format!("{text:?} is longer than any backup will last");
    let mut seconds: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = split_number(rest, false).ok_or_else(wrong)?;
        let (unit, after) = split_unit(after).ok_or_else(wrong)?;
        let scale: i64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            "w" => 7 * 24 * 60 * 60,
            _ => return Err(wrong()),
        };
        let part = number
            .parse::<i64>()
            .ok()
            .and_then(|number| number.checked_mul(scale))
            .ok_or_else(too_long)?;
        seconds = seconds.checked_add(part).ok_or_else(too_long)?;
        rest = after;
    }
    if text.is_empty() {
        return Err(wrong());
    }
    Ok(SignedDuration::from_secs(seconds))
}

/// A number at the beginning, and what comes after it.
fn split_number(text: &str, with_fraction: bool) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || (with_fraction && c == '.')))
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A unit at the beginning, and what comes after it.
fn split_unit(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A decimal number times a scale, rounded down.
fn scaled(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // More digits than a nanosecond has are no more than a rounding.
    let fraction = fraction.get(..fraction.len().min(15))?;
    let digits = |text: &str| match text {
        "" => Some(0),
        text => text.parse::<i128>().ok(),
    };
    let power = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole = digits(whole)?.checked_mul(scale)?;
    whole.checked_add(digits(fraction)?.checked_mul(scale)? / power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_duration_is_the_sum_of_its_parts() {
        let seconds = |text| go_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("1h30m"), Ok(5400));
        assert_eq!(seconds("1.5h"), Ok(5400));
        assert_eq!(seconds(".5m90s"), Ok(120));
        assert_eq!(go_duration("1500ms").unwrap().as_millis(), 1500);
        for wrong in ["", "5", "h", "1d", "1h-1m", "1..5h", ".h", "300000000h"] {
            assert!(go_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_age_is_the_sum_of_its_parts() {
        let hours = |text| age(text).map(|age| age.as_hours());
        assert_eq!(hours("720h"), Ok(720));
        assert_eq!(hours("30d"), Ok(720));
        assert_eq!(hours("1w2d3h"), Ok(219));
        assert_eq!(age("90s").unwrap().as_secs(), 90);
        for wrong in ["", "30", "d", "1.5d", "-1d", "1y", "1d "] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_age_that_no_number_holds_is_an_error() {
        for long in [
            "99999999999999999999d",
            "9223372036854775807w",
            "9223372036854775807s1s",
        ] {
            assert!(age(long).unwrap_err().contains("longer than"), "{long}");
        }
    }
}
