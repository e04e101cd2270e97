"""The common parts of the three functions: the table, the platform's secret, and the opening of a push."""

import base64
import json
import os

import boto3
from botocore.config import Config
from wechatpy.crypto import WeChatCrypto

TABLE = os.environ["TABLE_NAME"]
config = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard"})
dynamodb = boto3.client("dynamodb", config=config)

# Read while the function starts, when it has the most CPU.
_secrets = boto3.client("secretsmanager", config=config)
secret = json.loads(_secrets.get_secret_value(SecretId=os.environ["SECRET_ID"])["SecretString"])
component = secret["component_appid"]
_crypto = WeChatCrypto(secret["token"], secret["encoding_aes_key"], component)


def open_push(event):
    """Verifies and decrypts the push in an event of the HTTP API; returns its XML."""
    body = event["body"]
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body)
    query = event["queryStringParameters"]
    return _crypto.decrypt_message(body, query["msg_signature"], query["timestamp"], query["nonce"])
