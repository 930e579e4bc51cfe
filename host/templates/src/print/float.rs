//! Go's forms of floating-point numbers.

/// A form, with its precision where it has one; without, as many digits as tell the number from its neighbours.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// `%e`
    Exponent(usize),
    /// `%f`
    Fixed(usize),
    /// `%g`, and `%v`
    General(Option<usize>),
    /// `%x`
    Hexadecimal(Option<usize>),
    /// `%b`
    Binary,
}

/// Decimal digits without trailing zeros, and the place of the point before or behind them.
struct Decimal {
    digits: Vec<u8>,
    point: i32,
}

impl Decimal {
    /// Of a positive number, with so many digits.
    fn of(float: f64, digits: Option<usize>) -> Decimal {
        let text = match digits {
            Some(digits) => format!("{float:.*e}", digits.max(1) - 1),
            None => format!("{float:e}"),
        };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mut digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let point = match digits.len() {
            0 => 0,
            _ => exponent.parse::<i32>().unwrap_or(0) + 1,
        };
        Decimal { digits, point }
    }

    fn digit(&self, index: i32) -> char {
        let digit = usize::try_from(index)
            .ok()
            .and_then(|index| self.digits.get(index));
        digit.map_or('0', |&digit| digit.into())
    }

    fn fixed(&self, precision: usize) -> String {
        let mut text: String = (0..self.point.max(0))
            .map(|index| self.digit(index))
            .collect();
        if text.is_empty() {
            text.push('0');
        }
        if precision > 0 {
            text.push('.');
            text.extend((0..precision as i32).map(|index| self.digit(self.point + index)));
        }
        text
    }

    fn exponent(&self, precision: usize) -> String {
        let mut text = String::from(self.digit(0));
        if precision > 0 {
            text.push('.');
            text.extend((1..=precision as i32).map(|index| self.digit(index)));
        }
        let exponent = if self.digits.is_empty() {
            0
        } else {
            self.point - 1
        };
        text.push_str(&format!(
            "e{}{:02}",
            if exponent < 0 { '-' } else { '+' },
            exponent.abs()
        ));
        text
    }

    fn general(&self, precision: Option<usize>) -> String {
        let count = self.digits.len();
        let places = |point: i32| (count as i32 - point).max(0) as usize;
        let exponent = self.point - 1;
        let Some(precision) = precision else {
            return match exponent {
                -4..=5 => self.fixed(places(self.point)),
                _ if exponent < 21 && self.digits.is_empty() => self.fixed(0),
                _ => self.exponent(count.max(1) - 1),
            };
        };
        let precision = precision.max(1);
        let mut most = precision as i32;
        if most > count as i32 && count as i32 >= self.point {
            most = count as i32;
        }
        if exponent < -4 || exponent >= most {
            return self.exponent(precision.min(count).max(1) - 1);
        }
        // With more digits than stand before the point, those that there are; else none behind it.
        self.fixed(if precision as i32 > self.point {
            places(self.point)
        } else {
            0
        })
    }
}

/// A number in a form. Infinity is `+Inf` or `-Inf`.
pub(super) fn written(float: f64, form: Form) -> String {
    if float.is_nan() {
        return "NaN".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = float.abs();
    let text = match form {
        Form::Exponent(precision) => {
            Decimal::of(magnitude, Some(precision + 1)).exponent(precision)
        }
        Form::Fixed(precision) => format!("{magnitude:.precision$}"),
        Form::General(precision) => Decimal::of(magnitude, precision).general(precision),
        Form::Hexadecimal(precision) => hexadecimal(magnitude, precision),
        Form::Binary => binary(magnitude),
    };
    if float.is_sign_negative() {
        format!("-{text}")
    } else {
        text
    }
}

/// The mantissa of a number as an integer, and its exponent.
fn parts(float: f64) -> (u64, i32) {
    let bits = float.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match (bits >> 52 & 0x7ff) as i32 {
        0 => (fraction, -1074),
        exponent => (fraction | 1 << 52, exponent - 1075),
    }
}

fn binary(float: f64) -> String {
    let (mantissa, exponent) = parts(float);
    format!("{mantissa}p{exponent:+}")
}

fn hexadecimal(float: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = parts(float);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // The leading bit goes to place 60, so that 15 digits follow the point.
        let shift = mantissa.leading_zeros() as i32 - 3;
        mantissa <<= shift;
        exponent += 60 - shift;
    }
    if let Some(precision) = precision.filter(|&precision| precision < 15) {
        let unit = 1u64 << (4 * (15 - precision));
        let rest = mantissa & (unit - 1);
        mantissa -= rest;
        // Rounds half to even.
        if rest > unit / 2 || rest == unit / 2 && mantissa & unit != 0 {
            mantissa += unit;
        }
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let mut digits = format!("{:015x}", mantissa & ((1 << 60) - 1));
    match precision {
        Some(precision) => {
            digits.truncate(precision);
            digits.extend(std::iter::repeat_n('0', precision - digits.len()));
        }
        None => digits.truncate(digits.trim_end_matches('0').len()),
    }
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!(
        "0x{}{point}{digits}p{sign}{:02}",
        mantissa >> 60,
        exponent.abs()
    )
}

/// What the flag `#` does: a point in any case, and for some verbs the zeros that were left out.
pub(super) fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let is_hexadecimal = matches!(verb, 'x' | 'X');
    let tail_at = text
        .find(if is_hexadecimal { 'p' } else { 'e' })
        .unwrap_or(text.len());
    let (number, tail) = text.split_at(tail_at);
    let mut wanted: i64 = match verb {
        'v' | 'g' | 'G' | 'x' => precision.map_or(6, |precision| precision as i64),
        _ => 0,
    };
    let digits = number.trim_start_matches(['-', '+']);
    let significant = digits
        .chars()
        .filter(|&c| c != '.')
        .skip_while(|&c| c == '0');
    wanted -= significant.count() as i64;
    let mut out = number.to_owned();
    if !number.contains('.') {
        if digits == "0" {
            wanted -= 1;
        }
        out.push('.');
    }
    out.extend(std::iter::repeat_n('0', wanted.max(0) as usize));
    out.push_str(tail);
    out
}

/// A number as Go's JSON writes it: with an exponent only if it is very large or very small.
pub(crate) fn json_number(float: f64) -> String {
    let magnitude = float.abs();
    let decimal = Decimal::of(magnitude, None);
    let count = decimal.digits.len();
    let text = if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        // Exponents below ten have one digit, not two.
        decimal.exponent(count.max(1) - 1).replace("e-0", "e-")
    } else {
        decimal.fixed((count as i32 - decimal.point).max(0) as usize)
    };
    if float.is_sign_negative() {
        format!("-{text}")
    } else {
        text
    }
}
