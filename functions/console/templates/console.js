// Everything works without this file. It adds times in the viewer's own zone, copy buttons, and an export in one file.
"use strict";

document.documentElement.classList.add("scripted");

const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
const isBeijing = ["Asia/Shanghai", "Asia/Chongqing", "Asia/Harbin", "PRC"].includes(own);
if (!isBeijing) {
  // The same notation as for Beijing's time.
  const format = new Intl.DateTimeFormat("sv-SE", {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
  });
  for (const time of document.querySelectorAll("time[data-local]")) {
    time.after(" ", Object.assign(document.createElement("span"), {
      className: "hint",
      textContent: `(${time.dataset.local} ${format.format(new Date(time.dateTime))})`,
    }));
  }
}

for (const button of document.querySelectorAll("button[data-copies]")) {
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      getSelection().selectAllChildren(field);
      field.select?.();
      return;
    }
    // After it comes the text for screen readers only.
    const shown = button.firstChild;
    const said = shown.data;
    shown.data = button.dataset.done;
    setTimeout(() => { shown.data = said; }, 2000);
  });
}

for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    // After the form was sent, since a disabled button would not be part of it.
    setTimeout(() => { button.disabled = true; button.textContent = form.dataset.busy; });
  });
}
// The message of an act is shown once: not again after a reload, nor from a copied link.
const here = new URL(location.href);
if (here.searchParams.has("done")) {
  here.searchParams.delete("done");
  history.replaceState(null, "", here);
}
// On a phone the navigation is a strip.
document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

const exporter = document.getElementById("export");
if (exporter) {
  const { first, name, failed, done } = exporter.dataset;
  const progress = exporter.querySelector("progress");
  const said = exporter.querySelector("output");
  exporter.querySelector("button").addEventListener("click", async (event) => {
    event.target.disabled = true;
    const parts = [];
    let next = first;
    let seen = 0;
    try {
      while (next) {
        const response = await fetch(next, { credentials: "same-origin", redirect: "error" });
        if (!response.ok) throw new Error(String(response.status));
        const text = await response.text();
        // The names of the columns are written once.
        parts.push(parts.length ? text.slice(text.indexOf("\n") + 1) : text);
        seen += Number(response.headers.get("x-accounts-read"));
        progress.value = seen;
        said.textContent = `${seen} / ${progress.max}`;
        next = response.headers.get("x-next-part");
      }
    } catch {
      said.textContent = failed;
      event.target.disabled = false;
      return;
    }
    progress.value = progress.max;
    said.textContent = done;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff", ...parts], { type: "text/csv" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    event.target.disabled = false;
  });
}
