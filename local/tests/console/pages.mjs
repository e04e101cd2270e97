// Uses the console as operators do. Each line that it prints is a failure.
import { readFileSync } from "node:fs";
import { check, end, go, look, newPage, open } from "./browser.mjs";

const [base, active, lost] = process.argv.slice(2);

const bound = await open({ locale: "en", permissions: ["clipboard-read", "clipboard-write"] });
const page = await newPage(bound);
await page.goto(`${base}/`);
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
await go(page, `${base}/console/accounts/${active}`);
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

await go(page, `${base}/console`);
await said("withdrew");
await press("Create a link");
await said("The link was created");
const link = await page.inputValue("#url");
check(link.startsWith(`${base}/authorize/`), `a link leads to ${link}`);
await page.getByText("Cancel this link").click();
await press("Cancel it");
await said("The link was cancelled");
await go(page, `${base}/console/links`);
await page.fill("#requester", "演示店铺");
await press("Create");
await said("The link was created");
const linkPage = new URL(page.url()).pathname;

await go(page, `${base}/console/accounts?reference=customer-42`);
await said(active);
await go(page, `${base}/console/export`);
const [file] = await Promise.all([page.waitForEvent("download"), press("Export as one file")]);
const csv = readFileSync(await file.path(), "utf8");
check(csv.charCodeAt(0) === 0xfeff, "the export lacks the mark by which spreadsheets know UTF-8");
check(csv.includes(active) && csv.includes("customer-42") && csv.split("\n").length === 4, `the export is ${csv}`);

// The label comes back, so that the button can be pressed again.
await go(page, `${base}/console/setup`);
const copy = page.locator("[data-copies]").first();
const label = await copy.innerText();
await copy.click();
await copy.getByText("Copied").waitFor();
const copied = await page.evaluate(() => navigator.clipboard.readText());
check(copied === (await page.innerText(`#${await copy.getAttribute("data-copies")}`)), `"${copied}" was copied`);
await page.waitForFunction(([it, label]) => it.innerText === label, [await copy.elementHandle(), label]);

await go(page, `${base}/console/keys`);
await page.getByText("Revoke", { exact: true }).first().click();
await press("Revoke it");
await said("The key was revoked");

await go(page, `${base}/console/audit?account=${active}`);
await said("changed reference, tags or origins");
await page.getByRole("button", { name: "中文" }).click();
await page.waitForLoadState();
await said("修改业务信息");

// Without the script.
const plain = await open({ locale: "en", storageState: state, javaScriptEnabled: false });
const still = await newPage(plain);
await go(still, `${base}/console/accounts/${active}`);
await still.fill("#reference", "customer-43");
await still.getByRole("button", { name: "Save" }).click();
check((await still.textContent("main")).includes("Saved."), "nothing is saved without the script");
await go(still, `${base}/console/export`);
check(await still.getByText("Download part 1").isVisible(), "nothing is exported without the script");
check(!(await still.getByText("Export as one file").isVisible()), "a button is shown that does nothing");

// The looks of every page.
const paths = [
  "", "/lost", "/accounts", `/accounts/${active}`, `/accounts/${lost}`, "/accounts/wx0000000000000000", "/accounts?q=nobody", "/links",
  linkPage.replace("/console", ""), "/arrivals", `/arrivals?account=${active}`, "/keys", "/domains", "/setup", "/audit", "/operators", "/browsers", "/export",
];
for (const [width, colorScheme, locale] of [
  [390, "light", "zh-CN"], [390, "dark", "en"], [768, "dark", "zh-CN"], [768, "light", "en"], [1440, "light", "zh-CN"], [1440, "dark", "en"],
]) {
  // The policy of the pages would block axe as well.
  const context = await open({ viewport: { width, height: 900 }, colorScheme, locale, storageState: state, bypassCSP: true });
  await context.clearCookies({ name: "console-language" });
  const where = (path) => `${path || "/"} at ${width} px, ${colorScheme}, ${locale}`;
  let now = "";
  const shown = await newPage(context, () => now);
  for (const path of paths) {
    now = where(path);
    const answer = await go(shown, `${base}/console${path}`, path.endsWith("wx0000000000000000") ? 404 : 200);
    check((await answer.body()).length <= 60_000, `${now}: ${(await answer.body()).length} bytes`);
    const name = `${path.replaceAll(/[/?=]/g, "_").replace(linkPage.split("/").pop(), "link") || "overview"}-${width}-${colorScheme}-${locale}`;
    await look(shown, name, now);
  }
  await context.close();
}

// By now the token is older than the ten seconds for which a renewal is refused.
await go(page, `${base}/console/accounts/${active}`);
await press("立即续期");
await said("已安排续期");

// The last button of all.
await go(page, `${base}/console/browsers`);
await page.locator("tr", { hasText: "当前浏览器" }).locator("summary").click();
await page.locator("tr", { hasText: "当前浏览器" }).getByRole("button").click();
await page.waitForLoadState();
await said("已解除绑定");
await go(page, `${base}/console`, 401);

await end();
