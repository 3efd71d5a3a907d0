//! Proving to a key that its holder is there: the PIN, or a finger (CTAP 2.1, section 6.5). Both protocols.
//!
//! The PIN leaves this program only encrypted to the key, as half of its digest, and is wiped.

use aes::Aes256;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use ciborium::Value;
use hmac::{Hmac, Mac as _};
use p256::elliptic_curve::point::AffineCoordinates as _;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::{EncodedPoint, PublicKey, SecretKey};
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::ctap::{CLIENT_PIN, Info, KeyError, command, member};
use super::hid::{Busy, Channel, Wait};

const GET_RETRIES: u8 = 1;
const GET_KEY_AGREEMENT: u8 = 2;
const GET_TOKEN: u8 = 5;
const GET_TOKEN_BY_UV: u8 = 6;
const GET_TOKEN_WITH_PERMISSIONS: u8 = 9;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// Making a credential.
    Make = 1,
    /// Signing.
    Sign = 2,
}

/// A token of the key's: whoever holds it has proven to be its holder, for one purpose.
pub(super) struct Token {
    protocol: u8,
    secret: Zeroizing<Vec<u8>>,
}

impl Token {
    /// The proof for one command, and the protocol's number, as they stand in its parameters.
    pub(super) fn proof(&self, client_data_hash: &[u8; 32]) -> (Value, Value) {
        let mac = authenticate(self.protocol, &self.secret, client_data_hash);
        (Value::Bytes(mac), Value::from(self.protocol))
    }
}

/// How often the PIN may still be wrong.
///
/// # Errors
/// As the key has it.
pub(super) fn tries_left(channel: &mut Channel, info: &Info) -> Result<u8, KeyError> {
    let parameters = vec![
        (1, Value::from(info.pin_protocol)),
        (2, Value::from(GET_RETRIES)),
    ];
    let answer = command(channel, CLIENT_PIN, parameters, &mut |_| Wait::On)?;
    let left = answer.number(3).and_then(|left| u8::try_from(left).ok());
    left.ok_or(KeyError::Answer("how many tries are left is missing"))
}

/// A token by the PIN.
///
/// # Errors
/// As the key has it.
pub(super) fn token_by_pin(
    channel: &mut Channel,
    info: &Info,
    pin: &str,
    (permission, rp_id): (Permission, &str),
) -> Result<Token, KeyError> {
    let shared = Shared::with(channel, info)?;
    // PINs are compared in this form (CTAP 2.1, section 6.5.1).
    let mut typed = Zeroizing::new(String::with_capacity(256));
    typed.extend(pin.nfc());
    let digest = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(typed.as_bytes())));
    let hidden = shared.encrypt(&digest[..16]);
    let command_of = if info.gives_permissions {
        GET_TOKEN_WITH_PERMISSIONS
    } else {
        GET_TOKEN
    };
    let mut parameters = vec![
        (1, Value::from(shared.protocol)),
        (2, Value::from(command_of)),
        (3, shared.public.clone()),
        (6, Value::Bytes(hidden)),
    ];
    if info.gives_permissions {
        parameters.push((9, Value::from(permission as u8)));
        parameters.push((10, Value::from(rp_id)));
    }
    let answer = command(channel, CLIENT_PIN, parameters, &mut |_| Wait::On)?;
    shared.token(answer.bytes(2)?)
}

/// A token by a finger on the key.
///
/// # Errors
/// As the key has it.
pub(super) fn token_by_finger(
    channel: &mut Channel,
    info: &Info,
    (permission, rp_id): (Permission, &str),
    watch: &mut dyn FnMut(Busy) -> Wait,
) -> Result<Token, KeyError> {
    let shared = Shared::with(channel, info)?;
    let parameters = vec![
        (1, Value::from(shared.protocol)),
        (2, Value::from(GET_TOKEN_BY_UV)),
        (3, shared.public.clone()),
        (9, Value::from(permission as u8)),
        (10, Value::from(rp_id)),
    ];
    let answer = command(channel, CLIENT_PIN, parameters, watch)?;
    shared.token(answer.bytes(2)?)
}

/// A secret that is shared with the key, for one conversation.
struct Shared {
    protocol: u8,
    /// For the HMAC and for AES; the same twice in protocol 1.
    for_aes: Zeroizing<[u8; 32]>,
    /// Ours, as a COSE key.
    public: Value,
}

impl Shared {
    fn with(channel: &mut Channel, info: &Info) -> Result<Self, KeyError> {
        let protocol = info.pin_protocol;
        let parameters = vec![
            (1, Value::from(protocol)),
            (2, Value::from(GET_KEY_AGREEMENT)),
        ];
        let answer = command(channel, CLIENT_PIN, parameters, &mut |_| Wait::On)?;
        let theirs = answer.get(1).and_then(Value::as_map);
        let theirs = theirs.and_then(|cose| point(cose));
        let theirs = theirs.ok_or(KeyError::Answer("its key for the PIN is none"))?;
        let ours = fresh();
        // Both are on the curve and not its zero, and its order is prime: so is the product.
        let point = theirs.to_projective() * *ours.to_nonzero_scalar();
        let z = Zeroizing::new(<[u8; 32]>::from(point.to_affine().x()));
        let for_aes = match protocol {
            1 => Sha256::digest(z.as_slice()).into(),
            // HKDF-SHA-256 with a salt of zeros (RFC 5869): one block of output.
            _ => mac(&mac(&[0; 32], &[z.as_slice()]), &[b"CTAP2 AES key", &[1]]),
        };
        Ok(Self {
            protocol,
            for_aes: Zeroizing::new(for_aes),
            public: cose(&ours.public_key()),
        })
    }

    /// The length is a multiple of 16.
    fn encrypt(&self, plain: &[u8]) -> Vec<u8> {
        let mut iv = [0; 16];
        if self.protocol != 1 {
            rand::rng().fill_bytes(&mut iv);
        }
        let cipher = cbc::Encryptor::<Aes256>::new((&*self.for_aes).into(), (&iv).into());
        let hidden = cipher.encrypt_padded_vec::<NoPadding>(plain);
        match self.protocol {
            1 => hidden,
            _ => [&iv[..], &hidden].concat(),
        }
    }

    fn token(&self, hidden: &[u8]) -> Result<Token, KeyError> {
        let wrong = KeyError::Answer("its token is none");
        let (iv, hidden) = match self.protocol {
            1 => ([0; 16], hidden),
            _ => match hidden.split_first_chunk::<16>() {
                Some((iv, hidden)) => (*iv, hidden),
                None => return Err(wrong),
            },
        };
        // 32 bytes by protocol 2; 16 or 32 by the first.
        if !matches!((self.protocol, hidden.len()), (_, 32) | (1, 16)) {
            return Err(wrong);
        }
        let cipher = cbc::Decryptor::<Aes256>::new((&*self.for_aes).into(), (&iv).into());
        let secret = cipher.decrypt_padded_vec::<NoPadding>(hidden);
        Ok(Token {
            protocol: self.protocol,
            secret: Zeroizing::new(secret.map_err(|_| wrong)?),
        })
    }
}

/// HMAC-SHA-256 over a message: half of it by protocol 1.
fn authenticate(protocol: u8, key: &[u8], message: &[u8]) -> Vec<u8> {
    let mac = mac(key, &[message]);
    match protocol {
        1 => mac[..16].to_vec(),
        _ => mac.to_vec(),
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // Keys of any length are taken (RFC 2104).
    #[allow(clippy::expect_used)]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// A key for one conversation.
fn fresh() -> SecretKey {
    loop {
        let seed = Zeroizing::new(rand::random::<[u8; 32]>());
        // One in 2^32 is no scalar below the order.
        if let Ok(key) = SecretKey::from_slice(seed.as_slice()) {
            return key;
        }
    }
}

/// A point of P-256 from a COSE key (RFC 9053, section 7.1.1).
fn point(cose: &[(Value, Value)]) -> Option<PublicKey> {
    let bytes = |label: i64| member(cose, &Value::from(label))?.as_bytes();
    let x: [u8; 32] = bytes(-2)?.as_slice().try_into().ok()?;
    let y: [u8; 32] = bytes(-3)?.as_slice().try_into().ok()?;
    let point = EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
    PublicKey::from_sec1_bytes(point.as_bytes()).ok()
}

fn cose(key: &PublicKey) -> Value {
    let point = key.to_encoded_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    let member = |label: i64, value| (Value::from(label), value);
    Value::Map(vec![
        member(1, Value::from(2)),
        // ECDH-ES + HKDF-256, as CTAP has it, whatever is done with it.
        member(3, Value::from(-25)),
        member(-1, Value::from(1)),
        member(-2, Value::Bytes(x.to_vec())),
        member(-3, Value::Bytes(y.to_vec())),
    ])
}
