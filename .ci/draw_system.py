#!/usr/bin/env python3
"""Draws the system, docs/pictures/system.svg and its Chinese version, for light and dark pages.

With `--check` nothing is written: it fails if the files are not what it would write.
"""

import sys
from html import escape
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs/pictures"

WIDTH, HEIGHT = 800, 828

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --stack: #f6f8fa; --edge: #d0d7de; --text: #1f2328; --soft: #4d555e;
  --function: #fff1e3; --function-edge: #c46a12; --table: #e6efff; --table-edge: #2f5fc4; --bus: #f2e8ff;
  --bus-edge: #7a45d0; --wechat: #e2f6ea; --wechat-edge: #078c47; --actor: #fff; --actor-edge: #6e7781; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0d1117; --stack: #161b22; --edge: #3d444d; --text: #e9eef3; --soft: #b3bcc6;
    --function: #33210d; --function-edge: #e09a50; --table: #10264a; --table-edge: #7aa7f7; --bus: #2a1c44;
    --bus-edge: #b995f5; --wechat: #0d3320; --wechat-edge: #3fd07f; --actor: #0d1117; --actor-edge: #9aa4ae; } }
text { fill: var(--soft); text-anchor: middle;
  font: 18px system-ui, "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
.name { font-size: 20px; font-weight: 600; fill: var(--text); }
.left { text-anchor: start; }
.right { text-anchor: end; }
rect { stroke-width: 2; }
.ground { fill: var(--ground); stroke: none; }
.stack { fill: var(--stack); stroke: var(--edge); stroke-dasharray: 7 5; }
.function { fill: var(--function); stroke: var(--function-edge); }
.table { fill: var(--table); stroke: var(--table-edge); }
.bus { fill: var(--bus); stroke: var(--bus-edge); }
.wechat { fill: var(--wechat); stroke: var(--wechat-edge); }
.actor { fill: var(--actor); stroke: var(--actor-edge); }
path { fill: none; stroke: var(--soft); stroke-width: 2.5; }
.gap { stroke: var(--stack); stroke-width: 9; }
marker path { fill: var(--soft); stroke: none; }
"""

# The columns of the functions that people and services call, and of those who call them.
DOORS = [(36, 224), (238, 362), (376, 500), (546, 752)]

ENGLISH = {
    "alt": "The system: WeChat pushes tickets, grants and messages to two functions; a third renews tokens; others "
    "serve merchants, visitors, operators and your services. All share one table, and an event bus leads to your "
    "services.",
    "wechat": "WeChat",
    "stack": "Your AWS account",
    "tickets": "tickets, grants",
    "messages": "messages",
    "renewals": "renewals",
    "calls": "API calls",
    "ticket-push": ["stores them"],
    "token-refresher": ["renews tokens,", "every 5 minutes"],
    "account-push": ["deduplicates"],
    "write": "one write",
    "stream": "stream",
    "changes": "changes",
    "table": ["DynamoDB table", "tokens, accounts, links"],
    "bus": ["event bus", "EventBridge"],
    "doors": ["authorization", "logins", "pages", "business API"],
    "actors": ["merchants", "visitors", "operators", "your services"],
}

CHINESE = {
    "alt": "系统架构：微信把验证票据、授权变更和消息推送给两个函数；另一个函数为令牌续期；其余函数供商家、访客、运营人员和"
    "您的服务使用。各函数共用一张表，事件总线通向您的服务。",
    "wechat": "微信",
    "stack": "您的 AWS 账户",
    "tickets": "票据、授权变更",
    "messages": "消息与事件",
    "renewals": "续期",
    "calls": "调用接口",
    "ticket-push": ["收到即保存"],
    "token-refresher": ["令牌续期", "每 5 分钟一次"],
    "account-push": ["验签、去重"],
    "write": "一次写入",
    "stream": "数据流",
    "changes": "账号变化",
    "table": ["DynamoDB 表", "令牌、账号、授权链接"],
    "bus": ["事件总线", "EventBridge"],
    "doors": ["授权页面", "网页登录", "运营控制台", "业务接口"],
    "actors": ["商家", "访客", "运营人员", "您的服务"],
}


def text(x, y, words, kind=""):
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}"{named}>{escape(words)}</text>'


def box(kind, left, top, right, bottom, names, lines=()):
    """A box with names, and smaller lines below them."""
    yield f'<rect class="{kind}" x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" rx="9"/>'
    middle = (left + right) // 2
    y = (top + bottom) // 2 + 8 - (26 * (len(names) - 1) + 24 * len(lines)) // 2
    for name in names:
        yield text(middle, y, name, "name")
        y += 26
    for line in lines:
        yield text(middle, y - 2, line)
        y += 24


def arrow(path, both=False):
    start = ' marker-start="url(#tip)"' if both else ""
    return f'<path d="{path}" marker-end="url(#tip)"{start}/>'


def drawn(of):
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    yield f"<title>{escape(of['alt'])}</title><style>{STYLE}</style>"
    yield (
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="10" markerHeight="10" '
        'markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path d="M0 0 10 5 0 10z"/></marker></defs>'
    )
    yield f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="12"/>'
    yield f'<rect class="stack" x="16" y="128" width="{WIDTH - 32}" height="572" rx="12"/>'
    yield text(536, 688, of["stack"])
    yield from box("wechat", 16, 16, WIDTH - 16, 72, [of["wechat"]])

    # WeChat's pushes, and what is done every few minutes.
    yield arrow("M130 72V176") + text(140, 112, of["tickets"], "left")
    yield arrow("M358 160V76") + text(368, 112, of["renewals"], "left")
    yield arrow("M664 72V176") + text(674, 112, of["messages"], "left")
    yield from box("function", 36, 180, 224, 270, ["ticket-push"], of["ticket-push"])
    yield from box("function", 254, 160, 462, 270, ["token-refresher"], of["token-refresher"])
    yield from box("function", 576, 180, 752, 270, ["account-push"], of["account-push"])

    # What they store and publish.
    yield arrow("M130 270V352") + text(140, 318, of["write"], "left")
    yield arrow("M358 352V274", both=True) + text(348, 318, of["stream"], "right")
    yield arrow("M664 270V352")
    yield arrow("M462 215H474Q488 215 488 229V366Q488 380 502 380H572") + text(480, 318, of["changes"], "right")
    yield from box("table", 36, 356, 462, 444, of["table"][:1], of["table"][1:])
    yield from box("bus", 576, 356, 752, 444, of["bus"][:1], of["bus"][1:])

    # Pages, console and API, and who uses them.
    api = ["account-api", "token-api", "wechat-calls"]
    doors = [["preauth-link", "oauth-callback"], ["web-login"], ["console"], api]
    for (left, right), names, line, actor in zip(DOORS, doors, of["doors"], of["actors"]):
        middle = (left + right) // 2
        yield from box("function", left, 528, right, 652, names, [line])
        yield from box("actor", left, 756, right, 812, [actor])
        yield arrow(f"M{middle} 756V656")
        if right < 462:
            yield arrow(f"M{middle} 528V448")
    yield arrow("M396 528V448")
    yield arrow("M546 560H520Q506 560 506 546V434Q506 420 492 420H466")
    # The line from the refresher to the bus passes below this one.
    yield '<path class="gap" d="M560 400V360"/>' + arrow("M560 528V76") + text(550, 112, of["calls"], "right")
    yield arrow("M752 400H760Q774 400 774 414V770Q774 784 760 784H756")
    yield "</svg>"


def main():
    versions = {"system.svg": ENGLISH, "system.zh-CN.svg": CHINESE}
    for name, words in versions.items():
        picture = "\n".join(line for line in drawn(words) if line) + "\n"
        if "--check" not in sys.argv:
            (FOLDER / name).write_text(picture, encoding="utf-8")
        elif (FOLDER / name).read_text(encoding="utf-8") != picture:
            sys.exit(f"docs/pictures/{name} is not what {Path(__file__).name} draws: run it")


if __name__ == "__main__":
    main()
