// The common parts of the three functions: the table, the platform's secret, and the opening of a push.

import { timingSafeEqual } from "node:crypto";

import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { decrypt, getSignature } from "@wecom/crypto";
import { XMLParser } from "fast-xml-parser";

export const TableName = process.env.TABLE_NAME;
export const dynamodb = new DynamoDBClient();

// Read while the function starts, when it has the most CPU.
const secretsManager = new SecretsManagerClient();
const { SecretString } = await secretsManager.send(new GetSecretValueCommand({ SecretId: process.env.SECRET_ID }));
export const secret = JSON.parse(SecretString);
export const component = secret.component_appid;

// Ids have more digits than a number can hold.
const parser = new XMLParser({ parseTagValue: false });

/** A push that WeChat has not signed, or not for this platform. */
export class Refused extends Error {}

/** Verifies and decrypts the push in an event of the HTTP API; returns its elements. */
export function openPush(event) {
  const body = event.isBase64Encoded ? Buffer.from(event.body, "base64").toString() : event.body;
  const encrypt = parser.parse(body).xml?.Encrypt ?? "";
  const { timestamp, nonce, msg_signature: given = "" } = event.queryStringParameters ?? {};
  const expected = Buffer.from(getSignature(secret.token, timestamp, nonce, encrypt));
  const signature = Buffer.from(given);
  if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
    throw new Refused("signature");
  }
  const { message, id } = decrypt(secret.encoding_aes_key, encrypt);
  if (id !== component) {
    throw new Refused("appid");
  }
  return parser.parse(message).xml;
}

export const now = () => Math.floor(Date.now() / 1000);
