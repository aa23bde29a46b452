//! One HTTP send.

/// The client.
#[derive(Clone)]
pub struct Http;

impl Http {
    /// stub
    pub fn new(
        _config: &crate::config::HttpConfig,
        _internet: Option<url::Url>,
    ) -> Result<Http, crate::config::ConfigError> {
        Ok(Http)
    }
}
