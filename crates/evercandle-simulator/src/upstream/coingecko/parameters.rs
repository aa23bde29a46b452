//! Query parameters, none of which is ever refused for being unknown.

use super::error::Refusal;
use crate::message::Request;

/// The parameters of one request.
#[derive(Debug)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    pub(super) fn of(request: &Request) -> Self {
        let mut pairs = request.query_pairs();
        // A plus is a blank here, as in forms.
        for (_, value) in &mut pairs {
            *value = value.replace('+', " ");
        }
        Self { pairs }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn require(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or(Refusal::MissingParameter(name))
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// A count, or its default where it makes no sense.
    pub(super) fn count(&self, name: &str, default: usize) -> usize {
        let sent = self.get(name).and_then(|text| text.parse().ok());
        sent.filter(|count| *count > 0).unwrap_or(default)
    }
}
