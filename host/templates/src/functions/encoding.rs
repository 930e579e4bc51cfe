//! Encodings and digests.

use data_encoding::{BASE32, BASE64, HEXLOWER};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::Kind::Text;
use super::{Call, Function, Row};
use crate::error::{Failure, Outcome};
use crate::value::{self, Value};

pub(super) const TABLE: &[Row] = &[
    (
        "b64enc",
        Function::fixed(&[Text], |call| {
            Ok(value::text(BASE64.encode(call.text(0)?.as_bytes())))
        }),
    ),
    (
        "b64dec",
        Function::fixed(&[Text], |call| decoded(call, &BASE_64)),
    ),
    (
        "b32enc",
        Function::fixed(&[Text], |call| {
            Ok(value::text(BASE32.encode(call.text(0)?.as_bytes())))
        }),
    ),
    (
        "b32dec",
        Function::fixed(&[Text], |call| decoded(call, &BASE_32)),
    ),
    (
        "sha1sum",
        Function::fixed(&[Text], |call| {
            Ok(value::text(HEXLOWER.encode(&Sha1::digest(call.text(0)?))))
        }),
    ),
    (
        "sha256sum",
        Function::fixed(&[Text], |call| {
            Ok(value::text(HEXLOWER.encode(&Sha256::digest(call.text(0)?))))
        }),
    ),
    (
        "adler32sum",
        Function::fixed(&[Text], |call| {
            Ok(value::text(adler32(call.text(0)?.as_bytes()).to_string()))
        }),
    ),
];

/// What is needed to decode groups of characters to bytes.
struct Base {
    name: &'static str,
    alphabet: &'static [u8],
    bits: u32,
    /// Characters of a group.
    group: usize,
    /// How many characters the last group may have before its padding.
    partial: &'static [usize],
}

const BASE_64: Base = Base {
    name: "base64",
    alphabet: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    bits: 6,
    group: 4,
    partial: &[2, 3],
};

const BASE_32: Base = Base {
    name: "base32",
    alphabet: b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    bits: 5,
    group: 8,
    partial: &[2, 4, 5, 7],
};

/// Decodes. In Go the complaint about illegal input is the result; where markers must not be printed, it is an error.
fn decoded(call: &Call<'_>, base: &Base) -> Outcome<Value> {
    match base.decode(call.text(0)?.as_bytes()) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(value::text(text)),
            // Go would pass the bytes on, to be replaced when they are printed: no use to anybody.
            Err(_) => Err("the decoded bytes are no text".into()),
        },
        Err(offset) => {
            let complaint = format!("illegal {} data at input byte {offset}", base.name);
            if call.rendering.prints_markers() {
                Ok(value::text(complaint))
            } else {
                Err(Failure(complaint))
            }
        }
    }
}

impl Base {
    /// Decodes as Go does: line breaks are passed over, left over bits are not looked at.
    ///
    /// # Errors
    ///
    /// The offset of the byte that is wrong.
    fn decode(&self, input: &[u8]) -> Result<Vec<u8>, usize> {
        let mut characters = input
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, byte)| !matches!(byte, b'\r' | b'\n'))
            .peekable();
        let mut bytes = Vec::new();
        while characters.peek().is_some() {
            let mut bits: u64 = 0;
            let mut count = 0;
            while count < self.group {
                match characters.next() {
                    Some((offset, b'=')) => {
                        let padding = self.group - count - 1;
                        let rest: Vec<_> = characters.by_ref().collect();
                        if !self.partial.contains(&count) {
                            return Err(offset);
                        }
                        if let Some(&(bad, _)) =
                            rest.iter().take(padding).find(|(_, byte)| *byte != b'=')
                        {
                            return Err(bad);
                        }
                        match rest.get(padding) {
                            Some(&(excess, _)) => return Err(excess),
                            None if rest.len() < padding => return Err(input.len()),
                            None => break,
                        }
                    }
                    Some((offset, byte)) => {
                        match self.alphabet.iter().position(|&known| known == byte) {
                            Some(number) => {
                                bits = bits << self.bits | number as u64;
                                count += 1;
                            }
                            None => return Err(offset),
                        }
                    }
                    None => return Err(input.len() - count),
                }
            }
            let whole = count as u32 * self.bits / 8;
            bits >>= count as u32 * self.bits - whole * 8;
            bytes.extend((0..whole).rev().map(|index| (bits >> (8 * index)) as u8));
        }
        Ok(bytes)
    }
}

fn adler32(bytes: &[u8]) -> u32 {
    const MODULUS: u32 = 65521;
    let (a, b) = bytes.iter().fold((1, 0), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % MODULUS;
        (a, (a + b) % MODULUS)
    });
    b << 16 | a
}
