//! Translates regular expressions from Go's syntax to that of the crate `regex`, which differs where it matters:
//! `\d`, `\w`, `\s` and `\b` are of ASCII in Go; `[`, `&&`, `--` and `~~` in a class are plain characters; `\Q…\E`
//! exists; the flags `x`, `u` and `R` do not.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

use crate::error::{Failure, Outcome};

/// Translates a pattern.
///
/// # Errors
///
/// Fails where Go would refuse the pattern and the crate might not; the rest is left to the crate.
pub(super) fn translated(pattern: &str) -> Outcome<String> {
    let mut translator = Translator {
        rest: pattern.chars().peekable(),
        out: String::with_capacity(pattern.len() + 16),
    };
    translator.pattern()?;
    Ok(translator.out)
}

/// The error for a bad pattern, which does not show it.
pub(super) fn invalid() -> Failure {
    "the regular expression is not valid".into()
}

/// The largest count of a repetition in Go.
const MOST_REPEATS: u32 = 1000;

const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Translator<'_> {
    fn pattern(&mut self) -> Outcome<()> {
        // Whether a repetition came last: another one right behind it is an error in Go.
        let mut repeated = false;
        while let Some(c) = self.rest.next() {
            let is_repeat = match c {
                '*' | '+' | '?' => {
                    self.out.push(c);
                    true
                }
                '{' => self.repetition()?,
                _ => false,
            };
            if is_repeat {
                if repeated {
                    return Err(invalid());
                }
                if self.rest.next_if_eq(&'?').is_some() {
                    self.out.push('?');
                }
            }
            repeated = is_repeat;
            match c {
                '*' | '+' | '?' | '{' => {}
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                _ => self.out.push(c),
            }
        }
        Ok(())
    }

    /// Reads `{2}`, `{2,}` or `{2,3}`; any other brace is a plain character. Says whether it was a repetition.
    fn repetition(&mut self) -> Outcome<bool> {
        let ahead: String = self.rest.clone().take_while(|&c| c != '}').collect();
        let is_closed = self.rest.clone().any(|c| c == '}');
        let (low, high) = ahead.split_once(',').unwrap_or((&ahead, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_closed || low.is_empty() || !is_number(low) || !is_number(high) {
            self.out.push_str("\\{");
            return Ok(false);
        }
        for bound in [low, high].into_iter().filter(|bound| !bound.is_empty()) {
            if !bound
                .parse::<u32>()
                .is_ok_and(|bound| bound <= MOST_REPEATS)
            {
                return Err(invalid());
            }
        }
        let _ = write!(self.out, "{{{ahead}}}");
        self.rest.by_ref().take(ahead.len() + 1).for_each(drop);
        Ok(true)
    }

    fn group(&mut self) -> Outcome<()> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        match self.rest.peek() {
            // A named group. Looking around is refused by the crate.
            Some('P' | '<') => Ok(()),
            _ => {
                while let Some(c) = self.rest.next_if(|c| !matches!(c, ')' | ':')) {
                    if !matches!(c, 'i' | 'm' | 's' | 'U' | '-') {
                        return Err(invalid());
                    }
                    self.out.push(c);
                }
                Ok(())
            }
        }
    }

    fn escape(&mut self) -> Outcome<()> {
        match self.rest.peek().copied().ok_or_else(invalid)? {
            'd' => self.replace("[0-9]"),
            'D' => self.replace("[^0-9]"),
            'w' => self.replace("[0-9A-Za-z_]"),
            'W' => self.replace("[^0-9A-Za-z_]"),
            's' => self.replace(r"[\t\n\f\r ]"),
            'S' => self.replace(r"[^\t\n\f\r ]"),
            'b' => self.replace(r"(?-u:\b)"),
            'B' => self.replace(r"(?-u:\B)"),
            'A' => self.replace(r"\A"),
            'z' => self.replace(r"\z"),
            'p' | 'P' => self.property()?,
            'Q' => {
                self.rest.next();
                self.literal();
            }
            _ => {
                let character = self.escaped_character()?;
                self.character(character);
            }
        }
        Ok(())
    }

    fn replace(&mut self, with: &str) {
        self.rest.next();
        self.out.push_str(with);
    }

    /// Text up to `\E`, or the end.
    fn literal(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.peek() == Some(&'E') {
                self.rest.next();
                return;
            }
            self.character(c);
        }
    }

    /// `\pN`, `\p{Greek}`, or `\p{^Greek}` for what is not Greek.
    fn property(&mut self) -> Outcome<()> {
        let mut is_negated = self.rest.next() == Some('P');
        let mut name = String::new();
        match self.rest.next().ok_or_else(invalid)? {
            '{' => {
                is_negated ^= self.rest.next_if_eq(&'^').is_some();
                loop {
                    match self.rest.next().ok_or_else(invalid)? {
                        '}' => break,
                        // The crate's own forms, such as `\p{script=Greek}`, are none in Go.
                        c if c.is_ascii_alphanumeric() || c == '_' => name.push(c),
                        _ => return Err(invalid()),
                    }
                }
            }
            single => name.push(single),
        }
        let _ = write!(
            self.out,
            "\\{}{{{name}}}",
            if is_negated { 'P' } else { 'p' }
        );
        Ok(())
    }

    /// A character that an escape stands for, in or outside of a class.
    fn escaped_character(&mut self) -> Outcome<char> {
        Ok(match self.rest.next().ok_or_else(invalid)? {
            'a' => '\x07',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' => self.hexadecimal()?,
            // A single digit would refer back to a group, which neither has.
            '1'..='7' if !self.rest.peek().is_some_and(|c| ('0'..='7').contains(c)) => {
                return Err(invalid());
            }
            first @ '0'..='7' => {
                let mut code = first.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.rest.next_if(|c| ('0'..='7').contains(c)) else {
                        break;
                    };
                    code = code * 8 + digit.to_digit(8).unwrap_or(0);
                }
                char::from_u32(code).ok_or_else(invalid)?
            }
            c if c.is_ascii_punctuation() => c,
            _ => return Err(invalid()),
        })
    }

    fn hexadecimal(&mut self) -> Outcome<char> {
        let mut digits = String::new();
        if self.rest.next_if_eq(&'{').is_some() {
            loop {
                match self.rest.next().ok_or_else(invalid)? {
                    '}' => break,
                    digit => digits.push(digit),
                }
            }
        } else {
            digits.extend(self.rest.by_ref().take(2));
            if digits.len() != 2 {
                return Err(invalid());
            }
        }
        let code = digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(&digits, 16).ok())
            .flatten();
        code.and_then(char::from_u32).ok_or_else(invalid)
    }

    /// Writes a character so that it means itself wherever it stands.
    fn character(&mut self, c: char) {
        let _ = write!(self.out, "\\x{{{:x}}}", u32::from(c));
    }

    fn class(&mut self) -> Outcome<()> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            let c = self.rest.next().ok_or_else(invalid)?;
            match c {
                ']' if !is_first => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' if self.rest.peek() == Some(&':') && self.posix_class()? => {}
                '\\' if self.class_escape()? => {}
                _ => self.range(c)?,
            }
            is_first = false;
        }
    }

    /// Reads `[:alpha:]` after its first bracket, if it is one.
    fn posix_class(&mut self) -> Outcome<bool> {
        let ahead: String = self
            .rest
            .clone()
            .skip(1)
            .take_while(|&c| c != ':')
            .collect();
        let end = self.rest.clone().skip(ahead.chars().count() + 1);
        if end.take(2).collect::<String>() != ":]" {
            return Ok(false);
        }
        let name = ahead.strip_prefix('^').unwrap_or(&ahead);
        if !POSIX_CLASSES.contains(&name) {
            return Err(invalid());
        }
        let _ = write!(self.out, "[:{ahead}:]");
        self.rest.by_ref().take(ahead.len() + 3).for_each(drop);
        Ok(true)
    }

    /// Reads an escape that stands for a set of characters, if it is one.
    fn class_escape(&mut self) -> Outcome<bool> {
        match self.rest.peek() {
            Some('d' | 'D' | 'w' | 'W' | 's' | 'S' | 'p' | 'P') => self.escape().map(|()| true),
            _ => Ok(false),
        }
    }

    /// Reads a character of a class and, behind a dash, the end of its range.
    fn range(&mut self, first: char) -> Outcome<()> {
        let low = match first {
            '\\' => self.escaped_character()?,
            _ => first,
        };
        self.character(low);
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || matches!(ahead.next(), None | Some(']')) {
            return Ok(());
        }
        self.rest.next();
        let high = match self.rest.next().ok_or_else(invalid)? {
            '\\' => self.escaped_character()?,
            c => c,
        };
        if high < low {
            return Err(invalid());
        }
        self.out.push('-');
        self.character(high);
        Ok(())
    }
}
