//! Certificates, none of which a careful client accepts.
//!
//! One issuer per door signs those that are wrong in one way only, so that a client made to trust the issuer stumbles over
//! exactly that; the self-signed one is right in every other respect.

use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::DoorBehaviour;

/// The names a door goes by.
const OWN_NAMES: [&str; 2] = ["localhost", "127.0.0.1"];
/// A name it does not.
const OTHER_NAMES: [&str; 1] = ["elsewhere.example"];

/// The issuer of a door's certificates.
pub(super) struct Papers {
    issuer: Issuer<'static, KeyPair>,
    issuer_pem: String,
}

impl Papers {
    pub(super) fn new() -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(Vec::<String>::new()).map_err(io::Error::other)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer_pem = params.self_signed(&key).map_err(io::Error::other)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            issuer_pem,
        })
    }

    pub(super) fn issuer_pem(&self) -> String {
        self.issuer_pem.clone()
    }

    /// What shows the papers that go with a behaviour.
    pub(super) fn acceptor(&self, behaviour: DoorBehaviour) -> io::Result<TlsAcceptor> {
        let names: &[&str] = match behaviour {
            DoorBehaviour::TlsWrongHost => &OTHER_NAMES,
            _ => &OWN_NAMES,
        };
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
        if behaviour == DoorBehaviour::TlsExpired {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let certificate = match behaviour {
            DoorBehaviour::TlsSelfSigned => params.self_signed(&key),
            _ => params.signed_by(&key, &self.issuer),
        };
        let chain: Vec<CertificateDer<'static>> = vec![certificate.map_err(io::Error::other)?.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(io::Error::other)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
