//! Pages of the chart's documentation, section by section: what they tell to type, and what they tell to write into files.

use std::os::unix::fs::symlink;

use charts::HOST;
use tempfile::TempDir;

/// The folder of whoever administers platforms: it has this repository's charts, and keeps what commands leave there.
pub fn desk() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let charts = HOST.folder();
    symlink(charts.parent().unwrap(), folder.path().join("charts")).unwrap();
    folder
}

/// A page, or a part of one.
pub struct Page(String);

impl Page {
    /// A page of the chart's documentation.
    pub fn of(file: &str) -> Self {
        let path = HOST.folder().join("docs").join(file);
        Self(std::fs::read_to_string(path).unwrap())
    }

    /// The text under a title, up to the next of whatever level.
    pub fn section(&self, title: &str) -> Self {
        let found = self.sections().find(|(of, _)| *of == title);
        Self(found.unwrap().1.to_owned())
    }

    /// The titles of the sections that tell to type something.
    pub fn titles(&self) -> Vec<&str> {
        let typed = self.sections().filter(|(_, text)| text.contains("$ "));
        typed.map(|(title, _)| title).collect()
    }

    /// Each title, and the text under it.
    fn sections(&self) -> impl Iterator<Item = (&str, &str)> {
        let texts = self.0.split("\n#").map(|text| text.trim_start_matches('#'));
        let parts = texts.filter_map(|text| text.split_once('\n'));
        parts.map(|(title, text)| (title.trim_start_matches('#').trim(), text))
    }

    /// What it tells to type, in its order. So many commands, that no other is left out.
    pub fn commands<const N: usize>(&self) -> [String; N] {
        self.lines().try_into().unwrap()
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.0.lines().map(str::trim_start);
        let commands = lines.filter_map(|line| line.strip_prefix("$ "));
        commands.map(ToOwned::to_owned).collect()
    }

    /// Its blocks of a language.
    pub fn blocks(&self, language: &str) -> Vec<String> {
        let fence = format!("```{language}\n");
        let blocks = self.0.split(&fence).skip(1);
        // Those of a list are indented.
        let ends = |line: &&str| !line.trim_start().starts_with("```");
        let blocks = blocks.map(|block| block.lines().take_while(ends).collect::<Vec<_>>());
        blocks.map(|lines| lines.join("\n")).collect()
    }
}
