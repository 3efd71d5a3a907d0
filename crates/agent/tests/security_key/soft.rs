//! A security key in software, at the other end of the wire: packets, channels, keepalives, errors, and CTAP 2 behind
//! them, with a PIN by either protocol. It shares no code with the driver.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aes::Aes256;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use ciborium::Value;
use countersign_agent::security_key::{Plug, Plugs, Report, Wire};
use hmac::{Hmac, Mac as _};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::point::AffineCoordinates as _;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use sha2::{Digest as _, Sha256};

/// What it can do, and how it behaves.
pub struct Kind {
    pub name: &'static str,
    pub pin: Option<&'static str>,
    /// It knows fingers: what comes of each try, right ones after that.
    pub finger: Option<Vec<u8>>,
    pub protocol: u8,
    /// CTAP 2.1; else 2.0.
    pub newer: bool,
    /// Somebody touches it when it asks.
    pub is_touched: bool,
    /// It is taken out before this many reports were sent to it.
    pub leaves_after: usize,
    /// How many commands it refuses because another program has it.
    pub busy: usize,
    /// It speaks U2F only.
    pub is_old: bool,
    /// It says nothing after it was opened.
    pub is_silent: bool,
    /// It sends the second part of long answers twice.
    pub stutters: bool,
    /// It goes on when it is told to stop.
    pub is_deaf: bool,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            name: "Soft key",
            pin: Some("2580"),
            finger: None,
            protocol: 2,
            newer: true,
            is_touched: true,
            leaves_after: usize::MAX,
            busy: 0,
            is_old: false,
            is_silent: false,
            stutters: false,
            is_deaf: false,
        }
    }
}

struct Credential {
    id: Vec<u8>,
    rp_id: String,
    key: SigningKey,
}

/// The inside.
pub struct Inside {
    pub kind: Kind,
    credentials: Vec<Credential>,
    pub counter: u32,
    pub tries_left: u8,
    /// Wrong PINs since it was put in.
    in_a_row: u8,
    agreement: p256::SecretKey,
    token: [u8; 32],
    /// All that was ever sent to it.
    pub heard: Vec<Report>,
    pub cancelled: usize,
    pub made: usize,
}

/// A security key.
#[derive(Clone)]
pub struct Soft(Arc<Mutex<Inside>>);

impl Soft {
    pub fn new(kind: Kind) -> Self {
        Self(Arc::new(Mutex::new(Inside {
            kind,
            credentials: Vec::new(),
            counter: 0,
            tries_left: 8,
            in_a_row: 0,
            agreement: p256::SecretKey::from_slice(&[9; 32]).unwrap(),
            token: [0x5a; 32],
            heard: Vec::new(),
            cancelled: 0,
            made: 0,
        })))
    }

    pub fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }
}

/// Where soft keys are plugged in.
#[derive(Default)]
pub struct Desk {
    pub keys: Mutex<Vec<Soft>>,
    /// Put in after so many looks.
    pub later: Mutex<VecDeque<(usize, Soft)>>,
    pub looks: Mutex<usize>,
}

/// The same, for the driver and for the test.
#[derive(Clone)]
pub struct Place(pub Arc<Desk>);

impl std::ops::Deref for Place {
    type Target = Desk;

    fn deref(&self) -> &Desk {
        &self.0
    }
}

impl Plugs for Place {
    fn list(&self) -> Vec<Plug> {
        let keys = self.keys.lock().unwrap();
        let plug = |(at, key): (usize, &Soft)| Plug {
            place: at.to_string(),
            name: key.inside().kind.name.to_owned(),
        };
        keys.iter().enumerate().map(plug).collect()
    }

    fn open(&self, plug: &Plug) -> io::Result<Box<dyn Wire>> {
        let key = self.keys.lock().unwrap()[plug.place.parse::<usize>().unwrap()].clone();
        Ok(Box::new(Line {
            key,
            said: VecDeque::new(),
            message: None,
            waits: None,
        }))
    }

    fn wait(&self) {
        let mut looks = self.looks.lock().unwrap();
        *looks += 1;
        let mut later = self.later.lock().unwrap();
        if later.front().is_some_and(|(at, _)| at <= &looks) {
            let (_, key) = later.pop_front().unwrap();
            self.keys.lock().unwrap().push(key);
        }
    }
}

/// The wire to one of them, and what it keeps for that channel.
struct Line {
    key: Soft,
    said: VecDeque<Report>,
    message: Option<(u8, usize, Vec<u8>)>,
    /// A command that waits for a touch.
    waits: Option<Vec<u8>>,
}

const CHANNEL: [u8; 4] = [0, 0, 0, 7];

impl Wire for Line {
    fn send(&mut self, report: &Report) -> io::Result<()> {
        let mut inside = self.key.inside();
        inside.heard.push(*report);
        if inside.heard.len() > inside.kind.leaves_after {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        drop(inside);
        let (channel, rest) = report.split_at(4);
        if rest[0] & 0x80 != 0 {
            let length = usize::from(u16::from_be_bytes([rest[1], rest[2]]));
            self.message = Some((rest[0] & 0x7f, length, rest[3..].to_vec()));
        } else if let Some((_, _, part)) = &mut self.message {
            part.extend(&rest[1..]);
        }
        if let Some((command, length, mut message)) = self.message.take() {
            if message.len() < length {
                self.message = Some((command, length, message));
            } else {
                message.truncate(length);
                self.hear(channel, command, message);
            }
        }
        Ok(())
    }

    fn receive(&mut self, _: Duration) -> io::Result<Option<Report>> {
        let mut inside = self.key.inside();
        if inside.heard.len() >= inside.kind.leaves_after {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if let Some(report) = self.said.pop_front() {
            return Ok(Some(report));
        }
        let Some(command) = self.waits.take() else {
            return Ok(None);
        };
        if !inside.kind.is_touched {
            self.waits = Some(command);
            drop(inside);
            // Others have a moment: it blinks, ten times a second.
            std::thread::yield_now();
            self.say(CHANNEL, 0x3b, &[2]);
            return Ok(self.said.pop_front());
        }
        let answer = inside.answer(&command);
        drop(inside);
        self.say(CHANNEL, 0x10, &answer);
        Ok(self.said.pop_front())
    }
}

impl Line {
    fn say(&mut self, channel: [u8; 4], command: u8, message: &[u8]) {
        let mut first = [0; 64];
        first[..4].copy_from_slice(&channel);
        first[4] = command | 0x80;
        first[5..7].copy_from_slice(&u16::try_from(message.len()).unwrap().to_be_bytes());
        let (part, rest) = message.split_at(message.len().min(57));
        first[7..7 + part.len()].copy_from_slice(part);
        self.said.push_back(first);
        let stutters = self.key.inside().kind.stutters;
        for (number, part) in rest.chunks(59).enumerate() {
            let mut next = [0; 64];
            next[..4].copy_from_slice(&channel);
            next[4] = u8::try_from(number).unwrap();
            next[5..5 + part.len()].copy_from_slice(part);
            self.said.push_back(next);
            if stutters {
                self.said.push_back(next);
            }
        }
    }

    fn hear(&mut self, channel: &[u8], command: u8, message: Vec<u8>) {
        match command {
            0x06 => {
                assert_eq!(channel, [0xff; 4]);
                let caps = if self.key.inside().kind.is_old {
                    0
                } else {
                    0x05
                };
                // Somebody else opens a channel at the same moment.
                let theirs = [&[1; 8][..], &[0, 0, 0, 6], &[2, 1, 0, 0, caps]].concat();
                self.say([0xff; 4], 0x06, &theirs);
                let ours = [&message[..8], &CHANNEL, &[2, 1, 0, 0, caps]].concat();
                self.say([0xff; 4], 0x06, &ours);
            }
            0x11 => {
                let mut inside = self.key.inside();
                inside.cancelled += 1;
                if inside.kind.is_deaf {
                    return;
                }
                drop(inside);
                if self.waits.take().is_some() {
                    self.say(CHANNEL, 0x10, &[0x2d]);
                }
            }
            0x10 => {
                assert_eq!(channel, CHANNEL);
                let mut inside = self.key.inside();
                if inside.kind.is_silent {
                    return;
                }
                if inside.kind.busy > 0 {
                    inside.kind.busy -= 1;
                    drop(inside);
                    return self.say(CHANNEL, 0x3f, &[0x06]);
                }
                let answer = if inside.needs_touch(&message) {
                    None
                } else {
                    Some(inside.answer(&message))
                };
                drop(inside);
                // Other programs' answers pass by.
                self.said.push_back([6; 64]);
                self.say(CHANNEL, 0x3b, &[1]);
                match answer {
                    Some(answer) => self.say(CHANNEL, 0x10, &answer),
                    None => {
                        self.say(CHANNEL, 0x3b, &[2]);
                        self.waits = Some(message);
                    }
                }
            }
            other => panic!("command {other:#x}"),
        }
    }
}

type Map = Vec<(Value, Value)>;

fn get(map: &Map, key: i64) -> Option<&Value> {
    map.iter()
        .find(|(name, _)| *name == Value::from(key))
        .map(|(_, value)| value)
}

fn named<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let map = value.as_map()?;
    map.iter()
        .find(|(key, _)| key.as_text() == Some(name))
        .map(|(_, value)| value)
}

fn number(map: &Map, key: i64) -> Option<i128> {
    Some(get(map, key)?.as_integer()?.into())
}

fn read(message: &[u8]) -> Map {
    if message.len() < 2 {
        return Map::new();
    }
    let value: Value = ciborium::from_reader(&message[1..]).unwrap();
    value.into_map().unwrap()
}

fn answer(members: Map) -> Vec<u8> {
    let mut bytes = vec![0];
    ciborium::into_writer(&Value::Map(members), &mut bytes).unwrap();
    bytes
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

impl Inside {
    fn needs_touch(&self, message: &[u8]) -> bool {
        let map = read(message);
        match message[0] {
            0x0b => true,
            // The finger is the touch.
            0x06 => number(&map, 2) == Some(6),
            0x01 => true,
            0x02 => get(&map, 5).and_then(|it| named(it, "up")) != Some(&Value::Bool(false)),
            _ => false,
        }
    }

    fn answer(&mut self, message: &[u8]) -> Vec<u8> {
        let map = read(message);
        let done = match message[0] {
            0x04 => Ok(self.info()),
            0x06 => self.client_pin(&map),
            0x01 => self.make(&map),
            0x02 => self.sign(&map),
            0x0b if self.kind.newer => return vec![0],
            _ => Err(0x01),
        };
        match done {
            Ok(members) => answer(members),
            Err(status) => vec![status],
        }
    }

    fn info(&self) -> Map {
        let text = |text: &str| Value::from(text);
        let mut options = vec![(text("rk"), true.into()), (text("up"), true.into())];
        if self.kind.finger.is_some() {
            options.push((text("uv"), true.into()));
        }
        options.push((text("clientPin"), self.kind.pin.is_some().into()));
        if self.kind.newer {
            options.push((text("pinUvAuthToken"), true.into()));
        }
        let mut versions = vec![text("U2F_V2"), text("FIDO_2_0")];
        if self.kind.newer {
            versions.push(text("FIDO_2_1"));
        }
        vec![
            (1.into(), Value::Array(versions)),
            (3.into(), Value::Bytes(vec![0; 16])),
            (4.into(), Value::Map(options)),
            (5.into(), 1200.into()),
            (6.into(), Value::Array(vec![self.kind.protocol.into()])),
            (7.into(), 2.into()),
        ]
    }

    /// The secret that is shared by this conversation.
    fn shared(&self, theirs: &Value) -> [u8; 32] {
        let cose = theirs.as_map().unwrap();
        let bytes = |key| get(cose, key).unwrap().as_bytes().unwrap().clone();
        let sec1 = [&[4][..], &bytes(-2), &bytes(-3)].concat();
        let theirs = p256::PublicKey::from_sec1_bytes(&sec1).unwrap();
        let point = theirs.to_projective() * *self.agreement.to_nonzero_scalar();
        let z = point.to_affine().x();
        match self.kind.protocol {
            1 => Sha256::digest(z).into(),
            _ => {
                let once = mac(&[0; 32], &z);
                mac(&once, b"CTAP2 AES key\x01").try_into().unwrap()
            }
        }
    }

    fn decrypt(&self, secret: &[u8; 32], hidden: &[u8]) -> Vec<u8> {
        let (iv, hidden) = match self.kind.protocol {
            1 => ([0; 16], hidden),
            _ => (hidden[..16].try_into().unwrap(), &hidden[16..]),
        };
        cbc::Decryptor::<Aes256>::new(secret.into(), (&iv).into())
            .decrypt_padded_vec::<NoPadding>(hidden)
            .unwrap()
    }

    fn encrypt(&self, secret: &[u8; 32], plain: &[u8]) -> Vec<u8> {
        let iv = match self.kind.protocol {
            1 => [0; 16],
            _ => [3; 16],
        };
        let hidden = cbc::Encryptor::<Aes256>::new(secret.into(), (&iv).into())
            .encrypt_padded_vec::<NoPadding>(plain);
        match self.kind.protocol {
            1 => hidden,
            _ => [&iv[..], &hidden].concat(),
        }
    }

    fn client_pin(&mut self, map: &Map) -> Result<Map, u8> {
        assert_eq!(number(map, 1), Some(i128::from(self.kind.protocol)));
        match number(map, 2).unwrap() {
            1 => Ok(vec![(3.into(), self.tries_left.into())]),
            2 => {
                let point = self.agreement.public_key().to_encoded_point(false);
                let (x, y) = point.as_bytes()[1..].split_at(32);
                let cose = vec![
                    (1.into(), 2.into()),
                    (3.into(), (-25).into()),
                    ((-1).into(), 1.into()),
                    ((-2).into(), Value::Bytes(x.to_vec())),
                    ((-3).into(), Value::Bytes(y.to_vec())),
                ];
                Ok(vec![(1.into(), Value::Map(cose))])
            }
            5 if !self.kind.newer => self.by_pin(map),
            9 if self.kind.newer => {
                assert!(matches!(number(map, 9), Some(1 | 2)));
                assert!(get(map, 10).is_some_and(Value::is_text));
                self.by_pin(map)
            }
            6 if self.kind.newer => {
                let tries = self.kind.finger.as_mut().ok_or(0x01_u8)?;
                if !tries.is_empty() {
                    return Err(tries.remove(0));
                }
                let secret = self.shared(get(map, 3).unwrap());
                Ok(vec![(
                    2.into(),
                    Value::Bytes(self.encrypt(&secret, &self.token)),
                )])
            }
            _ => Err(0x3e),
        }
    }

    fn by_pin(&mut self, map: &Map) -> Result<Map, u8> {
        let secret = self.shared(get(map, 3).unwrap());
        let hidden = get(map, 6).unwrap().as_bytes().unwrap();
        let typed = self.decrypt(&secret, hidden);
        if self.tries_left == 0 {
            return Err(0x32);
        }
        if self.in_a_row == 3 {
            return Err(0x34);
        }
        let right = Sha256::digest(self.kind.pin.ok_or(0x35_u8)?);
        if typed != right[..16] {
            self.tries_left -= 1;
            self.in_a_row += 1;
            return Err(match (self.tries_left, self.in_a_row) {
                (0, _) => 0x32,
                (_, 3) => 0x34,
                (_, _) => 0x31,
            });
        }
        (self.tries_left, self.in_a_row) = (8, 0);
        let token = self.encrypt(&secret, &self.token);
        Ok(vec![(2.into(), Value::Bytes(token))])
    }

    /// Whether the holder proved who they are; refuses what is wrong.
    fn verified(&mut self, map: &Map, options: i64, proof: i64) -> Result<bool, u8> {
        if let Some(found) = get(map, proof) {
            let found = found.as_bytes().unwrap();
            if found.is_empty() {
                return Err(if self.kind.pin.is_some() { 0x31 } else { 0x35 });
            }
            let hash = get(map, if proof == 8 { 1 } else { 2 }).unwrap();
            let mut right = mac(&self.token, hash.as_bytes().unwrap());
            if self.kind.protocol == 1 {
                right.truncate(16);
            }
            return if *found == right { Ok(true) } else { Err(0x33) };
        }
        let wants = get(map, options).and_then(|it| named(it, "uv")) == Some(&Value::Bool(true));
        if !wants {
            return Ok(false);
        }
        match self.kind.finger.as_mut() {
            None => Err(0x2c),
            Some(tries) if tries.is_empty() => Ok(true),
            Some(tries) => Err(tries.remove(0)),
        }
    }

    fn data(&mut self, rp_id: &str, flags: u8) -> Vec<u8> {
        self.counter += 1;
        let mut data = Sha256::digest(rp_id).to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    fn make(&mut self, map: &Map) -> Result<Map, u8> {
        let verified = self.verified(map, 7, 8)?;
        let rp = get(map, 2).unwrap();
        let rp_id = named(rp, "id").unwrap().as_text().unwrap().to_owned();
        let user = get(map, 3).unwrap();
        assert!(named(user, "id").is_some() && named(user, "displayName").is_some());
        let excluded = get(map, 5).and_then(Value::as_array);
        for one in excluded.into_iter().flatten() {
            let id = named(one, "id").unwrap().as_bytes().unwrap();
            if self.credentials.iter().any(|it| it.id == *id) {
                return Err(0x19);
            }
        }
        // Long, as those are that a key keeps outside of itself.
        let number = u8::try_from(self.credentials.len()).unwrap();
        let id = [&[0xc1; 200][..], &[number], self.kind.name.as_bytes()].concat();
        let key = SigningKey::from_slice(&[self.kind.name.len() as u8 + 1 + number; 32]).unwrap();
        let point = key.verifying_key().to_encoded_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        let cose = vec![
            (1.into(), 2.into()),
            (3.into(), (-7).into()),
            ((-1).into(), 1.into()),
            ((-2).into(), Value::Bytes(x.to_vec())),
            ((-3).into(), Value::Bytes(y.to_vec())),
        ];
        let mut data = self.data(&rp_id, if verified { 0x45 } else { 0x41 });
        data.extend([0; 16]);
        data.extend(u16::try_from(id.len()).unwrap().to_be_bytes());
        data.extend(&id);
        ciborium::into_writer(&Value::Map(cose), &mut data).unwrap();
        self.credentials.push(Credential { id, rp_id, key });
        self.made += 1;
        Ok(vec![
            (1.into(), "none".into()),
            (2.into(), Value::Bytes(data)),
            (3.into(), Value::Map(Map::new())),
        ])
    }

    fn sign(&mut self, map: &Map) -> Result<Map, u8> {
        let rp_id = get(map, 1).unwrap().as_text().unwrap().to_owned();
        let allowed = get(map, 3).unwrap().as_array().unwrap();
        assert!(allowed.len() <= 2, "no more than it takes");
        let ids: Vec<&Vec<u8>> = allowed
            .iter()
            .map(|one| named(one, "id").unwrap().as_bytes().unwrap())
            .collect();
        let found = self
            .credentials
            .iter()
            .position(|it| it.rp_id == rp_id && ids.contains(&&it.id));
        let present = get(map, 5).and_then(|it| named(it, "up")) != Some(&Value::Bool(false));
        let verified = self.verified(map, 5, 6)?;
        let found = found.ok_or(0x2e_u8)?;
        let flags = u8::from(present) | if verified { 0x04 } else { 0 };
        let data = self.data(&rp_id, flags);
        let hash = get(map, 2).unwrap().as_bytes().unwrap();
        let credential = &self.credentials[found];
        let signature: DerSignature = credential.key.sign(&[data.as_slice(), hash].concat());
        let named = vec![
            (Value::from("id"), Value::Bytes(credential.id.clone())),
            (Value::from("type"), Value::from("public-key")),
        ];
        Ok(vec![
            (1.into(), Value::Map(named)),
            (2.into(), Value::Bytes(data)),
            (3.into(), Value::Bytes(signature.as_bytes().to_vec())),
        ])
    }
}
