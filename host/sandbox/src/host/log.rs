//! `log`: the only thing that a question without a job offers.

use super::{Host, Stop};
use crate::{
    EvaluationError, LogLine,
    contract::{Level, cozystack::backup_strategy::log as contract},
};

/// Bytes that are kept of one message. A thousand of them, the default limit of lines, are 8 MiB at most.
const MESSAGE: usize = 8 << 10;

impl contract::Host for Host {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let limit = self.limits.log_lines;
        if self.log.len() >= limit {
            return Err(Stop::Failed(EvaluationError::LogLines {
                question: self.question,
                limit,
            })
            .into());
        }
        self.log.push(LogLine {
            level,
            message: printable(&message),
        });
        Ok(())
    }
}

/// A message that may be written to a terminal: line breaks and tabs stay, other control characters do not.
fn printable(message: &str) -> String {
    let end = message.floor_char_boundary(MESSAGE);
    let kept = message[..end].trim_end();
    let mut text: String = kept
        .chars()
        .map(|c| {
            if c.is_control() && c != '\n' && c != '\t' {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect();
    if end < message.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_steer_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n\tc\r\n"), "a\u{fffd}[2Jb\n\tc");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let text = printable(&"é".repeat(MESSAGE));
        assert!(text.ends_with("é…") && text.len() <= MESSAGE + '…'.len_utf8());
    }
}
