# Appended to the configuration of wechatpy in docs/sdks.md: makes a call at each cue, which is a line.
import sys

shop, openid = client_of(os.environ["SHOP"]), os.environ["OPENID"]
if "TOKEN" in os.environ:
    shop.session.set(shop.access_token_key, os.environ["TOKEN"])
for cue in map(str.strip, sys.stdin):
    try:
        if cue.startswith("send"):
            shop.message.send_text(openid, "您的订单已发货")
            outcome = "sent"
        else:
            outcome = f"subscribe: {shop.user.get(openid)['subscribe']}"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    print(f"{cue}: {outcome}.", flush=True)
