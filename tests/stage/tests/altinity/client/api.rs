//! The HTTP API of clickhouse-backup, as far as the program uses it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

/// How it goes.
pub struct Behaviour {
    /// Commands of this verb fail, with this error.
    pub failing: Option<(&'static str, &'static str)>,
    /// What the record says of a command that has ended and has not failed.
    pub ends_as: &'static str,
    /// How many commands are turned away because another one runs.
    pub locked: usize,
    /// The record forgets each command.
    pub forgets: bool,
    /// User and password are not taken.
    pub refuses: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            failing: None,
            ends_as: "success",
            locked: 0,
            forgets: false,
            refuses: false,
        }
    }
}

/// A server on a port of this machine. Its thread ends with the process.
pub struct Api {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    behaviour: Behaviour,
    told: Vec<String>,
    record: Vec<(String, String)>,
    looks: usize,
}

impl Api {
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State {
            behaviour,
            ..State::default()
        }));
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever is gone already has no need of an answer.
                answer(&served, stream).ok();
            }
        });
        Self { address, state }
    }

    /// An address where nobody listens.
    pub fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self {
            address,
            state: Arc::default(),
        }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The commands that came in.
    pub fn told(&self) -> Vec<String> {
        locked(&self.state).told.clone()
    }

    /// A command that somebody gave before.
    pub fn has_run(&self, command: &str, status: &str) {
        locked(&self.state)
            .record
            .push((command.to_owned(), status.to_owned()));
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request of a connection.
fn answer(state: &Mutex<State>, stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let (mut length, mut is_known) = (0, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        is_known |= header.starts_with("authorization: basic ");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = line.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut state = locked(state);
    let (code, rows) = if !is_known || state.behaviour.refuses {
        (401, vec![])
    } else {
        state.respond(method, target, &body)
    };
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let answer = format!(
        "HTTP/1.1 {code} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    reader.get_mut().write_all(answer.as_bytes())
}

impl State {
    fn respond(&mut self, method: &str, target: &str, body: &[u8]) -> (u16, Vec<Value>) {
        match (method, target.split('?').next().unwrap_or_default()) {
            ("GET", "/backup/version") => (200, vec![json!({ "version": "2.7.4" })]),
            ("GET", "/backup/actions") => (200, self.record(target)),
            ("POST", "/backup/kill") => {
                let command = target.split_once("command=").unwrap_or_default().1;
                self.told.push(format!("kill {}", decoded(command)));
                (
                    200,
                    vec![json!({ "status": "success", "operation": "kill" })],
                )
            }
            ("POST", "/backup/actions") => {
                let body: Value = serde_json::from_slice(body).unwrap();
                self.command(body["command"].as_str().unwrap())
            }
            _ => (404, vec![]),
        }
    }

    /// The record of commands. What runs has ended at every third look.
    fn record(&mut self, target: &str) -> Vec<Value> {
        self.looks += 1;
        if self.behaviour.forgets {
            self.record.clear();
        }
        let (ends, failing) = (self.looks.is_multiple_of(3), self.behaviour.failing);
        let filter = target.split_once("filter=").unwrap_or_default().1;
        let mut rows = vec![];
        for (command, status) in &mut self.record {
            let fails = failing.filter(|(verb, _)| command.starts_with(verb));
            if ends && status == "in progress" {
                *status = if fails.is_some() {
                    "error".to_owned()
                } else {
                    self.behaviour.ends_as.to_owned()
                };
            }
            let mut row =
                json!({ "command": command, "status": status, "start": "2026-11-25 12:00:00" });
            if let Some((_, why)) = fails.filter(|_| status == "error") {
                row["error"] = json!(why);
            }
            if command.contains(filter) {
                rows.push(row);
            }
        }
        rows
    }

    fn command(&mut self, command: &str) -> (u16, Vec<Value>) {
        let runs = self
            .record
            .iter()
            .any(|(_, status)| status == "in progress");
        if self.behaviour.locked > 0 || runs {
            self.behaviour.locked = self.behaviour.locked.saturating_sub(1);
            return (
                500,
                vec![
                    json!({ "status": "error", "error": "another operation is currently running" }),
                ],
            );
        }
        self.told.push(command.to_owned());
        if command.starts_with("delete") {
            let fails = self.behaviour.failing.filter(|(verb, _)| *verb == "delete");
            return match fails {
                Some((_, why)) => (500, vec![json!({ "status": "error", "error": why })]),
                None => (
                    200,
                    vec![json!({ "status": "success", "operation": command })],
                ),
            };
        }
        self.record
            .push((command.to_owned(), "in progress".to_owned()));
        (
            200,
            vec![json!({ "status": "acknowledged", "operation": command })],
        )
    }
}

/// Percent-encoding, undone.
fn decoded(text: &str) -> String {
    let mut bytes = vec![];
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let escaped = (byte == b'%')
            .then(|| [rest.next(), rest.next()].map(|digit| char::from(digit.unwrap())));
        bytes.push(match escaped {
            Some([high, low]) => u8::from_str_radix(&format!("{high}{low}"), 16).unwrap(),
            None if byte == b'+' => b' ',
            None => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
