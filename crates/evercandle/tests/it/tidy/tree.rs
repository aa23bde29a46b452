//! The workspace's text files, read line by line, and what can be said of a line without a compiler.

use std::fs;
use std::path::{Path, PathBuf};

/// The library's sources.
pub(super) const LIBRARY: &str = "crates/evercandle/src/";

/// A text file of the workspace.
pub(super) struct Source {
    /// From the workspace's root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it is a file of unit tests.
    pub(super) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// Whether it is this file of the library.
    pub(super) fn is(&self, file: &str) -> bool {
        self.path.strip_prefix(LIBRARY) == Some(file)
    }

    pub(super) fn is_under(&self, folder: &str) -> bool {
        self.path
            .strip_prefix(LIBRARY)
            .is_some_and(|path| path.starts_with(folder))
    }

    pub(super) fn at(&self, line: usize, what: String) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// Every line with its number.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    /// Lines without comments, up to the unit tests.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let begins = ["mod ", "pub mod ", "pub(crate) mod ", "pub(super) mod "].map(|m| format!("#[cfg(test)]\n{m}"));
        let tests = begins.iter().filter_map(|begin| self.text.find(begin)).min();
        let tests = tests.unwrap_or(self.text.len());
        self.text[..tests]
            .lines()
            .enumerate()
            .map(|(i, line)| (i + 1, uncommented(line)))
    }

    /// Its module path inside the crate: `engine/plan.rs` is `engine`, `plan`.
    pub(super) fn module(&self) -> Vec<String> {
        let path = self
            .path
            .strip_prefix(LIBRARY)
            .unwrap_or(&self.path)
            .trim_end_matches(".rs");
        let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        parts.retain(|part| part != "mod" && part != "lib");
        parts
    }

    /// Top-level names of the crate that it mentions, by `crate::` or by enough `super::`.
    pub(super) fn uses(&self) -> Vec<(usize, String)> {
        let mut used = Vec::new();
        let code: Vec<(usize, &str)> = self.code().collect();
        for (i, (number, line)) in code.iter().enumerate() {
            // A group may go on for lines.
            let after: String = code[i..].iter().take(20).map(|(_, l)| *l).collect::<Vec<_>>().join(" ");
            for (at, _) in line.match_indices("crate::").filter(|(at, _)| !in_word(line, *at)) {
                used.extend(heads(&after[at + 7..]).into_iter().map(|head| (*number, head)));
            }
            for (at, _) in line
                .match_indices("super::")
                .filter(|(at, _)| !in_word(line, *at) && !line[..*at].ends_with("super::"))
            {
                let chain = after[at..]
                    .split("super::")
                    .take_while(|part| part.is_empty())
                    .count()
                    .max(1);
                let rest = &after[at + 7 * chain..];
                if chain >= self.module().len() {
                    used.extend(heads(rest).into_iter().map(|head| (*number, head)));
                }
            }
        }
        used.sort();
        used.dedup();
        used
    }
}

/// The first names after a path's `::`: one, or those of a group.
fn heads(after: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = after.strip_prefix('{') else {
        return vec![name(after)];
    };
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(name(&group[start..i]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(name(&group[start..i]));
                start = i + 1;
            }
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// Whether a match at `at` is the end of a longer name (`$crate` and `my_crate` are not `crate`).
fn in_word(line: &str, at: usize) -> bool {
    line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$')
}

/// A line up to its comment. `://` in a URL begins none.
fn uncommented(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}

pub(super) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || "_.:/-".contains(c)))
        .map(|word| word.trim_matches(['.', ':']))
}

/// Where code, comments and unit tests apart, contains one of `patterns`.
pub(super) fn search(sources: impl IntoIterator<Item = Source>, patterns: &[&str]) -> Vec<String> {
    let hit = |line: &str| patterns.iter().any(|pattern| line.contains(pattern));
    let in_one = |s: Source| {
        s.code()
            .filter(|(_, l)| hit(l))
            .map(|(n, l)| s.at(n, l.trim().to_owned()))
            .collect::<Vec<_>>()
    };
    sources.into_iter().flat_map(in_one).collect()
}

/// Where any line contains one of `patterns`.
pub(super) fn search_all(sources: impl IntoIterator<Item = Source>, patterns: &[&str]) -> Vec<String> {
    let hit = |line: &str| patterns.iter().any(|pattern| line.contains(pattern));
    let in_one = |s: Source| {
        s.lines()
            .filter(|(_, l)| hit(l))
            .map(|(n, l)| s.at(n, l.trim().to_owned()))
            .collect::<Vec<_>>()
    };
    sources.into_iter().flat_map(in_one).collect()
}

#[track_caller]
pub(super) fn check(found: Vec<String>, rule: &str, remedy: &str) {
    assert!(
        found.is_empty(),
        "\n{rule}:\n  {}\nremedy: {remedy}\n",
        found.join("\n  ")
    );
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(super) fn source(path: &str) -> Source {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    Source {
        path: path.to_owned(),
        text,
    }
}

/// The library's sources, unit tests apart.
pub(super) fn library() -> Vec<Source> {
    everything()
        .into_iter()
        .filter(|s| s.path.starts_with(LIBRARY) && s.is_rust() && !s.is_test())
        .collect()
}

/// Every text file of the workspace that is ours.
pub(super) fn everything() -> Vec<Source> {
    let root = root();
    let kinds = ["rs", "toml", "md", "lock", "snap", "yml"];
    let mut paths: Vec<PathBuf> = files(&root);
    for folder in ["crates", "docs", ".cargo", ".ci", "ops"] {
        walk(&root.join(folder), &mut paths);
    }
    paths.sort();
    let ours = paths
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| kinds.iter().any(|kind| e == *kind)));
    ours.map(|path| {
        let relative = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        source(&relative)
    })
    .collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    found.extend(files(folder));
    for inner in folders(folder).into_iter().filter(|f| !f.ends_with("target")) {
        walk(&inner, found);
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_file()).collect()
}

pub(super) fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}
