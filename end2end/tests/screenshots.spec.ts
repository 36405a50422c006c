import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, test as base } from "../fixtures/visit.ts";
import { turnOff } from "../pages/app.ts";
import { giveEverybodyAnAccount, suspendTwo } from "../pages/company.ts";
import { editMapping, reconsiderPolicies, seeWhoIsLeftOut } from "../pages/editing.ts";
import { createAdministrator } from "../pages/door.ts";
import { seeAccounts, seeCreations } from "../pages/run.ts";

const folder = process.env.SCREENSHOTS ?? "screenshots";

/** Looking is taking a picture in each theme and width. */
const test = base.extend({
  look: async ({ page }, use) => {
    mkdirSync(folder, { recursive: true });
    let count = 0;
    await use(async (name) => {
      count += 1;
      await takePictures(page, `${String(count).padStart(2, "0")}-${name.replaceAll(/[^a-z]+/g, "-")}`);
    });
  },
});

async function takePictures(page: Page, name: string): Promise<void> {
  for (const [width, height] of [[390, 844], [1440, 900]] as const) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["dark", "light"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`), fullPage: true });
    }
  }
}

test.use({ viewport: { width: 1440, height: 900 } });

test("every page", async ({ visit }) => {
  test.setTimeout(600_000);
  const { page, demo, look, open, refused } = visit;
  await page.goto(demo.link);
  await look("setup");
  await createAdministrator(page, demo);
  await open("/");
  await look("home, first steps");
  const created = await giveEverybodyAnAccount(visit);
  await seeAccounts(visit, created);
  await seeCreations(visit);
  await suspendTwo(visit);
  await open("/apps/asana/autoprovisioning");
  await page.getByRole("button", { name: "Run now" }).click();
  await expect(async () => {
    await open("/apps/asana/queue");
    await expect(page.getByRole("heading", { level: 2, name: "2 steps waiting" })).toBeVisible({ timeout: 1000 });
  }).toPass({ timeout: 60_000 });
  for (const path of [
    "/",
    "/directory/people",
    "/directory/groups",
    "/directory/org-units",
    "/apps/asana",
    "/apps/asana/autoprovisioning",
    "/apps/asana/autoprovisioning/authorize",
    "/apps/asana/autoprovisioning/attributes",
    "/apps/asana/autoprovisioning/scope",
    "/apps/asana/autoprovisioning/deprovisioning",
    "/apps/asana/autoprovisioning/scope/review",
    "/apps/asana/people",
    "/apps/asana/failures",
    "/apps/asana/lacking?attribute=title",
    "/apps/asana/autoprovisioning/delete",
    "/apps/asana/queue",
    "/apps/asana/runs",
    "/apps/asana/usage",
    "/apps/asana/accounts/differences",
    "/audit?live=1",
    "/audit?event=nothing",
    "/preferences",
    "/administrators",
    "/administrators/invite",
    "/account",
    "/settings",
    "/about",
    "/demo",
  ]) {
    await open(path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await look(`page ${path}`);
  }
  await open("/apps/asana/queue");
  for (const box of await page.getByRole("checkbox", { name: /^Delete / }).all()) await box.check();
  await page.getByRole("button", { name: "Do selected now…" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Delete 2 accounts in Asana now?" })).toBeVisible();
  await look("queue, delete two now");
  await refused("/nowhere", () => open("/nowhere"));
  await look("nowhere");
  await open("/directory/people");
  await page.getByRole("rowheader").getByRole("link").first().click();
  await expect(page).toHaveURL(/\/directory\/people\/./);
  await look("person");
  await open("/apps/asana/accounts?state=active");
  await page.getByRole("table").last().getByRole("rowheader").getByRole("link").first().click();
  await page.getByRole("link", { name: "Unlink the account in Asana" }).click();
  await expect(page.getByRole("heading", { level: 1, name: /^Unlink / })).toBeVisible();
  await look("unlink");
  await open("/directory/groups");
  await page.getByRole("rowheader").getByRole("link").first().click();
  await expect(page).toHaveURL(/\/directory\/groups\/./);
  await look("group");
  await open("/demo");
  await page.getByRole("rowheader").getByRole("link").first().click();
  await expect(page).toHaveURL(/person=/);
  await look("demo, one person");
  await editMapping(visit);
  await reconsiderPolicies(visit);
  await seeWhoIsLeftOut(visit);
  await turnOff(visit);
});
