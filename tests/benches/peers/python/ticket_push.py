"""POST /wechat/events: a component_verify_ticket, stored unless there is a newer one."""

import logging
import time

import xmltodict
from wechatpy.exceptions import InvalidAppIdException, InvalidSignatureException

from wechat_platform import TABLE, component, dynamodb, open_push

logger = logging.getLogger()
logger.setLevel(logging.INFO)


def handler(event, _context):
    try:
        push = xmltodict.parse(open_push(event))["xml"]
    except (InvalidSignatureException, InvalidAppIdException):
        return {"statusCode": 401}
    if push["InfoType"] != "component_verify_ticket":
        return {"statusCode": 501}
    try:
        dynamodb.update_item(
            TableName=TABLE,
            Key={"pk": {"S": f"{component}#ticket"}, "sk": {"S": "ticket"}},
            UpdateExpression="SET ticket = :ticket, create_time = :created, received_at = :now",
            ConditionExpression="attribute_not_exists(create_time) OR create_time < :created",
            ExpressionAttributeValues={
                ":ticket": {"S": push["ComponentVerifyTicket"]},
                ":created": {"N": push["CreateTime"]},
                ":now": {"N": str(int(time.time()))},
            },
        )
        logger.info("a new ticket is stored")
    except dynamodb.exceptions.ConditionalCheckFailedException:
        logger.info("an equal or newer ticket was there")
    return {"statusCode": 200, "body": "success"}
