// Seals the messages of messages.json with @wecom/crypto, for shared/wechat/tests/vectors.rs.
//
// npm install --no-save @wecom/crypto@1.0.1 && node wecom_crypto_vectors.js > ../wecom-crypto.json

const { encrypt, getSignature } = require("@wecom/crypto");
const { messages, ...given } = require("./messages.json");

const vectors = messages.map((message, number) => {
  const timestamp = String(1700000000 + number);
  const nonce = String(42 + number);
  const sealed = encrypt(given.encoding_aes_key, message, given.appid);
  const signature = getSignature(given.token, timestamp, nonce, sealed);
  return { timestamp, nonce, msg_signature: signature, encrypt: sealed, message };
});

console.log(JSON.stringify({ library: "@wecom/crypto 1.0.1 (Node)", ...given, vectors }, null, 1));
