//! Addresses, as Go's package `net/url` reads and writes them.

use std::net::Ipv6Addr;

use crate::error::{Failure, Outcome};
use crate::value::{self, Map, Value};

/// An address in its parts, decoded.
#[derive(Debug, Default)]
pub(super) struct Url {
    pub(super) scheme: String,
    /// Of an address without slashes, such as `mailto:a@b`.
    pub(super) opaque: String,
    /// Encoded, as it is written before the host.
    pub(super) userinfo: String,
    has_user: bool,
    /// With the port.
    pub(super) host: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) fragment: String,
}

impl Url {
    pub(super) fn hostname(&self) -> &str {
        let host = match self.host.rfind(':') {
            Some(colon) if is_port(&self.host[colon..]) => &self.host[..colon],
            _ => &self.host,
        };
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }
}

/// The part of an address that is decoded or encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    User,
    Host,
    /// What follows `%25` in an IPv6 address.
    Zone,
    Path,
    Fragment,
}

fn bad(what: &str) -> Failure {
    Failure(format!("this is no address: {what}"))
}

pub(super) fn parse(text: &str) -> Outcome<Url> {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let mut url = without_fragment(text)?;
    url.fragment = decoded(fragment, Part::Fragment)?;
    Ok(url)
}

fn without_fragment(text: &str) -> Outcome<Url> {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(bad("it holds a control character"));
    }
    let mut url = Url::default();
    if text == "*" {
        url.path = "*".to_owned();
        return Ok(url);
    }
    let (scheme, rest) = scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    url.query = query.to_owned();
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            url.opaque = rest.to_owned();
            return Ok(url);
        }
        if first_segment(rest).contains(':') {
            return Err(bad("its first segment holds a colon"));
        }
    }
    let mut path = rest;
    if (!url.scheme.is_empty() || !rest.starts_with("///")) && rest.starts_with("//") {
        let inside = &rest[2..];
        let (authority, after) = inside.split_at(inside.find('/').unwrap_or(inside.len()));
        path = after;
        read_authority(&mut url, authority)?;
    }
    url.path = decoded(path, Part::Path)?;
    Ok(url)
}

fn first_segment(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

fn scheme(text: &str) -> Outcome<(&str, &str)> {
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if index > 0 => {}
            b':' if index == 0 => return Err(bad("it has no scheme before its colon")),
            b':' => return Ok((&text[..index], &text[index + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn read_authority(url: &mut Url, authority: &str) -> Outcome<()> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    url.host = read_host(&url.scheme, host)?;
    let Some(user) = user else { return Ok(()) };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !user.chars().all(allowed) {
        return Err(bad("its user is not valid"));
    }
    let again = |part: &str| decoded(part, Part::User).map(|part| encoded(&part, Part::User));
    url.has_user = true;
    url.userinfo = match user.split_once(':') {
        Some((name, password)) => format!("{}:{}", again(name)?, again(password)?),
        None => again(user)?,
    };
    Ok(())
}

fn read_host(scheme: &str, host: &str) -> Outcome<String> {
    match host.rfind('[') {
        Some(0) => return read_ipv6(host),
        Some(_) => return Err(bad("its host is not valid")),
        None => {}
    }
    if let (Some(first), Some(last)) = (host.find(':'), host.rfind(':')) {
        // Databases take several hosts, each with its port.
        let colon = if matches!(scheme, "http" | "https") {
            first
        } else {
            last
        };
        if !is_port(&host[colon..]) {
            return Err(bad("its port is not valid"));
        }
    }
    decoded(host, Part::Host)
}

fn read_ipv6(host: &str) -> Outcome<String> {
    let Some(end) = host.rfind(']') else {
        return Err(bad("its host lacks a bracket"));
    };
    let (inside, port) = (&host[1..end], &host[end + 1..]);
    if !is_port(port) {
        return Err(bad("its port is not valid"));
    }
    let (address, zone) = match inside.find("%25") {
        Some(zone) => inside.split_at(zone),
        None => (inside, ""),
    };
    let (address, zone) = (decoded(address, Part::Host)?, decoded(zone, Part::Zone)?);
    if address.parse::<Ipv6Addr>().is_err() || zone == "%" {
        return Err(bad("its host is not valid"));
    }
    Ok(format!("[{address}{zone}]{port}"))
}

fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => text.is_empty(),
    }
}

/// Whether a byte stands for itself in a part.
fn is_plain(byte: u8, part: Part) -> bool {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        return true;
    }
    match part {
        Part::User => b"$&+,;=".contains(&byte),
        Part::Host | Part::Zone => b"!$&'()*+,;=:[]<>\"".contains(&byte),
        Part::Path => b"$&+,/:;=@".contains(&byte),
        Part::Fragment => b"$&+,/:;=?@!()*".contains(&byte),
    }
}

fn encoded(text: &str, part: Part) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() && is_plain(c as u8, part) {
            out.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn decoded(text: &str, part: Part) -> Outcome<String> {
    let is_host = matches!(part, Part::Host | Part::Zone);
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if is_host && byte.is_ascii() && !is_plain(byte, part) {
                return Err(bad("its host holds a character that is not allowed"));
            }
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err(bad("an escape is not valid"));
        };
        let escaped = (high * 16 + low) as u8;
        let is_allowed = match part {
            Part::Host => !escaped.is_ascii() || escaped == b'%',
            Part::Zone => escaped == b'%' || escaped == b' ' || is_plain(escaped, Part::Host),
            _ => true,
        };
        if !is_allowed {
            return Err(bad("its host holds an escape that is not allowed"));
        }
        out.push(escaped);
    }
    // Go would pass the bytes on, and write something else when they are printed.
    String::from_utf8(out).map_err(|_| bad("its escapes are no text"))
}

/// Writes an address from a map of its parts; those that are absent are empty.
pub(super) fn join(parts: &Map) -> Outcome<String> {
    let part = |name: &str| match parts.get(name) {
        None => Ok(""),
        Some(Value::String(text)) => Ok(&**text),
        Some(other) => Err(Failure(format!(
            "{name} must be a string, not {}",
            value::description(other)
        ))),
    };
    let (scheme, opaque, host, path) = (
        part("scheme")?,
        part("opaque")?,
        part("host")?,
        part("path")?,
    );
    let (query, fragment, userinfo) = (part("query")?, part("fragment")?, part("userinfo")?);
    let user = match userinfo {
        "" => None,
        _ => Some(parse(&format!("proto://{userinfo}@host"))?).filter(|url| url.has_user),
    };

    let mut out = String::new();
    if !scheme.is_empty() {
        out.push_str(scheme);
        out.push(':');
    }
    if !opaque.is_empty() {
        out.push_str(opaque);
    } else {
        if !host.is_empty() || user.is_some() || !scheme.is_empty() && !path.is_empty() {
            out.push_str("//");
        }
        if let Some(user) = &user {
            out.push_str(&user.userinfo);
            out.push('@');
        }
        out.push_str(&encoded(host, Part::Host));
        let path = if path == "*" {
            path.to_owned()
        } else {
            encoded(path, Part::Path)
        };
        if !path.is_empty() && !path.starts_with('/') && !host.is_empty() {
            out.push('/');
        }
        if out.is_empty() && first_segment(&path).contains(':') {
            out.push_str("./");
        }
        out.push_str(&path);
    }
    if !query.is_empty() {
        out.push('?');
        out.push_str(query);
    }
    if !fragment.is_empty() {
        out.push('#');
        out.push_str(&encoded(fragment, Part::Fragment));
    }
    Ok(out)
}
