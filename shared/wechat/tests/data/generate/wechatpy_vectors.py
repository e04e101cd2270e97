"""Seals the messages of messages.json with wechatpy, for shared/wechat/tests/vectors.rs.

python3 -m venv .venv && .venv/bin/pip install wechatpy==1.8.18 cryptography==50.0.2
.venv/bin/python wechatpy_vectors.py > ../wechatpy.json
"""

import json
import pathlib
import xml.etree.ElementTree as ET

from wechatpy.crypto import WeChatCrypto

given = json.loads((pathlib.Path(__file__).parent / "messages.json").read_text(encoding="utf-8"))
crypto = WeChatCrypto(given["token"], given["encoding_aes_key"], given["appid"])

vectors = []
for number, message in enumerate(given["messages"]):
    timestamp, nonce = str(1700000000 + number), str(42 + number)
    reply = ET.fromstring(crypto.encrypt_message(message, nonce, timestamp))
    vectors.append(
        {
            "timestamp": timestamp,
            "nonce": nonce,
            "msg_signature": reply.findtext("MsgSignature"),
            "encrypt": reply.findtext("Encrypt"),
            "message": message,
        }
    )

head = {"library": "wechatpy 1.8.18 (Python)", **{key: given[key] for key in ("token", "encoding_aes_key", "appid")}}
print(json.dumps({**head, "vectors": vectors}, ensure_ascii=False, indent=1))
