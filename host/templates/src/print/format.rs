//! Reads the format of `printf`.

use super::verb::{Flags, Printer};
use crate::error::{Failure, Outcome};
use crate::limits;
use crate::value::{self, Value};

/// Writes arguments as a format says.
///
/// # Errors
///
/// Fails on widths over the limit. What Go complains of in the text is no failure, see [`Printer::complain`].
pub(super) fn format(printer: &mut Printer, format: &str, args: &[Value]) -> Outcome<()> {
    let mut reader = Reader {
        format,
        at: 0,
        args,
        next: 0,
        after_index: false,
        reordered: false,
        good_index: true,
    };
    while let Some(percent) = format[reader.at..].find('%') {
        printer.write(&format[reader.at..reader.at + percent]);
        reader.at += percent + 1;
        reader.good_index = true;
        printer.flags = Flags::default();
        if !reader.verb(printer)? {
            reader.at = format.len();
            break;
        }
    }
    printer.write(&format[reader.at..]);
    if !reader.reordered && reader.next < args.len() {
        extra(printer, &args[reader.next..]);
    }
    Ok(())
}

/// Complains of arguments that no verb took.
fn extra(printer: &mut Printer, args: &[Value]) {
    printer.flags = Flags::default();
    printer.complain("%!(EXTRA ", || {
        "the format has fewer verbs than arguments".to_owned()
    });
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            printer.write(", ");
        }
        printer.write(value::type_name(arg));
        if !matches!(arg, Value::Nil) {
            printer.write("=");
            printer.value(arg, 'v');
        }
    }
    printer.write(")");
}

struct Reader<'a> {
    format: &'a str,
    at: usize,
    args: &'a [Value],
    /// The argument that the next verb takes.
    next: usize,
    /// An index such as `[3]` came just before.
    after_index: bool,
    /// There was an index, so it is not known which arguments were left over.
    reordered: bool,
    good_index: bool,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.format.as_bytes().get(self.at).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Reads one verb with all that is before it, and writes its argument. Says whether there was a verb.
    fn verb(&mut self, printer: &mut Printer) -> Outcome<bool> {
        self.flags(&mut printer.flags);
        self.after_index = false;
        self.index();
        self.width(printer)?;
        self.precision(printer)?;
        if !self.after_index {
            self.index();
        }
        let Some(verb) = self
            .format
            .get(self.at..)
            .and_then(|rest| rest.chars().next())
        else {
            printer.complain("%!(NOVERB)", || "the format ends within a verb".to_owned());
            return Ok(false);
        };
        self.at += verb.len_utf8();
        match self.args.get(self.next) {
            _ if verb == '%' => printer.write("%"),
            _ if !self.good_index => printer.complain(&format!("%!{verb}(BADINDEX)"), || {
                format!("the index of the verb %{verb} is not valid")
            }),
            None => printer.complain(&format!("%!{verb}(MISSING)"), || {
                format!("there is no argument for the verb %{verb}")
            }),
            Some(arg) => {
                if matches!(verb, 'v' | 'w') {
                    let flags = &mut printer.flags;
                    flags.sharp_v = std::mem::take(&mut flags.sharp);
                    flags.plus = false;
                }
                printer.value(arg, verb);
                self.next += 1;
            }
        }
        Ok(true)
    }

    fn flags(&mut self, flags: &mut Flags) {
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => return,
            }
            self.at += 1;
        }
    }

    fn width(&mut self, printer: &mut Printer) -> Outcome<()> {
        if self.accept(b'*') {
            let given = self.number_argument()?;
            if given.is_none() {
                printer.complain("%!(BADWIDTH)", || "the width is no integer".to_owned());
            }
            if given.is_some_and(|width| width < 0) {
                printer.flags.minus = true;
                printer.flags.zero = false;
            }
            printer.flags.width = given.map(|width| width.unsigned_abs() as usize);
            self.after_index = false;
            return Ok(());
        }
        printer.flags.width = self.number()?;
        if self.after_index && printer.flags.width.is_some() {
            self.good_index = false;
        }
        Ok(())
    }

    fn precision(&mut self, printer: &mut Printer) -> Outcome<()> {
        // A point at the very end is a verb to Go.
        if self.at + 1 >= self.format.len() || !self.accept(b'.') {
            return Ok(());
        }
        if self.after_index {
            self.good_index = false;
        }
        self.index();
        if self.accept(b'*') {
            let given = self.number_argument()?.filter(|&precision| precision >= 0);
            if given.is_none() {
                printer.complain("%!(BADPREC)", || "the precision is no integer".to_owned());
            }
            printer.flags.precision = given.map(|precision| precision as usize);
            self.after_index = false;
            return Ok(());
        }
        printer.flags.precision = Some(self.number()?.unwrap_or(0));
        Ok(())
    }

    /// Reads an index such as `[3]`.
    fn index(&mut self) {
        self.after_index = false;
        if self.peek() != Some(b'[') {
            return;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let (inside, length) = match rest.find(']') {
            Some(end) => (&rest[1..end], end + 1),
            None => ("", 1),
        };
        self.at += length;
        let is_number = !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_digit());
        let index = inside.parse::<usize>().ok().filter(|_| is_number);
        match index.and_then(|index| index.checked_sub(1)) {
            Some(index) if index < self.args.len() => {
                self.next = index;
                self.after_index = true;
            }
            _ => {
                self.good_index = false;
                self.after_index = index.is_some();
            }
        }
    }

    /// Reads a number, or nothing. One that even Go finds too large ends the format.
    fn number(&mut self) -> Outcome<Option<usize>> {
        let rest = self.format.get(self.at..).unwrap_or_default();
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return Ok(None);
        }
        self.at += length;
        let number = rest[..length].parse::<usize>().unwrap_or(usize::MAX);
        check_width(number).map(Some)
    }

    /// Takes the next argument as a number.
    fn number_argument(&mut self) -> Outcome<Option<i64>> {
        let arg = self.args.get(self.next);
        self.next += usize::from(arg.is_some());
        match arg {
            Some(Value::Int(int)) => {
                check_width(usize::try_from(int.unsigned_abs()).unwrap_or(usize::MAX))?;
                Ok(Some(*int))
            }
            _ => Ok(None),
        }
    }
}

fn check_width(width: usize) -> Outcome<usize> {
    if width > limits::PRINTF_WIDTH {
        return Err(Failure(format!(
            "a width or precision is over {}",
            limits::PRINTF_WIDTH
        )));
    }
    Ok(width)
}
