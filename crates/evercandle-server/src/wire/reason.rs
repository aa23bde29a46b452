//! Who said what, where upstreams were asked.

use evercandle::ProviderName;
use evercandle_formats::words;
use serde::Serialize;
use utoipa::ToSchema;

/// Reasons told at once.
const LISTED_MAX: usize = 20;

/// What one upstream said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Reason {
    /// Who.
    pub(crate) provider: String,
    /// What.
    pub(crate) what: String,
}

impl Reason {
    /// What each upstream said, each word once, safe to show.
    pub(crate) fn list<'a>(said: impl IntoIterator<Item = &'a (ProviderName, String)>) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = Vec::new();
        for (provider, what) in said {
            let reason = Reason {
                provider: provider.to_string(),
                what: words::foreign(what),
            };
            if reasons.len() < LISTED_MAX && !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        reasons
    }
}
