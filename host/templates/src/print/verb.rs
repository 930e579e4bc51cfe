//! Writes one value with one verb.

use super::float::{self, Form};
use super::quote;
use crate::limits;
use crate::value::{self, Value};

/// What stands between the percent sign and the verb.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%#v`: values as Go source.
    pub(super) sharp_v: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

/// The text so far.
#[derive(Debug, Default)]
pub(super) struct Printer {
    pub(super) out: String,
    pub(super) flags: Flags,
    pub(super) complaint: Option<String>,
    is_full: bool,
}

impl Printer {
    /// More was written than may be.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) fn write(&mut self, text: &str) {
        if self.is_full || self.out.len() + text.len() > limits::OUTPUT_BYTES {
            self.is_full = true;
            return;
        }
        self.out.push_str(text);
    }

    fn fill(&mut self, count: usize) {
        let zero = self.flags.zero && !self.flags.minus;
        self.write(&if zero { "0" } else { " " }.repeat(count));
    }

    /// Writes text, filled up to the width.
    fn pad(&mut self, text: &str) {
        let fill = self
            .flags
            .width
            .unwrap_or(0)
            .saturating_sub(text.chars().count());
        if self.flags.minus {
            self.write(text);
            self.fill(fill);
        } else {
            self.fill(fill);
            self.write(text);
        }
    }

    fn pad_without_zeros(&mut self, text: &str) {
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text);
        self.flags.zero = zero;
    }

    /// Writes a complaint, and keeps the first for those who want it as an error.
    pub(super) fn complain(&mut self, text: &str, spoken: impl FnOnce() -> String) {
        self.complaint.get_or_insert_with(spoken);
        self.write(text);
    }

    fn bad_verb(&mut self, value: &Value, verb: char) {
        let start = format!("%!{verb}({}", value::type_name(value));
        self.complain(&start, || {
            format!(
                "the verb %{verb} does not fit {}",
                value::description(value)
            )
        });
        if !matches!(value, Value::Nil) {
            self.write("=");
            self.value(value, 'v');
        }
        self.write(")");
    }

    pub(super) fn value(&mut self, value: &Value, verb: char) {
        match value {
            Value::Nil if matches!(verb, 'v' | 'T') => self.pad("<nil>"),
            _ if verb == 'T' => self.string(value::type_name(value), 's'),
            Value::Bool(truth) if matches!(verb, 't' | 'v') => {
                self.pad(if *truth { "true" } else { "false" })
            }
            Value::Int(int) if "vdboOxXcqU".contains(verb) => self.int(*int, verb),
            Value::Float(float) if "vbgGxXfFeE".contains(verb) => self.float(*float, verb),
            Value::String(text) if "vsxXq".contains(verb) => self.string(text, verb),
            // `%w` is for errors only, and does not look inside.
            Value::List(items) if verb != 'w' => self.list(items, verb),
            Value::Map(entries) if verb != 'w' => self.map(entries, verb),
            _ => self.bad_verb(value, verb),
        }
    }

    /// An element of a list or map.
    fn element(&mut self, value: &Value, verb: char) {
        match value {
            Value::Nil if self.flags.sharp_v => self.write("interface {}(nil)"),
            Value::Nil => self.write("<nil>"),
            _ => self.value(value, verb),
        }
    }

    fn list(&mut self, items: &[Value], verb: char) {
        let (open, between, close) = if self.flags.sharp_v {
            ("[]interface {}{", ", ", "}")
        } else {
            ("[", " ", "]")
        };
        self.write(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.write(between);
            }
            self.element(item, verb);
        }
        self.write(close);
    }

    fn map(&mut self, entries: &value::Map, verb: char) {
        let (open, between, close) = if self.flags.sharp_v {
            ("map[string]interface {}{", ", ", "}")
        } else {
            ("map[", " ", "]")
        };
        self.write(open);
        for (index, (key, item)) in entries.iter().enumerate() {
            if index > 0 {
                self.write(between);
            }
            self.value(&Value::String(key.clone()), verb);
            self.write(":");
            self.element(item, verb);
        }
        self.write(close);
    }

    fn string(&mut self, text: &str, verb: char) {
        match verb {
            'x' => self.hex(text.as_bytes(), false),
            'X' => self.hex(text.as_bytes(), true),
            _ => {
                let text = match self.flags.precision {
                    Some(most) => text
                        .char_indices()
                        .nth(most)
                        .map_or(text, |(end, _)| &text[..end]),
                    None => text,
                };
                match verb {
                    'q' => self.quoted(text),
                    'v' if self.flags.sharp_v => self.quoted(text),
                    _ => self.pad(text),
                }
            }
        }
    }

    fn quoted(&mut self, text: &str) {
        if self.flags.sharp && quote::can_be_raw(text) {
            self.pad(&format!("`{text}`"));
        } else {
            self.pad(&quote::quoted_with(text, '"', self.flags.plus));
        }
    }

    /// The bytes of a string as hexadecimal digits.
    fn hex(&mut self, bytes: &[u8], is_upper: bool) {
        let length = self
            .flags
            .precision
            .map_or(bytes.len(), |most| most.min(bytes.len()));
        let prefix = match (self.flags.sharp, is_upper) {
            (true, true) => "0X",
            (true, false) => "0x",
            (false, _) => "",
        };
        let mut text = String::with_capacity(3 * length);
        for (index, byte) in bytes[..length].iter().enumerate() {
            if index > 0 && self.flags.space {
                text.push(' ');
            }
            if index == 0 || self.flags.space {
                text.push_str(prefix);
            }
            text.push_str(&if is_upper {
                format!("{byte:02X}")
            } else {
                format!("{byte:02x}")
            });
        }
        self.pad(&text);
    }

    fn int(&mut self, int: i64, verb: char) {
        match verb {
            'c' => self.pad(&character(int).to_string()),
            'q' => self.pad(&quote::quoted_with(
                &character(int).to_string(),
                '\'',
                self.flags.plus,
            )),
            'U' => self.code_point(int),
            _ => self.digits(int, verb),
        }
    }

    fn digits(&mut self, int: i64, verb: char) {
        let magnitude = int.unsigned_abs();
        let Flags {
            minus,
            plus,
            space,
            zero,
            sharp,
            width,
            precision,
            ..
        } = self.flags;
        if precision == Some(0) && magnitude == 0 {
            return self.pad_without_zeros("");
        }
        let digits = match verb {
            'b' => format!("{magnitude:b}"),
            'o' | 'O' => format!("{magnitude:o}"),
            'x' => format!("{magnitude:x}"),
            'X' => format!("{magnitude:X}"),
            _ => magnitude.to_string(),
        };
        let sign = if int < 0 {
            "-"
        } else if plus {
            "+"
        } else if space {
            " "
        } else {
            ""
        };
        let least = match (precision, width) {
            (Some(least), _) => least,
            (None, Some(width)) if zero && !minus => width.saturating_sub(sign.len()),
            _ => 0,
        };
        let digits = format!("{}{digits}", "0".repeat(least.saturating_sub(digits.len())));
        let prefix = match verb {
            'O' => "0o",
            'b' if sharp => "0b",
            'x' if sharp => "0x",
            'X' if sharp => "0X",
            'o' if sharp && !digits.starts_with('0') => "0",
            _ => "",
        };
        // Go writes both prefixes of `%#O`.
        let octal = if verb == 'O' && sharp && !digits.starts_with('0') {
            "0"
        } else {
            ""
        };
        self.pad_without_zeros(&format!("{sign}{prefix}{octal}{digits}"));
    }

    fn code_point(&mut self, int: i64) {
        let least = self.flags.precision.unwrap_or(0).max(4);
        let mut text = format!("U+{:0>least$}", format!("{int:X}"));
        let character = u32::try_from(int).ok().and_then(char::from_u32);
        if let Some(c) = character.filter(|&c| self.flags.sharp && quote::is_printable(c)) {
            text.push_str(&format!(" '{c}'"));
        }
        self.pad_without_zeros(&text);
    }

    fn float(&mut self, float: f64, verb: char) {
        let precision = self.flags.precision;
        let form = match verb {
            'v' | 'g' | 'G' => Form::General(precision),
            'e' | 'E' => Form::Exponent(precision.unwrap_or(6)),
            'x' | 'X' => Form::Hexadecimal(precision),
            'b' => Form::Binary,
            _ => Form::Fixed(precision.unwrap_or(6)),
        };
        let mut text = float::written(float, form);
        if self.flags.sharp && verb != 'b' && float.is_finite() {
            text = float::with_point(&text, verb, precision);
        }
        if verb.is_ascii_uppercase() && float.is_finite() {
            text.make_ascii_uppercase();
        }
        let is_signed = text.starts_with(['-', '+']);
        let Flags {
            plus,
            space,
            zero,
            minus,
            width,
            ..
        } = self.flags;
        let sign = match (is_signed, plus, space) {
            (true, _, _) if text.starts_with('-') => "-",
            (_, true, _) => "+",
            (_, false, true) => " ",
            (true, false, false) if float.is_infinite() => "+",
            _ => "",
        };
        let digits = text.trim_start_matches(['-', '+']);
        if !float.is_finite() {
            return self.pad_without_zeros(&format!("{sign}{digits}"));
        }
        // Zeros go between the sign and the number.
        let length = sign.len() + digits.len();
        match width {
            Some(width) if zero && !minus && width > length => {
                self.write(sign);
                self.write(&"0".repeat(width - length));
                self.write(digits);
            }
            _ => self.pad(&format!("{sign}{digits}")),
        }
    }
}

fn character(int: i64) -> char {
    let character = u32::try_from(int).ok().and_then(char::from_u32);
    character.unwrap_or(char::REPLACEMENT_CHARACTER)
}
