//! The certificate authority of the storage, as PEM.

use data_encoding::BASE64;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Checks that a text is one certificate or more, and nothing that must not be shown to tenants. Gives it back, ended
/// by a newline, as PEM files are.
pub(super) fn check(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("is missing".to_owned());
    }
    if text.contains("PRIVATE KEY-----") {
        return Err("holds a private key, which would be copied to tenants; name the key with the certificate".to_owned());
    }
    let mut blocks = text.split(BEGIN).skip(1).peekable();
    if blocks.peek().is_none() {
        return Err("holds no certificate in PEM".to_owned());
    }
    for block in blocks {
        let (body, _) = block
            .split_once(END)
            .ok_or_else(|| "holds a certificate that does not end".to_owned())?;
        let body: String = body.split_whitespace().collect();
        if body.is_empty() || BASE64.decode(body.as_bytes()).is_err() {
            return Err("holds a certificate that is not base64".to_owned());
        }
    }
    Ok(format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_pass_and_nothing_else_does() {
        let certificate = format!("{BEGIN}\nYQ==\n{END}");
        assert_eq!(check(&certificate).unwrap(), format!("{certificate}\n"));
        let two = format!("# ours\n{certificate}\n{certificate}");
        assert!(check(&two).is_ok());
        let key = "-----BEGIN PRIVATE KEY-----\nYQ==\n-----END PRIVATE KEY-----";
        for (text, problem) in [
            (String::new(), "is missing"),
            ("ca".to_owned(), "no certificate"),
            (format!("{BEGIN}\nYQ=="), "does not end"),
            (format!("{BEGIN}\n{END}"), "not base64"),
            (format!("{BEGIN}\n***\n{END}"), "not base64"),
            (format!("{certificate}\n{key}"), "private key"),
        ] {
            assert!(check(&text).unwrap_err().contains(problem), "{text}");
        }
    }
}
