"""Every five minutes: renews the tokens of due accounts, each under a lease."""

import logging
import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from wechatpy import WeChatComponent
from wechatpy.session import SessionStorage

from wechat_platform import TABLE, component, dynamodb, secret

logger = logging.getLogger()
logger.setLevel(logging.INFO)

# Longer than a call may take.
LEASE = 30
# A token is renewed well before its two hours are over.
EARLY = 20 * 60
# The number of connections that the SDK and requests keep.
AT_ONCE = 10

WeChatComponent.API_BASE_URL = os.environ.get("WECHAT_API_BASE_URL", "https://api.weixin.qq.com") + "/cgi-bin"


class ComponentToken(SessionStorage):
    """The storage in which wechatpy finds the component token, which is renewed elsewhere."""

    def __init__(self):
        self.token = None

    def read(self):
        key = {"pk": {"S": f"{component}#component"}, "sk": {"S": "token"}}
        item = dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True)["Item"]
        self.token = item["access_token"]["S"]

    def get(self, key, default=None):
        return self.token if key == "component_access_token" else default


session = ComponentToken()
wechat = WeChatComponent(
    component,
    secret["component_appsecret"],
    secret["token"],
    secret["encoding_aes_key"],
    session=session,
    auto_retry=False,
)
threads = ThreadPoolExecutor(AT_ONCE)


def handler(_event, _context):
    session.read()
    pages = dynamodb.get_paginator("query").paginate(
        TableName=TABLE,
        IndexName="due",
        KeyConditionExpression="due_shard = :shard AND due_at <= :now",
        ExpressionAttributeValues={":shard": {"S": f"{component}#due#0"}, ":now": number(time.time())},
    )
    due = [{"pk": item["pk"], "sk": item["sk"]} for page in pages for item in page["Items"]]
    results = list(threads.map(renew_or_log, due))
    report = {"renewed": results.count("renewed"), "failed": results.count("failed")}
    logger.info(report)
    return report


def renew_or_log(key):
    try:
        return renew(key)
    except Exception as error:
        logger.warning("an account was not renewed: %s", type(error).__name__)
        return "failed"


def renew(key):
    owner = str(uuid.uuid4())
    try:
        account = lease(key, owner)
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return "somebody else's"
    appid = key["pk"]["S"].rsplit("#", 1)[1]
    issued = wechat.refresh_authorizer_token(appid, account["refresh_token"]["S"])
    expires = time.time() + issued["expires_in"]
    dynamodb.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="SET access_token = :access, refresh_token = :refresh, token_expires_at = :expires,"
        " due_at = :due REMOVE lease_owner, lease_until",
        ConditionExpression="lease_owner = :owner",
        ExpressionAttributeValues={
            ":access": {"S": issued["authorizer_access_token"]},
            ":refresh": {"S": issued["authorizer_refresh_token"]},
            ":expires": number(expires),
            ":due": number(expires - EARLY),
            ":owner": {"S": owner},
        },
    )
    return "renewed"


def lease(key, owner):
    return dynamodb.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="SET lease_owner = :owner, lease_until = :until",
        ConditionExpression="due_at <= :now AND (attribute_not_exists(lease_until) OR lease_until < :now)",
        ExpressionAttributeValues={
            ":owner": {"S": owner},
            ":until": number(time.time() + LEASE),
            ":now": number(time.time()),
        },
        ReturnValues="ALL_NEW",
    )["Attributes"]


def number(value):
    return {"N": str(int(value))}
