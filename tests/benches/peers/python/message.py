"""POST /wechat/accounts/{appid}/events: a follower's message, published once."""

import json
import logging
import os
import time

import boto3
import xmltodict
from wechatpy.exceptions import InvalidAppIdException, InvalidSignatureException

from wechat_platform import TABLE, component, config, dynamodb, open_push

logger = logging.getLogger()
logger.setLevel(logging.INFO)

# WeChat repeats a message within some seconds; other platforms also remember it for a day.
MEMORY = 25 * 3600

ACCEPTED = {"statusCode": 200, "body": ""}
bus = boto3.client("events", config=config)


def handler(event, _context):
    try:
        message = xmltodict.parse(open_push(event))["xml"]
    except (InvalidSignatureException, InvalidAppIdException):
        return {"statusCode": 401}
    appid = event["pathParameters"]["appid"]
    name = message.get("MsgId") or message.get("Event")
    message_id = f"{appid}#{message['FromUserName']}#{message['CreateTime']}#{name}"
    key = {"pk": {"S": f"{component}#message#{message_id}"}, "sk": {"S": "message"}}
    try:
        dynamodb.put_item(
            TableName=TABLE,
            Item={**key, "expires_at": {"N": str(int(time.time()) + MEMORY)}},
            ConditionExpression="attribute_not_exists(pk)",
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return ACCEPTED
    try:
        publish(appid, message, message_id)
    except Exception:
        # WeChat sends it again.
        dynamodb.delete_item(TableName=TABLE, Key=key)
        raise
    logger.info("a message is published")
    return ACCEPTED


def publish(appid, message, message_id):
    detail = {"id": message_id, "component_appid": component, "authorizer_appid": appid, "fields": message}
    result = bus.put_events(
        Entries=[
            {
                "EventBusName": os.environ["EVENT_BUS_NAME"],
                "Source": "wechat.platform",
                "DetailType": f"message.{message['MsgType']}",
                "Time": int(message["CreateTime"]),
                "Detail": json.dumps(detail, ensure_ascii=False),
            }
        ]
    )
    if result["FailedEntryCount"]:
        raise RuntimeError(f"the bus refused a message: {result['Entries'][0]['ErrorCode']}")
