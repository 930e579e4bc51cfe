//! How Go writes values: `print`, `println`, `printf`, and what an action prints.
//!
//! A port of what Go's package `fmt` does with the few types that JSON has.

mod float;
mod format;
mod quote;
mod verb;

use crate::error::{Failure, Outcome};
use crate::limits;
use crate::value::Value;

pub(crate) use float::json_number;
pub(crate) use quote::{is_printable, quoted};

use verb::Printer;

/// What an action prints for nothing.
pub(crate) const NO_VALUE: &str = "<no value>";

/// What `printf` wrote.
pub(crate) struct Printed {
    pub(crate) text: String,
    /// What it complained of in the text, if it did: said so that it can be an error.
    pub(crate) complaint: Option<String>,
}

/// A value as `%v` writes it.
pub(crate) fn show(value: &Value) -> Outcome<String> {
    if let Value::String(text) = value {
        return Ok(text.to_string());
    }
    let mut printer = Printer::default();
    printer.value(value, 'v');
    finished(printer).map(|printed| printed.text)
}

/// Go's `fmt.Sprint`: blanks stand between operands of which neither is a string.
pub(crate) fn print(args: &[Value]) -> Outcome<String> {
    let mut printer = Printer::default();
    let mut last_is_string = true;
    for arg in args {
        let is_string = matches!(arg, Value::String(_));
        if !is_string && !last_is_string {
            printer.write(" ");
        }
        printer.value(arg, 'v');
        last_is_string = is_string;
    }
    finished(printer).map(|printed| printed.text)
}

/// Go's `fmt.Sprintln`.
pub(crate) fn println(args: &[Value]) -> Outcome<String> {
    let mut printer = Printer::default();
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            printer.write(" ");
        }
        printer.value(arg, 'v');
    }
    printer.write("\n");
    finished(printer).map(|printed| printed.text)
}

/// Go's `fmt.Sprintf`.
pub(crate) fn printf(format: &str, args: &[Value]) -> Outcome<Printed> {
    let mut printer = Printer::default();
    format::format(&mut printer, format, args)?;
    finished(printer)
}

fn finished(printer: Printer) -> Outcome<Printed> {
    if printer.is_full() {
        return Err(Failure(format!(
            "the text would be over {} bytes",
            limits::OUTPUT_BYTES
        )));
    }
    Ok(Printed {
        text: printer.out,
        complaint: printer.complaint,
    })
}
