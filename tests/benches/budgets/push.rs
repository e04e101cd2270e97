//! A ticket push from its bytes to the typed event, compared with the bare cryptography of the same bytes.

use std::hint::black_box;
use std::time::Instant;

use aes::Aes256;
use aes::cipher::{Array, BlockModeDecrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use wechat::crypto::Signed;
use wechat::push::AuthorizationEvent;
use wechat::push::envelope::Envelope;

use crate::platform::{KEY, NONCE, TOKEN, TicketPush, keyring, ticket_push};
use crate::report::{Report, median};

/// Rounds of each, alternately.
const ROUNDS: usize = 201;

/// Pushes in a round: some milliseconds, so that reading the clock does not matter.
const PUSHES: u32 = 500;

pub(crate) fn measure(report: &mut Report) {
    let push = ticket_push();
    let keyring = keyring();
    let open = || {
        let envelope = Envelope::parse(black_box(push.body.as_bytes())).expect("an envelope");
        let opened = keyring.open(&Signed {
            timestamp: &push.timestamp,
            nonce: NONCE,
            msg_signature: &push.msg_signature,
            encrypt: &envelope.encrypt,
        });
        let message = String::from_utf8(opened.expect("it is authentic").message).expect("text");
        black_box(AuthorizationEvent::parse(message.into()));
    };
    let key = key();
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(microseconds(open));
        bare.push(microseconds(|| bare_cryptography(&push, &key)));
    }
    let (ours, bare) = (median(ours), median(bare));
    let note = format!("{ours:.2} us to {bare:.2} us of bare SHA-1, AES and Base64");
    report.at_most("open, verify, decrypt, parse of a ticket push", 4.0, ours / bare, "x", &note);
}

/// The time of one push, on average over a round.
fn microseconds(mut work: impl FnMut()) -> f64 {
    let begun = Instant::now();
    for _ in 0..PUSHES {
        work();
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(PUSHES)
}

fn bare_cryptography(push: &TicketPush, key: &[u8; 32]) {
    let mut hash = Sha1::new();
    let mut parts = [TOKEN, &push.timestamp, NONCE, black_box(&push.encrypt)];
    parts.sort_unstable();
    for part in parts {
        hash.update(part);
    }
    black_box(hash.finalize());
    let mut bytes = STANDARD.decode(&push.encrypt).expect("Base64");
    let iv: &[u8; 16] = key.first_chunk().expect("a key is longer");
    let (blocks, _) = Array::slice_as_chunks_mut(&mut bytes);
    cbc::Decryptor::<Aes256>::new(key.into(), iv.into()).decrypt_blocks(blocks);
    black_box(bytes);
}

fn key() -> [u8; 32] {
    // The last character of a key carries two bits too many; without them it is strict Base64.
    let strict = format!("{}E=", KEY.strip_suffix('G').expect("the key ends so"));
    STANDARD.decode(strict).expect("Base64").try_into().expect("32 bytes")
}
