// Goes through the merchants' pages as merchants do: on a computer, in WeChat on a phone, and in another browser of a
// phone. Each line that it prints is something that is wrong.
import { check, end, follow, go, look, newPage, open } from "./browser.mjs";

const [pages, business, base, simulator, account, nameless] = process.argv.slice(2);
const WECHAT = "Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/130.0.0.0 Mobile Safari/537.36 MicroMessenger/8.0.50";
const PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1";
const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40">
<rect width="120" height="40" rx="8" fill="#14532d"/><circle cx="22" cy="20" r="9" fill="#86efac"/>
<rect x="42" y="15" width="64" height="10" rx="5" fill="#fff"/></svg>`;

/** Asks the business API. */
const ask = async (method, path, body) => {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${business}${path}`, { method, headers, body: body && JSON.stringify(body) });
  check(answer.ok, `${method} ${path}: status ${answer.status}`);
  return answer.json();
};
/** Lets WeChat fail, or answer again. */
const fault = async (method, body) => {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${simulator}/_simulator/faults`, { method, headers, body: body && JSON.stringify(body) });
  check(answer.ok, `${method} of a fault: status ${answer.status}`);
};
const makeLink = (request) => ask("POST", "/authorization-links", { requester_name: "城南旧书店", ...request });

for (const [width, colorScheme, locale] of [[320, "light", "en"], [390, "dark", "zh-CN"], [1280, "light", "zh-CN"]]) {
  // The policy of the pages would keep axe out as well.
  const context = await open({ viewport: { width, height: 800 }, colorScheme, locale, bypassCSP: true });
  await context.route(/cdn\.example\.com/, (route) => route.fulfill({ contentType: "image/svg+xml", body: LOGO }));
  const page = await newPage(context);
  const where = (name) => `${name} at ${width} px, ${colorScheme}, ${locale}`;
  const seen = (name) => look(page, `merchants-${name}-${width}-${colorScheme}`, where(name));
  /** A page of ours: it is small, and says who runs the platform. */
  const visit = async (name, url, status = 200) => {
    const answer = await go(page, url, status);
    check((await answer.body()).length <= 60_000, `${where(name)}: ${(await answer.body()).length} bytes`);
    check((await page.locator("footer").innerText()).includes("粤ICP备12345678号-1"), `${where(name)}: no filing number`);
    await seen(name);
  };
  const as = (agent) => page.setExtraHTTPHeaders(agent ? { "user-agent": agent } : {});

  const link = await makeLink({ auth_type: 1 });
  check(link.url.startsWith(`${pages}/authorize/`), `a link leads to ${link.url}`);
  await as(PHONE);
  await visit("open", link.url);
  await as(WECHAT);
  await visit("in-wechat", link.url);
  await as();
  await visit("launch", link.url);
  await follow(page, page.locator("main button"));
  const back = new URL(page.url()).searchParams.get("redirect_uri");
  await page.locator(`[name=authorizer_appid][value="${account}"]`).check();
  await follow(page, page.locator("[name=decision][value=confirm]"));
  check((await page.locator("main.success .account").count()) === 1, `${page.url()} is not the page of a success`);
  await seen("authorized");
  await visit("used", link.url);
  await visit("failed", `${back}?auth_code=made-up`);
  await visit("no-code", back, 400);
  await follow(page, page.locator("a.button").first());
  check(page.url() === link.url, `the way on leads to ${page.url()}`);

  // WeChat does not answer for a while.
  const failing = { path: "/cgi-bin/component/api_query_auth", fault: { kind: "errcode", value: { errcode: -1, errmsg: "" } } };
  await fault("POST", { ...failing, times: 1000 });
  await go(page, (await makeLink({})).url);
  await follow(page, page.locator("main button"));
  await page.locator(`[name=authorizer_appid][value="${account}"]`).check();
  await follow(page, page.locator("[name=decision][value=confirm]"));
  check((await page.locator("main.waiting").count()) === 1, `${page.url()} does not ask to wait`);
  await seen("waiting");
  const waiting = page.url();
  await follow(page, page.locator("a.button"));
  check(page.url() === waiting, `the result is looked for at ${page.url()}`);
  await fault("DELETE");

  await visit("one-account", (await makeLink({ biz_appid: account })).url);
  await visit("nameless", (await makeLink({ biz_appid: nameless })).url);
  const pressed = await makeLink({});
  for (let presses = 0; presses < 10; presses += 1) {
    await fetch(pressed.url, { method: "POST", redirect: "manual" });
  }
  await go(page, pressed.url);
  await follow(page, page.locator("main button"));
  check((await page.locator("main.warning a.button").count()) === 1, `${page.url()} does not offer to try again`);
  await seen("too-many");
  const cancelled = await makeLink({});
  await ask("DELETE", `/authorization-links/${cancelled.link_id}`);
  await visit("cancelled", cancelled.url, 410);
  await visit("unknown", `${pages}/authorize/0123456789abcdefABCDE_`, 404);
  await visit("bad-login", `${base}/login/${account}`, 400);
  await context.close();
}

await end();
