import { expect, type Visit } from "../fixtures/visit.ts";
import { until } from "./directory.ts";

/** Watches the first run from its beginning to its end. */
export async function watchFirstRun(visit: Visit, created: number): Promise<void> {
  const { page, alive, look, open } = visit;
  await page.getByRole("link", { name: "Open the run" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/^Run \d+ is under way$/);
  const run = new URL(page.url()).pathname;
  const again = () => open(run);
  const over = page.getByRole("heading", { level: 1, name: /^Run \d+$/ });
  const begun = page.locator('progress[value]:not([value="0"])');
  // The run may be over before a busy browser has looked at how far it is.
  await until(alive, () => expect(begun.or(over).first()).toBeVisible({ timeout: alive ? 30_000 : 500 }), again);
  await look("run, under way");
  await until(alive, () => expect(over).toBeVisible({ timeout: alive ? 60_000 : 500 }), again);
  await expect(page.locator(".page-head .chip")).toHaveText("Done");
  await expect(page.locator(".figures li", { hasText: "Created" }).locator("b")).toHaveText(String(created));
  await look("run, done");
}

/** The accounts that the run made are listed. */
export async function seeAccounts({ page, look, open }: Visit, created: number): Promise<void> {
  await open("/apps/asana/accounts");
  const active = page.locator(".strip > div", { hasText: "Active" }).locator("dd").first();
  expect(Number(await active.textContent())).toBeGreaterThanOrEqual(created);
  await expect(page.getByRole("row").filter({ hasText: "Active" }).first()).toBeVisible();
  await look("accounts");
}

/** The log tells of each account that was created. */
export async function seeCreations({ page, look, open }: Visit): Promise<void> {
  await open("/audit");
  await page.getByLabel("Event").selectOption({ label: "Create User By Auto Provisioning" });
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page).toHaveURL(/event=/);
  const rows = page.getByRole("row").filter({ has: page.getByRole("rowheader") });
  await expect(rows.first()).toContainText("Create User By Auto Provisioning");
  await expect(rows.filter({ hasNotText: "Create User By Auto Provisioning" })).toHaveCount(0);
  expect(await rows.count()).toBeGreaterThan(10);
  await look("audit log");
  await rows.first().getByRole("rowheader").getByRole("link").click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Create User By Auto Provisioning");
  await look("event");
}
