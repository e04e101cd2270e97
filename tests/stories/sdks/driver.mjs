// Appended to the configuration of a library for Node.js in docs/sdks.md: makes a call at each cue, which is a line.
import { createInterface } from "node:readline";

const { SHOP, OPENID, TOKEN } = process.env;

const coWechatApi = () => {
  const shop = clientOf(SHOP);
  if (TOKEN) shop.getToken = async () => ({ accessToken: TOKEN, expireTime: Infinity });
  return {
    send: () => shop.sendText(OPENID, "您的订单已发货"),
    subscribe: async () => (await shop.getUser(OPENID)).subscribe,
  };
};

const nodeEasywechat = async () => {
  const shop = appOf(OfficialAccount, SHOP);
  if (TOKEN) await shop.getCache().set(shop.getAccessToken().getKey(), TOKEN);
  const message = { touser: OPENID, msgtype: "text", text: { content: "您的订单已发货" } };
  const user = { params: { openid: OPENID } };
  return {
    send: () => call(shop, (client) => client.postJson("/cgi-bin/message/custom/send", message)),
    subscribe: async () => (await call(shop, (client) => client.get("/cgi-bin/user/info", user))).toObject().subscribe,
  };
};

const library = await (typeof appOf === "undefined" ? coWechatApi() : nodeEasywechat());
for await (const cue of createInterface({ input: process.stdin })) {
  let outcome;
  try {
    outcome = cue.startsWith("send") ? (await library.send(), "sent") : `subscribe: ${await library.subscribe()}`;
  } catch (error) {
    outcome = `${error.name} ${error.code ?? ""}: ${error.message}`;
  }
  console.log(`${cue}: ${outcome}.`);
}
