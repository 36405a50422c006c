import { expect, test } from "../fixtures/visit.ts";
import { giveEverybodyAnAccount, suspendTwo } from "../pages/company.ts";
import { until } from "../pages/directory.ts";
import { createAdministrator } from "../pages/door.ts";
import { differAndFail, difficultPeople } from "../pages/trouble.ts";

test("what waits, what happened and whom it concerned is found, decided and kept", async ({ visit }) => {
  test.setTimeout(900_000);
  const { page, alive, demo, look, open } = visit;
  await test.step("everybody has an account, and two people leave", async () => {
    await createAdministrator(page, demo);
    // The first journey has looked at all of these pages.
    await giveEverybodyAnAccount({ ...visit, look: async () => {} });
    await suspendTwo(visit);
    await open("/apps/asana/autoprovisioning");
    await page.getByRole("button", { name: "Run now" }).click();
  });
  const waiting = page.getByRole("heading", { level: 2, name: "2 steps waiting" });
  await test.step("their deletions are in the forecast and in the queue", async () => {
    await expect(async () => {
      await open("/apps/asana/queue");
      await expect(waiting).toBeVisible({ timeout: 1000 });
    }).toPass({ timeout: 60_000 });
    await page.getByText("The same as a table").click();
    await look("queue");
  });
  await test.step("both are held at once, after a page that names them", async () => {
    for (const box of await page.getByRole("checkbox", { name: /^Delete / }).all()) await box.check();
    await page.getByRole("button", { name: "Hold selected…" }).click();
    await expect(page.getByRole("heading", { level: 1, name: "Hold 2 steps in Asana?" })).toBeVisible();
    await expect(page.getByRole("row").filter({ has: page.getByRole("rowheader") })).toHaveCount(2);
    await look("queue, hold two");
    await page.getByRole("button", { name: "Hold 2 steps" }).click();
    await expect(page.getByText("2 steps held until somebody releases them.")).toBeVisible();
  });
  await test.step("filters find them, and one of them is done now only after its page", async () => {
    await page.getByLabel("State").selectOption({ label: "Held by somebody" });
    await page.getByRole("button", { name: "Apply" }).click();
    await expect(page).toHaveURL(/waits=held/);
    await expect(page.getByRole("heading", { level: 2, name: "2 of 2 steps waiting" })).toBeVisible();
    await page.getByRole("link", { name: /^Delete now/ }).first().click();
    await expect(page.getByRole("heading", { level: 1, name: "Delete 1 account in Asana now?" })).toBeVisible();
    await look("queue, delete now");
    await page.getByRole("link", { name: "Back" }).click();
    await expect(page).toHaveURL(/waits=held/);
    await page.getByRole("button", { name: /^Release/ }).first().click();
    await expect(page.getByText("1 step released.")).toBeVisible();
  });
  await test.step("a link is ended by hand, and nothing is lost by it", async () => {
    await open("/apps/asana/accounts?state=active");
    await page.getByRole("table").last().getByRole("rowheader").getByRole("link").first().click();
    await expect(page).toHaveURL(/\/directory\/people\/./);
    await page.getByRole("link", { name: "Unlink the account in Asana" }).click();
    await expect(page.getByRole("heading", { level: 1, name: /^Unlink / })).toBeVisible();
    await look("unlink");
    await page.getByRole("button", { name: "Unlink 1 account" }).click();
    await expect(page.getByRole("heading", { name: "Somebody decides" })).toBeVisible();
    await look("person, unlinked");
    await page.getByRole("button", { name: /^Link again/ }).click();
    // The run that carries it out may be over by now.
    const linked = page.getByRole("link", { name: "Unlink the account in Asana" });
    await expect(page.getByText("An account was chosen.").or(linked)).toBeVisible();
  });
  await test.step("usage leads to the events that it counts", async () => {
    await open("/apps/asana/usage");
    await look("usage");
    await page.getByRole("link", { name: "Suspended" }).first().click();
    await expect(page.getByRole("heading", { level: 1, name: "Audit log" })).toBeVisible();
    const rows = page.getByRole("row").filter({ has: page.getByRole("rowheader") });
    await expect(rows).toHaveCount(2);
    await expect(rows.first()).toContainText("Suspend Auto Provisioned User");
  });
  await test.step("filters of the log are kept under a name", async () => {
    await page.getByText("Keep these filters").click();
    await page.getByLabel(/^Name/).fill("Suspensions, ممتاز");
    await page.getByRole("button", { name: "Keep", exact: true }).click();
    const kept = page.getByRole("list", { name: "Your filters" });
    await expect(kept.getByRole("link")).toHaveAttribute("aria-current", "true");
    await look("audit log, kept filters");
    await kept.getByRole("button", { name: /^Forget/ }).click();
    await expect(kept).toHaveCount(0);
  });
  await test.step("the log is watched", async () => {
    await open("/audit");
    await page.getByRole("link", { name: "Watch", exact: true }).click();
    await expect(page.getByText("New events show up as they happen.")).toBeVisible();
    await look("audit log, watched");
    const other = await page.context().newPage();
    await other.goto(`${demo.origin}/demo`);
    const working = other.getByRole("row").filter({ hasText: "Active account", hasNotText: "Archived" });
    await working.getByRole("rowheader").getByRole("link").first().click();
    await other.getByRole("button", { name: "Archive" }).click();
    await expect(other.getByRole("button", { name: "Take out of the archive" })).toBeVisible();
    await other.close();
    const seen = page.getByRole("row").filter({ hasText: "Archived in the emulated directory" });
    await until(alive, () => expect(seen).toBeVisible({ timeout: alive ? 20_000 : 500 }), () => open("/audit?live=1"));
  });
  await test.step("the other pages fit a narrow window, whatever names people have", async () => {
    await difficultPeople(visit);
    await differAndFail(visit);
    if (!alive) return;
    const usual = page.viewportSize() ?? { width: 1280, height: 720 };
    await page.setViewportSize({ width: 390, height: 844 });
    for (const path of [
      "/",
      "/about",
      "/audit",
      "/apps/asana",
      "/apps/asana/accounts",
      "/apps/asana/accounts/differences",
      "/apps/asana/autoprovisioning/delete",
      "/apps/asana/failures",
      "/apps/asana/history",
      "/apps/asana/people",
      "/apps/asana/runs",
      "/apps/asana/runs/1/skipped",
      "/demo",
      "/directory/groups",
      "/directory/org-units",
      "/directory/people",
      "/settings/installation",
    ]) {
      await open(path);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      expect.soft(width, `width of ${path}`).toBeLessThanOrEqual(390);
      await look(path);
    }
    await page.setViewportSize(usual);
  });
  await test.step("the app is read back", async () => {
    await open("/apps/asana/accounts/differences");
    await look("differences");
    await page.getByRole("button", { name: "Read back now" }).click();
    await expect(page).toHaveURL(/\/runs\/\d+$/);
  });
  await test.step("somebody is found from anywhere", async () => {
    await open("/about");
    if (alive) {
      await page.keyboard.press("/");
      await expect(page.getByLabel("Find a person")).toBeFocused();
    }
    await page.getByLabel("Find a person").fill("ines.albrecht@");
    await page.getByLabel("Find a person").press("Enter");
    await expect(page).toHaveURL(/\/directory\/people\/[^?]+$/);
  });
  await test.step("preferences are kept in the browser", async () => {
    await open("/preferences");
    await look("preferences");
    if (!alive) await page.getByLabel("Time zone").selectOption("Asia/Kolkata");
    await page.getByRole("checkbox", { name: /goes to the search/ }).uncheck();
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("Saved in this browser.")).toBeVisible();
    await expect(page.getByRole("checkbox", { name: /goes to the search/ })).not.toBeChecked();
    await open("/apps/asana/usage");
    if (alive) {
      await page.keyboard.press("/");
      await expect(page.getByLabel("Find a person")).not.toBeFocused();
    } else {
      await expect(page.getByText("Days are those of Asia/Kolkata.")).toBeVisible();
    }
  });
});
