//! How a run ends: exit codes, and the message that goes with each but the first.
//!
//! Scripts decide on the code, people on the message. A message says what is wrong, then, on a line of its own, what to
//! do about it. A reader that closes its end of the pipe (`| head`) has what it wanted: that is success, and quiet.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use evercandle::{ConfigError, Error};
use evercandle_formats::Story;

use crate::text;

/// The exit codes, as documented under `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that exists was delivered.
    Complete = 0,
    /// Something happened that is nobody's business but ours, such as a full disk under `--out`.
    Unexpected = 1,
    /// The command line, a symbol, a range or the configuration makes no sense. Also what the argument parser uses.
    BadInput = 2,
    /// Something that an upstream might still have is missing, whether or not the rest was printed.
    Incomplete = 3,
    /// Nothing at all could be had.
    Unavailable = 4,
    /// The cache could not be used where it was indispensable.
    Cache = 5,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// A run that did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What is wrong; empty when there is nothing to say.
    message: String,
    /// Facts, one a line, free of control characters: many are the words of upstreams.
    details: Vec<String>,
    /// What to do.
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure {
            exit,
            message: message.into(),
            details: Vec::new(),
            hint: None,
        }
    }

    pub(crate) fn bad_input(message: impl Into<String>) -> Failure {
        Failure::new(Exit::BadInput, message)
    }

    #[must_use]
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Failure {
        self.details.push(text::foreign(&detail.into()));
        self
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Where it happened: a full disk does not say which file it is that is cut short.
    #[must_use]
    pub(crate) fn writing(mut self, path: &Path) -> Failure {
        if self.exit == Exit::Unexpected {
            self.message = format!("{}: cannot be written: {}", path.display(), self.message);
        }
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether there is nothing to say.
    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for detail in &self.details {
            write!(f, "\n  {detail}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(Exit::Complete, ""),
            _ => Failure::new(Exit::Unexpected, error.to_string()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::bad_input(format!("configuration: {error}")).hint("`evercandle config show` prints every setting")
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let message = text::foreign(&error.to_string());
        match error {
            Error::BadRequest(_) => Failure::bad_input(message),
            Error::UnknownSymbol { market, ref symbol, .. } => Failure::bad_input(message).hint(format!(
                "`evercandle symbols --market {} {}` lists what there is",
                market,
                symbol.as_str().chars().take(3).collect::<String>()
            )),
            Error::Incomplete(answer) | Error::Unavailable(answer) => {
                let mut story = Story::new(answer.series.clone(), answer.range);
                story.add(*answer);
                missing(&story)
            }
            Error::NoUpstream {
                what,
                reasons,
                retry_after,
            } => {
                let mut failure = Failure::new(Exit::Unavailable, format!("no upstream could tell the {what}"));
                for (name, why) in &reasons {
                    failure = failure.detail(format!("{name}: {why}"));
                }
                if reasons.is_empty() {
                    failure = failure.detail("none serves it, or none is enabled");
                }
                match retry_after {
                    Some(wait) => failure.hint(format!("the first of them is asked again in {}", text::age(wait))),
                    None => failure,
                }
            }
            Error::Cache(_) => {
                Failure::new(Exit::Cache, message).hint("--cache-dir or EVERCANDLE_CACHE_DIR puts the cache elsewhere")
            }
            Error::Config(_) => Failure::bad_input(message).hint("`evercandle config show` prints every setting"),
        }
    }
}

/// Gaps listed in a message; the rest is counted.
const GAPS_LISTED_MAX: usize = 8;

/// What is to be said when something is missing that an upstream might still have.
pub(crate) fn missing(story: &Story) -> Failure {
    let open: Vec<_> = story.gaps.iter().filter(|g| !g.reason.is_final()).collect();
    let (exit, message) = if story.rows == 0 {
        (
            Exit::Unavailable,
            format!("{} {}: nothing could be had", story.series, story.range),
        )
    } else {
        let found = text::count(story.rows, text::noun(&story.series));
        (
            Exit::Incomplete,
            format!("{} {}: incomplete: {found} found, missing:", story.series, story.range),
        )
    };
    let mut failure = Failure::new(exit, message);
    for gap in open.iter().take(GAPS_LISTED_MAX) {
        failure = failure.detail(format!("{}: {}", gap.range, gap.reason));
    }
    if open.len() > GAPS_LISTED_MAX {
        failure = failure.detail(format!(
            "… and {} more",
            text::count((open.len() - GAPS_LISTED_MAX) as u64, "gap")
        ));
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_quiet_success() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(failure.is_silent());
        assert_eq!(failure.exit, Exit::Complete);
        assert_eq!(Failure::from(io::Error::other("disk on fire")).exit, Exit::Unexpected);
    }

    #[test]
    fn every_error_has_its_code() {
        for (error, exit) in [
            (Error::BadRequest("x".into()), Exit::BadInput),
            (Error::Config("x".into()), Exit::BadInput),
            (Error::Cache("x".into()), Exit::Cache),
        ] {
            assert_eq!(Failure::from(error).exit, exit);
        }
    }
}
