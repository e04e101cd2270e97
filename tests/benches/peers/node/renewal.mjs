// Every five minutes: renews the tokens of due accounts, each under a lease.

import { randomUUID } from "node:crypto";

import {
  ConditionalCheckFailedException,
  GetItemCommand,
  paginateQuery,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";

import { component, dynamodb, now, TableName } from "./platform.mjs";

const API = process.env.WECHAT_API_BASE_URL ?? "https://api.weixin.qq.com";
// Longer than a call may take.
const LEASE = 30;
const CALL = 10_000;
// A token is renewed well before its two hours are over.
const EARLY = 20 * 60;
const AT_ONCE = 50;

export async function handler() {
  const token = await componentToken();
  const report = { renewed: 0, failed: 0 };
  const due = {
    TableName,
    IndexName: "due",
    KeyConditionExpression: "due_shard = :shard AND due_at <= :now",
    ExpressionAttributeValues: { ":shard": { S: `${component}#due#0` }, ":now": { N: `${now()}` } },
  };
  for await (const { Items } of paginateQuery({ client: dynamodb, pageSize: AT_ONCE }, due)) {
    const renewals = await Promise.allSettled(Items.map(({ pk, sk }) => renew({ pk, sk }, token)));
    for (const { status, value, reason } of renewals) {
      report.renewed += value === true ? 1 : 0;
      if (status === "rejected") {
        report.failed += 1;
        console.warn("an account was not renewed:", reason.message);
      }
    }
  }
  console.info(report);
  return report;
}

async function componentToken() {
  const Key = { pk: { S: `${component}#component` }, sk: { S: "token" } };
  const { Item } = await dynamodb.send(new GetItemCommand({ TableName, Key, ConsistentRead: true }));
  return Item.access_token.S;
}

/** Whether the account was renewed; false if somebody else is renewing it. */
async function renew(Key, componentToken) {
  const owner = randomUUID();
  const account = await lease(Key, owner);
  if (!account) {
    return false;
  }
  const appid = Key.pk.S.split("#").at(-1);
  const issued = await authorizerToken(componentToken, appid, account.refresh_token.S);
  const expires = now() + issued.expires_in;
  await dynamodb.send(
    new UpdateItemCommand({
      TableName,
      Key,
      UpdateExpression:
        "SET access_token = :access, refresh_token = :refresh, token_expires_at = :expires, due_at = :due " +
        "REMOVE lease_owner, lease_until",
      ConditionExpression: "lease_owner = :owner",
      ExpressionAttributeValues: {
        ":access": { S: issued.authorizer_access_token },
        ":refresh": { S: issued.authorizer_refresh_token },
        ":expires": { N: `${expires}` },
        ":due": { N: `${expires - EARLY}` },
        ":owner": { S: owner },
      },
    }),
  );
  return true;
}

async function lease(Key, owner) {
  const take = new UpdateItemCommand({
    TableName,
    Key,
    UpdateExpression: "SET lease_owner = :owner, lease_until = :until",
    ConditionExpression: "due_at <= :now AND (attribute_not_exists(lease_until) OR lease_until < :now)",
    ExpressionAttributeValues: {
      ":owner": { S: owner },
      ":until": { N: `${now() + LEASE}` },
      ":now": { N: `${now()}` },
    },
    ReturnValues: "ALL_NEW",
  });
  try {
    return (await dynamodb.send(take)).Attributes;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) {
      return undefined;
    }
    throw error;
  }
}

async function authorizerToken(componentToken, appid, refreshToken) {
  const url = `${API}/cgi-bin/component/api_authorizer_token?component_access_token=${componentToken}`;
  const response = await fetch(url, {
    method: "POST",
    body: JSON.stringify({
      component_appid: component,
      authorizer_appid: appid,
      authorizer_refresh_token: refreshToken,
    }),
    signal: AbortSignal.timeout(CALL),
  });
  const issued = await response.json();
  if (!issued.authorizer_access_token) {
    throw new Error(`WeChat refused with ${issued.errcode}`);
  }
  return issued;
}
