//! One upstream's hosts and limits: its own defaults, overridden by configuration, misspellings refused by name.

use crate::config::{ConfigError, ProviderConfig};

/// Settings of one upstream with their defaults; names that are not known are refused.
pub(super) struct Settings<'a> {
    provider: &'static str,
    config: &'a ProviderConfig,
}

impl<'a> Settings<'a> {
    pub(super) fn new(
        provider: &'static str,
        config: &'a ProviderConfig,
        hosts: &[&str],
        limits: &[&str],
    ) -> Result<Settings<'a>, ConfigError> {
        let unknown = |kind: &str, name: &str, known: &[&str]| {
            let known = known.join(", ");
            ConfigError(format!(
                "providers.{provider}.{kind}.{name}: unknown; expected one of {known}"
            ))
        };
        if let Some(name) = config.hosts.keys().find(|k| !hosts.contains(&k.as_str())) {
            return Err(unknown("hosts", name, hosts));
        }
        if let Some(name) = config.limits.keys().find(|k| !limits.contains(&k.as_str())) {
            return Err(unknown("limits", name, limits));
        }
        Ok(Settings { provider, config })
    }

    pub(super) fn hosts(&self, role: &str, default: &[&str]) -> Result<Vec<String>, ConfigError> {
        let Some(hosts) = self.config.hosts.get(role) else {
            return Ok(default.iter().map(|h| (*h).to_owned()).collect());
        };
        let fits = |h: &String| !h.is_empty() && h.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:[]".contains(c));
        match hosts.iter().find(|h| !fits(h)) {
            None if !hosts.is_empty() => Ok(hosts.clone()),
            wrong => Err(ConfigError(format!(
                "providers.{}.hosts.{role} = {wrong:?}: expected at least one host name, without scheme and path",
                self.provider
            ))),
        }
    }

    /// A number between 1 and `max`.
    pub(super) fn limit(&self, name: &str, default: u32, max: u32) -> Result<u32, ConfigError> {
        let value = self.config.limits.get(name).copied().unwrap_or(u64::from(default));
        match u32::try_from(value) {
            Ok(value) if (1..=max).contains(&value) => Ok(value),
            _ => Err(ConfigError(format!(
                "providers.{}.limits.{name} = {value}: expected 1 to {max}",
                self.provider
            ))),
        }
    }
}
