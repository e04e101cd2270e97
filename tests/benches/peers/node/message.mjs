// POST /wechat/accounts/{appid}/events: a follower's message, published once.

import { ConditionalCheckFailedException, DeleteItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";

import { component, dynamodb, now, openPush, Refused, TableName } from "./platform.mjs";

// WeChat repeats a message within some seconds; other platforms also remember it for a day.
const MEMORY = 25 * 3600;

const ACCEPTED = { statusCode: 200, body: "" };
const bus = new EventBridgeClient();

export async function handler(event) {
  let message;
  try {
    message = openPush(event);
  } catch (error) {
    if (error instanceof Refused) {
      return { statusCode: 401 };
    }
    throw error;
  }
  const { appid } = event.pathParameters;
  const id = [appid, message.FromUserName, message.CreateTime, message.MsgId ?? message.Event].join("#");
  const key = { pk: { S: `${component}#message#${id}` }, sk: { S: "message" } };
  const claim = new PutItemCommand({
    TableName,
    Item: { ...key, expires_at: { N: `${now() + MEMORY}` } },
    ConditionExpression: "attribute_not_exists(pk)",
  });
  try {
    await dynamodb.send(claim);
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) {
      return ACCEPTED;
    }
    throw error;
  }
  try {
    await publish(appid, message, id);
  } catch (error) {
    // WeChat sends it again.
    await dynamodb.send(new DeleteItemCommand({ TableName, Key: key }));
    throw error;
  }
  console.info("a message is published");
  return ACCEPTED;
}

async function publish(appid, message, id) {
  const event = {
    EventBusName: process.env.EVENT_BUS_NAME,
    Source: "wechat.platform",
    DetailType: `message.${message.MsgType}`,
    Time: new Date(message.CreateTime * 1000),
    Detail: JSON.stringify({ id, component_appid: component, authorizer_appid: appid, fields: message }),
  };
  const { FailedEntryCount, Entries } = await bus.send(new PutEventsCommand({ Entries: [event] }));
  if (FailedEntryCount > 0) {
    throw new Error(`the bus refused a message: ${Entries[0].ErrorCode}`);
  }
}
