// POST /wechat/events: a component_verify_ticket, stored unless there is a newer one.

import { ConditionalCheckFailedException, UpdateItemCommand } from "@aws-sdk/client-dynamodb";

import { component, dynamodb, now, openPush, Refused, TableName } from "./platform.mjs";

export async function handler(event) {
  let push;
  try {
    push = openPush(event);
  } catch (error) {
    if (error instanceof Refused) {
      return { statusCode: 401 };
    }
    throw error;
  }
  if (push.InfoType !== "component_verify_ticket") {
    return { statusCode: 501 };
  }
  const put = new UpdateItemCommand({
    TableName,
    Key: { pk: { S: `${component}#ticket` }, sk: { S: "ticket" } },
    UpdateExpression: "SET ticket = :ticket, create_time = :created, received_at = :now",
    ConditionExpression: "attribute_not_exists(create_time) OR create_time < :created",
    ExpressionAttributeValues: {
      ":ticket": { S: push.ComponentVerifyTicket },
      ":created": { N: push.CreateTime },
      ":now": { N: `${now()}` },
    },
  });
  try {
    await dynamodb.send(put);
    console.info("a new ticket is stored");
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) {
      throw error;
    }
    console.info("an equal or newer ticket was there");
  }
  return { statusCode: 200, body: "success" };
}
