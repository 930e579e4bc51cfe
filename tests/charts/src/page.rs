//! Pages of a chart whose tables are what the code says.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::Chart;

/// Set to anything, it makes the tests write the files that they compare with.
pub const UPDATE: &str = "UPDATE_CHARTS";

impl Chart {
    /// A file of the chart is so; it is made so where that is asked for.
    ///
    /// # Errors
    /// When it is not.
    pub fn has_file(&self, file: &str, text: &str) -> Result<()> {
        is_so(&self.folder().join(file), file, text)
    }

    /// A page has a table between two lines that name it; the first row is the head.
    ///
    /// # Errors
    /// When it has not, or has no place for it.
    pub fn has_table(&self, page: &str, name: &str, rows: &[Vec<String>]) -> Result<()> {
        let begin = format!("<!-- {name} -->\n");
        let end = format!("<!-- end of {name} -->");
        let path = self.folder().join(page);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let place = text
            .split_once(&begin)
            .and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
        let (before, after) = place.with_context(|| format!("{page} has no place for {name}"))?;
        let line = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut lines: Vec<String> = rows.iter().map(line).collect();
        let rule = vec!["---"; rows.first().map_or(0, Vec::len)];
        lines.insert(1, format!("|{}|\n", rule.join("|")));
        let table = lines.concat();
        self.has_file(page, &format!("{before}{begin}{table}{end}{after}"))
    }

    /// The README tells all values, in the order of `values.yaml`, with what the schema says of them; and each has a comment
    /// in `values.yaml`.
    ///
    /// # Errors
    /// When it does not, and when values and schema differ.
    pub fn tells_its_values(&self) -> Result<()> {
        let read = |file: &str| {
            let path = self.folder().join(file);
            std::fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        let schema: Value = serde_json::from_str(&read("values.schema.json")?)?;
        let text = read("values.yaml")?;
        let defaults: Value = serde_saphyr::from_str(&text)?;
        let mut rows = vec![row(["value", "default", "meaning"])];
        values(&schema, &defaults, "", &mut rows)?;
        let with_comment = commented(&text);
        for row in rows.iter().skip(1) {
            let is_commented = with_comment
                .iter()
                .any(|path| row[0] == format!("`{path}`"));
            ensure!(is_commented, "values.yaml has no comment above {}", row[0]);
        }
        self.has_table("README.md", "values", &rows)
    }
}

/// A file is so; it is made so where that is asked for.
pub(crate) fn is_so(path: &Path, name: &str, text: &str) -> Result<()> {
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    ensure!(
        found == text,
        "{name} of the chart is not what the code says: run this test once with {UPDATE}=1, and look at the change"
    );
    Ok(())
}

/// A row of a table.
#[must_use]
pub fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(ToOwned::to_owned).to_vec()
}

/// The paths in a file of values that have a comment right above them.
fn commented(text: &str) -> Vec<String> {
    let mut open: Vec<(usize, &str)> = vec![];
    let mut found = vec![];
    let mut above = "";
    for line in text.lines() {
        let trimmed = line.trim_start();
        let name = trimmed.split_once(':').map_or("", |(name, _)| name);
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_name {
            let depth = line.len() - trimmed.len();
            open.retain(|(outer, _)| *outer < depth);
            open.push((depth, name));
            if above.starts_with('#') {
                let path: Vec<&str> = open.iter().map(|(_, name)| *name).collect();
                found.push(path.join("."));
            }
        }
        above = trimmed;
    }
    found
}

fn values(schema: &Value, value: &Value, path: &str, rows: &mut Vec<Vec<String>>) -> Result<()> {
    let Some((members, properties)) = value.as_object().zip(schema["properties"].as_object())
    else {
        let meaning = schema["description"].as_str();
        let meaning = meaning.with_context(|| format!("the schema does not describe {path}"))?;
        rows.push(row([&format!("`{path}`"), &format!("`{value}`"), meaning]));
        return Ok(());
    };
    let is_closed = schema["additionalProperties"] == false;
    ensure!(is_closed, "the schema takes anything in {path:?}");
    // What a chart around this one hands to all, and what it hands to a library, is no value of its own.
    let named = properties
        .iter()
        .filter(|(name, schema)| *name != "global" && schema["$comment"] != "not a value");
    ensure!(
        named.map(|(name, _)| name).eq(members.keys()),
        "values.yaml and its schema differ: {path:?}"
    );
    for (name, value) in members {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        values(&properties[name], value, &path, rows)?;
    }
    Ok(())
}
