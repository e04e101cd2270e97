// Uses the console as operators do. Each line that it prints is something that is wrong.
import { readFileSync, mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const [base, active, lost] = process.argv.slice(2);
const axe = readFileSync(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const pictures = new URL("pictures/", import.meta.url);
mkdirSync(pictures, { recursive: true });

let wrong = 0;
const check = (holds, said) => {
  if (!holds) {
    wrong += 1;
    console.log(said);
  }
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});

// Pictures of accounts are on WeChat's hosts, which no test asks.
const open = async (options) => {
  const context = await browser.newContext(options);
  await context.route(/qlogo\.cn|qpic\.cn/, (route) => route.fulfill({ status: 204 }));
  return context;
};

const bound = await open({ locale: "en" });
const page = await bound.newPage();
page.setDefaultTimeout(15000);
await page.goto(`${base}/_local/console`);
check(page.url().startsWith(`${base}/console`), `it is bound at ${page.url()}`);
const state = await bound.storageState();

// Every button, with the script.
const said = async (text) => {
  const main = await page.innerText("main");
  check(main.includes(text), `${page.url()} does not say "${text}" but: ${main.slice(0, 400)}`);
};
const press = async (name) => {
  await page.getByRole("button", { name }).first().click();
  await page.waitForLoadState();
};
await page.goto(`${base}/console/accounts/${active}`);
await press("Renew now");
// It was issued a moment ago.
await said("Try again shortly");
await press("Read the profile again");
await said("The profile was read again");
await page.fill("#reference", "customer-42");
await page.fill("#tags", "plan gold");
await press("Save");
await said("Write each tag on a line");
check((await page.inputValue("#reference")) === "customer-42", "what was entered is lost with a mistake");
await page.fill("#tags", "plan=gold\nregion=华东");
await page.fill("#origins", "http://shop.example.com/path");
await press("Save");
await said("login_origins");
await page.fill("#origins", "https://shop.example.com");
await press("Save");
await said("Saved.");

await page.goto(`${base}/console`);
await said("withdrew");
await press("Make a link");
await said("The link is made");
const link = await page.inputValue("#url");
check(link.startsWith(`${base}/authorize/`), `a link leads to ${link}`);
await page.getByText("Cancel this link").click();
await press("Cancel it");
await said("The link is cancelled");
await page.goto(`${base}/console/links`);
await page.fill("#requester", "演示店铺");
await press("Make the link");
await said("The link is made");
const linkPage = new URL(page.url()).pathname;

await page.goto(`${base}/console/accounts?reference=customer-42`);
await said(active);
await page.goto(`${base}/console/export`);
const [file] = await Promise.all([page.waitForEvent("download"), press("Export as one file")]);
const csv = readFileSync(await file.path(), "utf8");
check(csv.charCodeAt(0) === 0xfeff, "the export lacks the mark by which spreadsheets know UTF-8");
check(csv.includes(active) && csv.includes("customer-42") && csv.split("\n").length === 4, `the export is ${csv}`);

await page.goto(`${base}/console/keys`);
await page.getByText("Revoke", { exact: true }).first().click();
await press("Revoke it");
await said("The key is revoked");

await page.goto(`${base}/console/audit?account=${active}`);
await said("changed what is said about the account");
await page.getByRole("button", { name: "中文" }).click();
await page.waitForLoadState();
await said("修改业务信息");

// Without the script.
const plain = await open({ locale: "en", storageState: state, javaScriptEnabled: false });
const still = await plain.newPage();
await still.goto(`${base}/console/accounts/${active}`);
await still.fill("#reference", "customer-43");
await still.getByRole("button", { name: "Save" }).click();
check((await still.textContent("main")).includes("Saved."), "nothing is saved without the script");
await still.goto(`${base}/console/export`);
check(await still.getByText("Download part 1").isVisible(), "nothing is exported without the script");
check(!(await still.getByText("Export as one file").isVisible()), "a button is shown that does nothing");

// Every page, as it looks.
const paths = [
  "", "/accounts", `/accounts/${active}`, `/accounts/${lost}`, "/accounts/wx0000000000000000", "/accounts?q=nobody", "/links",
  linkPage.replace("/console", ""), "/arrivals", "/keys", "/domains", "/setup", "/audit", "/operators", "/browsers", "/export",
];
for (const [width, colorScheme, locale] of [
  [390, "light", "zh-CN"], [390, "dark", "en"], [768, "dark", "zh-CN"], [768, "light", "en"], [1440, "light", "zh-CN"], [1440, "dark", "en"],
]) {
  // The policy of the pages would keep axe out as well.
  const context = await open({ viewport: { width, height: 900 }, colorScheme, locale, storageState: state, bypassCSP: true });
  await context.clearCookies({ name: "console-language" });
  const shown = await context.newPage();
  const where = (path) => `${path || "/"} at ${width} px, ${colorScheme}, ${locale}`;
  let now = "";
  shown.on("pageerror", (error) => check(false, `${now}: ${error}`));
  for (const path of paths) {
    now = where(path);
    const answer = await shown.goto(`${base}/console${path}`);
    const expected = path.endsWith("wx0000000000000000") ? 404 : 200;
    check(answer.status() === expected, `${now}: status ${answer.status()}`);
    check((await answer.body()).length <= 60_000, `${now}: ${(await answer.body()).length} bytes`);
    const name = `${path.replaceAll(/[/?=]/g, "_").replace(linkPage.split("/").pop(), "link") || "overview"}-${width}-${colorScheme}-${locale}`;
    await shown.screenshot({ path: new URL(`${name}.png`, pictures).pathname, fullPage: true });
    check(await shown.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${now}: wider than the screen`);
    await shown.evaluate(axe);
    const violations = await shown.evaluate(async () => (await window.axe.run()).violations);
    for (const { id, nodes } of violations) {
      check(false, `${now}: ${id} ${nodes.map((node) => node.html.slice(0, 160)).join(" ")}`);
    }
  }
  await context.close();
}

// By now it is older than the ten seconds for which a renewal is refused.
await page.goto(`${base}/console/accounts/${active}`);
await press("立即续期");
await said("已安排续期");

// The last button of all.
await page.goto(`${base}/console/browsers`);
await page.locator("tr", { hasText: "当前浏览器" }).locator("summary").click();
await page.locator("tr", { hasText: "当前浏览器" }).getByRole("button").click();
await page.waitForLoadState();
await said("已解除绑定");
const after = await page.goto(`${base}/console`);
check(after.status() === 401, `a browser that has ended itself gets ${after.status()}`);

await browser.close();
process.exit(wrong ? 1 : 0);
