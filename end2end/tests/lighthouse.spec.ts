import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "@playwright/test";
import { expect, test as base } from "../fixtures/visit.ts";
import { giveEverybodyAnAccount } from "../pages/company.ts";
import { createAdministrator } from "../pages/door.ts";

// axe has looked at these pages in the tests that gate.
const test = base.extend({
  look: async ({}, use) => use(async () => {}),
});

const categories = ["performance", "accessibility", "best-practices"] as const;
type Scores = Record<(typeof categories)[number], number>;

/** The least that each page has to reach, of 100. */
const least: Scores = { performance: 95, accessibility: 100, "best-practices": 100 };

/** What is used of Lighthouse; it is installed apart, since nothing else needs it. */
type Lighthouse = (
  address: string,
  flags: object,
  config?: object,
) => Promise<{ lhr: { finalDisplayedUrl: string; categories: Record<string, { score: number | null }>; audits: Record<string, { title: string; score: number | null; displayValue?: string; scoreDisplayMode: string }> } }>;

async function installed(): Promise<{ lighthouse: Lighthouse; desktop: object }> {
  const folder = process.env.LIGHTHOUSE ?? "";
  const load = (path: string) => import(pathToFileURL(join(folder, "node_modules/lighthouse", path)).href);
  return { lighthouse: (await load("core/index.js")).default, desktop: (await load("core/config/desktop-config.js")).default };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

test("Lighthouse finds every page fast, accessible and sound", async ({ visit, context, launchOptions }) => {
  test.setTimeout(900_000);
  const { page, demo } = visit;
  await createAdministrator(page, demo);
  await giveEverybodyAnAccount(visit);
  const cookies = await context.cookies();
  await page.close();

  const { lighthouse, desktop } = await installed();
  const port = await freePort();
  // Lighthouse opens its tab in the browser's own context, so the session has to be there.
  const profile = mkdtempSync(join(tmpdir(), "rollcall-lighthouse-"));
  const args = [...(launchOptions.args ?? []), `--remote-debugging-port=${port}`];
  const browser = await chromium.launchPersistentContext(profile, { ...launchOptions, args });
  const measure = async (path: string, config?: object): Promise<Scores> => {
    const flags = { port, logLevel: "error", onlyCategories: [...categories], disableStorageReset: true };
    const { lhr } = await lighthouse(`${demo.origin}${path}`, flags, config);
    expect(lhr.finalDisplayedUrl, "the page that was measured").toBe(`${demo.origin}${path}`);
    const lost = Object.values(lhr.audits).filter((one) => one.score !== null && one.score < 1 && one.scoreDisplayMode !== "informative");
    for (const one of lost) console.log(`lighthouse:   ${path}: ${one.title} ${one.displayValue ?? ""}`);
    const score = (name: string) => Math.round((lhr.categories[name]?.score ?? 0) * 100);
    return { performance: score("performance"), accessibility: score("accessibility"), "best-practices": score("best-practices") };
  };
  try {
    for (const path of ["/sign-in", "/", "/apps/asana", "/audit"]) {
      if (path === "/") await browser.addCookies(cookies);
      for (const [device, config] of [["desktop", desktop], ["phone", undefined]] as const) {
        const scores = await measure(path, config);
        console.log(`lighthouse: ${path} (${device}): ${categories.map((name) => `${name} ${scores[name]}`).join(", ")}`);
        for (const name of categories) expect.soft(scores[name], `${name} of ${path} on a ${device}`).toBeGreaterThanOrEqual(least[name]);
      }
    }
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  }
});
