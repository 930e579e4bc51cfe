//! A page in Markdown, as far as the tests have to understand one.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A page.
pub struct Page {
    /// Its path from the root of the repository on.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// A code block.
pub struct Block {
    /// The word behind the fence.
    pub language: String,
    /// What stands between the fences.
    pub text: String,
    /// The line that it begins in, for messages.
    pub line: usize,
}

impl Page {
    /// The page of a path from the root on.
    pub fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path));
        Self {
            path: path.to_owned(),
            text: text.unwrap_or_else(|error| panic!("{path}: {error}")),
        }
    }

    /// Its code blocks, also those of lists, which are indented.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = vec![];
        let mut open: Option<(Block, usize)> = None;
        for (number, line) in self.text.lines().enumerate() {
            let words = line.trim_start();
            match (words.strip_prefix("```"), open.take()) {
                (Some(_), Some((block, _))) => blocks.push(block),
                (Some(language), None) => {
                    let block = Block {
                        language: language.trim().to_owned(),
                        text: String::new(),
                        line: number + 1,
                    };
                    open = Some((block, line.len() - words.len()));
                }
                (None, Some((mut block, indent))) => {
                    block.text.push_str(line.get(indent..).unwrap_or(words));
                    block.text.push('\n');
                    open = Some((block, indent));
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a code block has no end", self.path);
        blocks
    }

    /// Its text without the code blocks.
    pub fn prose(&self) -> String {
        let mut is_code = false;
        let lines = self.text.lines().filter(|line| {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The first cells of the rows of its tables, each with the title that it stands under. Heads of tables count as rows.
    pub fn rows(&self) -> Vec<(String, String)> {
        let mut title = String::new();
        let mut rows = vec![];
        for line in self.prose().lines() {
            if let Some(words) = line.strip_prefix('#') {
                words.trim_start_matches('#').trim().clone_into(&mut title);
            }
            let cell = line
                .strip_prefix("| ")
                .and_then(|row| row.split(" |").next());
            if let Some(cell) = cell {
                rows.push((title.clone(), cell.trim().to_owned()));
            }
        }
        rows
    }
}

/// The pages for operators and tenants.
pub fn docs() -> Vec<Page> {
    let mut pages = vec![];
    for folder in ["charts/backupstrategy-controller/docs", "host/api/docs"] {
        pages.extend(below(folder));
    }
    assert!(pages.len() >= 3, "where are the pages?");
    pages
}

/// All pages of the repository.
pub fn all() -> Vec<Page> {
    let folders = ["charts", "host", "plugins", "sdk", "tests", "wit"];
    let mut pages = vec![Page::read("README.md")];
    pages.extend(folders.into_iter().flat_map(below));
    pages
}

fn below(folder: &str) -> Vec<Page> {
    let mut pages = vec![];
    let mut entries: Vec<_> = fs::read_dir(root().join(folder))
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|entry| entry.unwrap())
        .collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{folder}/{name}");
        // A link leads to what is found under its own path; made files are nobody's pages.
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && name != "target" {
            pages.extend(below(&path));
        } else if kind.is_file() && Path::new(&name).extension().is_some_and(|end| end == "md") {
            pages.push(Page::read(&path));
        }
    }
    pages
}
