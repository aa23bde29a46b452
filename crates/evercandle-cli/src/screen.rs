//! Where words go: stderr for people, stdout for data, and whether either is a terminal that shows colours.
//!
//! Decided once at start and passed around, so that nothing else asks the environment.

use std::io::{IsTerminal, Write};

use crate::args::{Color, Global};

/// Columns of a terminal that does not say how wide it is: what terminals have had since they were screens.
const WIDTH_OF_TERMINAL: usize = 80;
/// Columns of drawings that go to no terminal.
const WIDTH_ELSEWHERE: usize = 100;
/// Columns below which nothing is tried.
const WIDTH_MIN: usize = 20;
/// Lines of one that does not say how high it is.
const HEIGHT_DEFAULT: usize = 30;

/// What is known of the terminal, if there is one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) stdout_is_terminal: bool,
    pub(crate) stderr_is_terminal: bool,
    pub(crate) stdout_color: bool,
    pub(crate) stderr_color: bool,
    pub(crate) quiet: bool,
    /// Columns of drawings on stdout.
    pub(crate) width: usize,
    /// Lines of drawings on stdout.
    pub(crate) height: usize,
    /// Columns that text on stdout may take; `None` off a terminal, where nothing is to be wrapped or left out.
    pub(crate) stdout_limit: Option<usize>,
    /// The same for stderr.
    pub(crate) stderr_limit: Option<usize>,
}

/// What a piece of text is, which decides how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Title,
    Good,
    Bad,
    Warning,
    Faint,
    Accent,
}

impl Ink {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Ink::Title => "\x1b[1m",
            Ink::Good => "\x1b[32m",
            Ink::Bad => "\x1b[31m",
            Ink::Warning => "\x1b[33m",
            Ink::Faint => "\x1b[2m",
            Ink::Accent => "\x1b[36m",
        }
    }
}

/// Colours `text` if `color`.
pub(crate) fn paint(color: bool, ink: Ink, text: &str) -> String {
    if color && !text.is_empty() {
        format!("{}{text}\x1b[0m", ink.code())
    } else {
        text.to_owned()
    }
}

impl Screen {
    #[allow(
        clippy::disallowed_methods,
        reason = "NO_COLOR, TERM and COLUMNS describe the terminal, not the program"
    )]
    pub(crate) fn detect(global: &Global) -> Screen {
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let color = |terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !dumb,
        };
        let (stdout, stderr) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let (stdout_size, stderr_size) = (
            terminal_size::terminal_size_of(std::io::stdout()),
            terminal_size::terminal_size_of(std::io::stderr()),
        );
        let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let columns = |size: Option<(terminal_size::Width, _)>| size.map(|(w, _)| usize::from(w.0)).or(told);
        let limit = |terminal: bool, size| terminal.then(|| columns(size).unwrap_or(WIDTH_OF_TERMINAL).max(WIDTH_MIN));
        let (stdout_limit, stderr_limit) = (limit(stdout, stdout_size), limit(stderr, stderr_size));
        Screen {
            stdout_is_terminal: stdout,
            stderr_is_terminal: stderr,
            stdout_color: color(stdout),
            stderr_color: color(stderr),
            quiet: global.quiet,
            width: stdout_limit.unwrap_or_else(|| told.unwrap_or(WIDTH_ELSEWHERE).max(WIDTH_MIN)),
            stdout_limit,
            stderr_limit,
            height: stdout_size.map_or(HEIGHT_DEFAULT, |(_, h)| usize::from(h.0)).max(10),
        }
    }

    /// Says something on stderr, unless asked to be quiet. A closed stderr is nobody's problem.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.insist(text);
        }
    }

    /// Says something on stderr even when asked to be quiet: errors.
    pub(crate) fn insist(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Text for stderr.
    pub(crate) fn ink(&self, ink: Ink, text: &str) -> String {
        paint(self.stderr_color, ink, text)
    }
}
