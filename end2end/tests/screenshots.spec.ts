import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { expect, test as base, type Visit } from "../fixtures/visit.ts";
import { turnOff } from "../pages/app.ts";
import { giveEverybodyAnAccount, suspendTwo } from "../pages/company.ts";
import { editMapping, reconsiderPolicies, seeWhoIsLeftOut } from "../pages/editing.ts";
import { createAdministrator, email } from "../pages/door.ts";
import { seeAccounts, seeCreations } from "../pages/run.ts";
import { differAndFail, difficultPeople } from "../pages/trouble.ts";
import {
  addMail,
  addWebhook,
  keepForTwoYears,
  lowerThreshold,
  mailSink,
  protectSomebody,
  restorePolicy,
  webhookSink,
} from "../pages/settings.ts";

const folder = process.env.SCREENSHOTS ?? "screenshots";

/** Looking is taking a picture in each theme and width. */
const test = base.extend({
  look: async ({ page }, use, { titlePath }) => {
    mkdirSync(folder, { recursive: true });
    const part = titlePath.at(-1)?.startsWith("every") ? "a" : "b";
    let count = 0;
    await use(async (name) => {
      count += 1;
      await takePictures(page, `${part}${String(count).padStart(2, "0")}-${name.replaceAll(/[^a-z]+/g, "-")}`);
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
  test.setTimeout(1_800_000);
  const { page, demo, look, open, refused } = visit;
  page.setDefaultTimeout(60_000);
  await page.goto(demo.link);
  await look("setup");
  await createAdministrator(page, demo);
  await open("/");
  await look("home, first steps");
  const created = await giveEverybodyAnAccount(visit);
  await seeAccounts(visit, created);
  await seeCreations(visit);
  await preview(visit);
  await suspendTwo(visit);
  await open("/apps/asana/autoprovisioning");
  await page.getByRole("button", { name: "Run now" }).click();
  await expect(async () => {
    await open("/apps/asana/queue");
    await expect(page.getByRole("heading", { level: 2, name: "2 steps waiting" })).toBeVisible({ timeout: 1000 });
  }).toPass({ timeout: 60_000 });
  await difficultPeople(visit);
  await differAndFail(visit);
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
    "/apps/asana/failures?q=nobody",
    "/apps/asana/lacking?attribute=title",
    "/apps/asana/autoprovisioning/delete",
    "/apps/asana/accounts",
    "/apps/asana/queue",
    "/apps/asana/runs",
    "/apps/asana/runs/1/skipped",
    "/apps/asana/usage",
    "/apps/asana/accounts/differences",
    "/apps/asana/review",
    "/audit",
    "/audit?live=1",
    "/audit?event=nothing",
    "/preferences",
    "/administrators",
    "/administrators/invite",
    "/account",
    "/settings/thresholds",
    "/settings/protected/asana",
    "/settings/retention",
    "/settings/installation",
    "/settings",
    "/about",
    "/demo",
  ]) {
    await open(path);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await look(`page ${path}`);
  }
  await open("/apps/asana/queue");
  await page.getByText("The same as a table").click();
  await look("queue, forecast as a table");
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
  await unlinkAndLinkAgain(visit);
  await open("/directory/groups");
  await page.getByRole("rowheader").getByRole("link").first().click();
  await expect(page).toHaveURL(/\/directory\/groups\/./);
  await look("group");
  await open("/demo");
  await page.getByRole("rowheader").getByRole("link").first().click();
  await expect(page).toHaveURL(/person=/);
  await look("demo, one person");
});

test("what is set, edited and decided", async ({ visit }) => {
  test.setTimeout(1_800_000);
  const { page, demo } = visit;
  page.setDefaultTimeout(60_000);
  await createAdministrator(page, demo);
  await giveEverybodyAnAccount({ ...visit, look: async () => {} });
  await suspendTwo(visit);
  await inviteSomebody(visit);
  await keepFilters(visit);
  await editMapping(visit);
  await reconsiderPolicies(visit);
  await seeWhoIsLeftOut(visit);
  await settings(visit);
  await everybodyLeaves(visit);
  await turnOff(visit);
});

/** What the next run would do, before it does. */
async function preview({ page, look, open }: Visit): Promise<void> {
  await open("/apps/asana/autoprovisioning");
  await page.getByRole("button", { name: "Preview" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("What the next run would do", { timeout: 30_000 });
  await look("preview, nothing to do");
}

async function unlinkAndLinkAgain({ page, look, open }: Visit): Promise<void> {
  await open("/apps/asana/accounts?state=active");
  await page.getByRole("table").last().getByRole("rowheader").getByRole("link").nth(4).click();
  await page.getByRole("link", { name: "Unlink the account in Asana" }).click();
  await expect(page.getByRole("heading", { level: 1, name: /^Unlink / })).toBeVisible();
  await look("unlink");
  await page.getByRole("button", { name: "Unlink 1 account" }).click();
  await expect(page.getByRole("heading", { name: "Somebody decides" })).toBeVisible();
  await look("person, unlinked");
  await open("/apps/asana/accounts");
  await look("accounts, somebody decides");
}

async function inviteSomebody({ page, look, open }: Visit): Promise<void> {
  await open("/administrators/invite");
  await page.getByLabel("Their e-mail").fill("grace@example.com");
  await page.getByRole("button", { name: "Make the link" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("A link for grace@example.com");
  await look("a link for an administrator");
  await page.getByRole("button", { name: "I have copied it" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("grace@example.com");
  await look("an administrator");
  await open("/administrators");
  await look("administrators");
  await page.getByRole("link", { name: "grace@example.com" }).click();
  await page.getByRole("link", { name: /^Remove/ }).click();
  await look("remove an administrator");
}

async function keepFilters({ page, look, open }: Visit): Promise<void> {
  await open("/audit?event=create-user-by-auto-provisioning");
  await page.getByText("Keep these filters").click();
  await page.getByLabel(/^Name/).fill("Accounts that were created for the people of the northern offices");
  await page.getByRole("button", { name: "Keep", exact: true }).click();
  await expect(page.getByRole("list", { name: "Your filters" }).getByRole("link")).toHaveAttribute("aria-current", "true");
  await look("audit log, kept filters");
}

async function settings(visit: Visit): Promise<void> {
  const { page, look, open } = visit;
  const [hook, mail] = [await webhookSink(), await mailSink()];
  await addWebhook(visit, hook);
  await addMail(visit, mail);
  await open("/settings/notifications");
  await look("notifications");
  await page.getByRole("link", { name: "On call" }).click();
  await page.getByRole("link", { name: /Delete/ }).click();
  await look("delete a channel");
  await protectSomebody(visit);
  await restorePolicy(visit, email);
  await keepForTwoYears(visit);
  await lowerThreshold(visit);
  await open("/settings");
  await look("settings, all set");
  await Promise.all([hook.close(), mail.close()]);
}

/** The app is turned off for everybody, so that the hold has something to hold. */
async function everybodyLeaves({ page, look, open }: Visit): Promise<void> {
  await open("/apps/asana/access");
  await page.getByRole("radiogroup").first().getByRole("radio", { name: "Off" }).check();
  await look("access, changed");
  await page.getByRole("button", { name: "Review and save" }).click();
  await expect(page.getByText(/so it waits for your word before anything is sent/)).toBeVisible();
  await look("access review, everybody leaves");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText(/Asana is on for/)).toBeVisible();
  await open("/apps/asana/autoprovisioning");
  await page.getByRole("button", { name: "Run now" }).click();
  await expect(async () => {
    await open("/apps/asana/review");
    await expect(page.getByRole("heading", { level: 1, name: /wait for your word/ })).toBeVisible({ timeout: 1000 });
  }).toPass({ timeout: 60_000 });
  await look("review");
  for (const [link, name] of [[/^Allow all \d+/, "allow all"], ["Dismiss all", "dismiss all"]] as const) {
    await open("/apps/asana/review");
    await page.getByRole("link", { name: link }).click();
    await expect(page.getByRole("heading", { level: 1, name: /in Asana\?$/ })).toBeVisible();
    await look(name);
  }
  for (const path of ["/", "/apps/asana", "/apps/asana/queue"]) {
    await open(path);
    await look(`held ${path}`);
  }
}
