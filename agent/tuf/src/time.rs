//! The one date format of TUF metadata, `YYYY-MM-DDTHH:MM:SSZ`, as unix seconds.

const DAY: u64 = 86_400;

/// Unix seconds of a TUF date (specification 4.2, ISO 8601 in UTC without fractions), years 1970 to 9999.
pub fn parse(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.len() != 20 {
        return None;
    }
    for (at, separator) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'Z')] {
        if bytes[at] != separator {
            return None;
        }
    }
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0_u64, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // A leap second (60) has no unix time of its own; python-tuf refuses it too.
    if year < 1970 || !(1..=12).contains(&month) || day < 1 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if day > days_in(year, month) {
        return None;
    }
    let years: u64 = (1970..year).map(days_in_year).sum();
    let months: u64 = (1..month).map(|m| days_in(year, m)).sum();
    Some((years + months + day - 1) * DAY + hour * 3600 + minute * 60 + second)
}

/// The TUF date of `seconds` after the unix epoch; dates past the year 9999 become its last second.
pub fn format(seconds: u64) -> String {
    let (mut days, rest) = (seconds / DAY, seconds % DAY);
    let mut year = 1970;
    while days >= days_in_year(year) {
        days -= days_in_year(year);
        year += 1;
        if year > 9999 {
            return "9999-12-31T23:59:59Z".to_owned();
        }
    }
    let mut month = 1;
    while days >= days_in(year, month) {
        days -= days_in(year, month);
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z", days + 1, rest / 3600, rest / 60 % 60, rest % 60)
}

/// Seconds since the unix epoch by the system clock; 0 where the clock stands before it.
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn leap(year: u64) -> bool {
    (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
}

fn days_in_year(year: u64) -> u64 {
    if leap(year) { 366 } else { 365 }
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:34:56Z", 951_827_696),
            ("2026-11-20T22:20:56Z", 1_795_213_256),
            ("2044-08-10T10:05:04Z", 2_354_436_304),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
            assert_eq!(format(seconds), text);
        }
    }

    #[test]
    fn every_day_round_trips_for_four_centuries() {
        for day in 0..(400 * 366) {
            let seconds = day * DAY + 3661;
            assert_eq!(parse(&format(seconds)), Some(seconds));
        }
        assert_eq!(format(u64::MAX / 2), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn refuses_other_formats() {
        for text in [
            "",
            "2026-11-20T22:20:56",
            "2026-11-20 22:20:56Z",
            "2026-11-20T22:20:56.5Z",
            "2026-11-20T22:20:56+00:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
