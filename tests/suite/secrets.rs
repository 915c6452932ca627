//! Secrets for tests: what a rotating credential gives, one value after the other.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use stanch::domain::settings::{SecretRef, Secrets};

/// There are none.
pub(crate) struct NoSecrets;

impl Secrets for NoSecrets {
    fn fetch<'a>(&'a self, _: &'a SecretRef) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(async { Err("there are no secrets here".to_owned()) })
    }
}

/// Gives its values in turn; the last one stays.
pub(crate) struct Rotating {
    values: Mutex<Vec<&'static str>>,
    fetched: Mutex<usize>,
}

impl Rotating {
    /// The values, first one first.
    pub(crate) fn new(values: &[&'static str]) -> Arc<Self> {
        Arc::new(Self { values: Mutex::new(values.to_vec()), fetched: Mutex::new(0) })
    }

    /// How often a secret was fetched.
    pub(crate) fn fetched(&self) -> usize {
        *self.fetched.lock().unwrap()
    }
}

impl Secrets for Rotating {
    fn fetch<'a>(&'a self, secret: &'a SecretRef) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>> {
        Box::pin(async move {
            if let SecretRef::Value(value) = secret {
                return Ok(value.clone());
            }
            *self.fetched.lock().unwrap() += 1;
            let mut values = self.values.lock().unwrap();
            match values.as_slice() {
                [] => Err("the command `vault-token` failed: permission denied".to_owned()),
                [last] => Ok((*last).to_owned()),
                _ => Ok(values.remove(0).to_owned()),
            }
        })
    }
}
