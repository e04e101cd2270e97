// Uses the pages of `cargo run` next to the console, like a developer who tries the platform.
import { check, end, follow, go, look, newPage, open } from "./browser.mjs";

const [base, business, events, simulator, shop, account] = process.argv.slice(2);
const chat = `${simulator}/chat/${account}`;

const context = await open({ locale: "en" });
const page = await newPage(context);
const press = (name) => follow(page, page.getByRole("button", { name }));

// From page to page.
const at = (url) => check(page.url().startsWith(url), `it leads to ${page.url()} instead of ${url}`);
await page.goto(`${base}/`);
at(`${base}/console`);
for (const [name, url] of [
  ["Events", `${events}/`], ["Chat", `${simulator}/chat`], ["Merchants", `${simulator}/console`], ["Shop", `${shop}/`],
  ["Console", `${base}/console`], ["Shop", `${shop}/`],
]) {
  await follow(page, page.getByRole("navigation").getByRole("link", { name }));
  at(url);
}

// With the keyboard: the first stop skips the navigation.
await page.keyboard.press("Tab");
check(await page.locator(".skip").isVisible(), "the first stop of the keyboard is no way to the content");
await page.keyboard.press("Enter");
check(page.url().endsWith("#main"), `it leads to ${page.url()}`);
await page.keyboard.press("Tab");
check(await page.evaluate(() => document.querySelector("main").contains(document.activeElement)), "it leads nowhere");

// A follower writes, and the event arrives on the page that is open.
const watching = await newPage(context);
await go(watching, `${events}/`);
await watching.locator("#live").waitFor();
await go(page, chat);
await page.fill("[name=text]", "几点关门？");
await page.keyboard.press("Enter");
await page.locator(".bubble", { hasText: "几点关门？" }).waitFor();
await watching.locator(".message", { hasText: "几点关门？" }).first().waitFor();
await page.getByText("image and events").click();
await page.getByRole("button", { name: "发图片" }).click();
await page.locator(".bubble", { hasText: "图片" }).waitFor();

// A visitor logs in.
await go(page, `${shop}/`);
await press("Act as WeChat's browser");
await press("Log in with name and picture");
await follow(page, page.locator("a.button"));
at(`${simulator}/connect/oauth2/authorize`);
await press("同意");
at(`${shop}/`);
await page.getByText("You are logged in").waitFor();
const state = await context.storageState();

// The looks of every page.
for (const width of [320, 390, 1440]) {
  for (const [colorScheme, locale] of [["light", "zh-CN"], ["dark", "en"]]) {
    // The policy of the pages would block axe as well.
    const options = { viewport: { width, height: 900 }, colorScheme, locale, storageState: state, bypassCSP: true };
    const shown = await open(options);
    const where = (name) => `${name} at ${width} px, ${colorScheme}, ${locale}`;
    const page = await newPage(shown);
    const seen = (name) => look(page, `local-${name}-${width}-${colorScheme}`, where(name));
    for (const [name, url] of [
      ["business", `${business}/`], ["events", `${events}/`],
      ["chats", `${simulator}/chat`], ["chat", chat], ["simulator", `${simulator}/`],
      ["merchants", `${simulator}/console`], ["signed", `${shop}/signed?account=${account}`],
      ["shop", `${shop}/`],
    ]) {
      await go(page, url);
      if (name === "events") await page.locator("summary").first().click();
      await seen(name);
    }
    // WeChat's own pages, from the shop.
    await follow(page, page.locator("[value=snsapi_userinfo]"));
    await follow(page, page.locator("a.button"));
    await seen("consent");
    await go(page, `${shop}/`);
    await follow(page, page.locator("form[action='/authorize'] button"));
    await follow(page, page.locator("form button"));
    await seen("choice");
    await shown.close();
  }
}

await end();
