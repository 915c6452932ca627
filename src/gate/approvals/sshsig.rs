//! Signatures in the format of `ssh-keygen -Y sign` (OpenSSH's `PROTOCOL.sshsig`), certificates included.
//!
//! The container is taken apart here, because a certificate may stand where `ssh_key` expects a plain key; keys,
//! certificates and signatures themselves are that crate's work.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::certificate::CertType;
use ssh_key::public::KeyData;
use ssh_key::{Certificate, Fingerprint, HashAlg, PublicKey, Signature, SshSig};

/// First line of a signature.
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
/// Last line of a signature.
const END: &str = "-----END SSH SIGNATURE-----";
/// First bytes of the container and of what is signed.
const MAGIC: &[u8] = b"SSHSIG";
/// Characters of a line, as OpenSSH wraps them.
const LINE: usize = 70;
/// Most bytes of a signature's text.
const MAX_BYTES: usize = 64 << 10;
/// Fewest bits of an RSA key.
const RSA_BITS: usize = 2_048;
/// Bytes behind a security key's signature: a byte of flags and the counter.
const SK_TRAILER: usize = 5;

/// Why a signature is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not the text of a signature.
    #[error("this is not a signature as `ssh-keygen -Y sign` makes it: {0}")]
    Format(String),
    /// Made for something else.
    #[error("the signature is for the namespace `{found}`, not for `{wanted}`")]
    Namespace {
        /// What it is for.
        found: String,
        /// What was wanted.
        wanted: String,
    },
    /// It does not fit the text.
    #[error("the signature does not fit what it should have signed")]
    DoesNotFit,
    /// A kind of key or certificate that is not taken.
    #[error("the key is not taken: {0}")]
    Key(String),
}

/// A signature that was taken apart; nothing is verified yet.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The key that signed.
    pub key: PublicKey,
    /// The certificate over it, if one was used.
    pub certificate: Option<Certificate>,
    namespace: String,
    hash: HashAlg,
    signature: Signature,
}

impl Envelope {
    /// Takes the text of a signature apart.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let format = |what: &str| SignatureError::Format(what.to_owned());
        if text.len() > MAX_BYTES {
            return Err(format("it is too long"));
        }
        let body = text.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
        let body: String = body.ok_or_else(|| format("no BEGIN and END lines"))?.split_whitespace().collect();
        let bytes = STANDARD.decode(body).map_err(|_| format("not base64"))?;
        let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(|| format("it does not begin as one"))?;
        let version = rest.split_off(..4).ok_or_else(|| format("it is cut short"))?;
        if version != [0, 0, 0, 1] {
            return Err(format("its version is not known"));
        }
        let mut field = || take(&mut rest).ok_or_else(|| format("it is cut short"));
        let (public, namespace, reserved, hash, signature) = (field()?, field()?, field()?, field()?, field()?);
        if !rest.is_empty() || !reserved.is_empty() {
            return Err(format("there is more in it than there should be"));
        }
        let namespace = std::str::from_utf8(namespace).map_err(|_| format("its namespace is not text"))?.to_owned();
        let hash = match hash {
            b"sha256" => HashAlg::Sha256,
            b"sha512" => HashAlg::Sha512,
            _ => return Err(format("its hash is neither sha256 nor sha512")),
        };
        let signature = Signature::try_from(signature).map_err(|error| SignatureError::Format(error.to_string()))?;
        let (key, certificate) = if let Ok(key) = PublicKey::from_bytes(public) {
            (key, None)
        } else {
            let certificate =
                Certificate::from_bytes(public).map_err(|error| SignatureError::Key(error.to_string()))?;
            (PublicKey::from(certificate.public_key().clone()), Some(certificate))
        };
        Ok(Self { key, certificate, namespace, hash, signature })
    }

    /// Whether the key made this signature over `message` in `namespace`. Says nothing about whose key it is.
    pub fn verify(&self, namespace: &str, message: &[u8]) -> Result<(), SignatureError> {
        if self.namespace != namespace {
            return Err(SignatureError::Namespace { found: self.namespace.clone(), wanted: namespace.to_owned() });
        }
        strong(self.key.key_data())?;
        let hardware = matches!(self.key.key_data(), KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_));
        let bytes = self.signature.as_bytes();
        // Bit 0 of the flags: a person touched the key.
        let touched = bytes.len().checked_sub(SK_TRAILER).is_some_and(|flags| bytes[flags] & 1 == 1);
        if hardware && !touched {
            return Err(SignatureError::Key("nobody touched the security key".to_owned()));
        }
        let plain = SshSig::new(self.key.key_data().clone(), namespace, self.hash, self.signature.clone())
            .map_err(|_| SignatureError::DoesNotFit)?;
        self.key.verify(namespace, message, &plain).map_err(|_| SignatureError::DoesNotFit)
    }

    /// Fingerprint of the key that signed.
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint(HashAlg::Sha256)
    }
}

/// What a key has to sign, so that [`armour`] makes a signature over `message` of it.
pub fn to_be_signed(namespace: &str, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
    SshSig::signed_data(namespace, HashAlg::Sha512, message).map_err(|error| SignatureError::Format(error.to_string()))
}

/// The text of a signature over what [`to_be_signed`] gave. `public` is the key's or the certificate's wire form.
pub fn armour(public: &[u8], namespace: &str, signature: &Signature) -> Result<String, SignatureError> {
    let signature =
        Vec::<u8>::try_from(signature.clone()).map_err(|error| SignatureError::Format(error.to_string()))?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend(1_u32.to_be_bytes());
    for field in [public, namespace.as_bytes(), b"", b"sha512", &signature] {
        let length = u32::try_from(field.len()).map_err(|_| SignatureError::Format("it is too long".to_owned()))?;
        bytes.extend(length.to_be_bytes());
        bytes.extend(field);
    }
    let body = STANDARD.encode(bytes);
    let lines: Vec<&str> =
        body.as_bytes().chunks(LINE).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    Ok(format!("{BEGIN}\n{}\n{END}\n", lines.join("\n")))
}

/// Whether a certificate is a user's, signed by `authority`, for `principal`, valid at all of `times` (seconds since
/// 1970), without conditions that we would have to understand.
pub(super) fn certified(
    certificate: &Certificate,
    authority: &PublicKey,
    principal: &str,
    times: &[u64],
) -> Result<(), String> {
    strong(authority.key_data()).map_err(|error| error.to_string())?;
    if certificate.cert_type() != CertType::User {
        return Err("it is a host's certificate".to_owned());
    }
    if !certificate.critical_options().is_empty() {
        return Err("it is bound to conditions".to_owned());
    }
    if !certificate.valid_principals().iter().any(|name| name == principal) {
        return Err(format!("it does not name `{principal}`"));
    }
    certificate.verify_signature().map_err(|_| "the authority did not sign it".to_owned())?;
    let authority = [authority.fingerprint(HashAlg::Sha256)];
    for &at in times {
        certificate.validate_at(at, &authority).map_err(|_| "it is not valid at this time".to_owned())?;
    }
    Ok(())
}

fn strong(key: &KeyData) -> Result<(), SignatureError> {
    match key {
        KeyData::Rsa(rsa) => {
            let bits = rsa.n.as_positive_bytes().map_or(0, |bytes| bytes.len() * 8);
            if bits < RSA_BITS {
                return Err(SignatureError::Key(format!("RSA with {bits} bits, fewer than {RSA_BITS}")));
            }
            Ok(())
        }
        KeyData::Ed25519(_) | KeyData::Ecdsa(_) | KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => Ok(()),
        other => Err(SignatureError::Key(format!("{} is not supported", other.algorithm()))),
    }
}

/// A field with its length in front.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = rest.split_off(..4)?;
    let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
    rest.split_off(..length)
}
