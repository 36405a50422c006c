import { expect, type Visit } from "../fixtures/visit.ts";

/** Another default for the job title: who is updated by it is said before it is saved. */
export async function editMapping(visit: Visit): Promise<void> {
  const { page, look, open } = visit;
  await open("/apps/asana/autoprovisioning");
  await look("autoprovisioning");
  await open("/apps/asana/autoprovisioning/attributes");
  await page.getByLabel("If job title is missing").selectOption("default");
  await page.getByLabel("Default for job title").fill("Colleague");
  await page.getByRole("button", { name: "Review and save" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Which accounts change by this?");
  await expect(page.getByText(/^[1-9]\d* of \d+ accounts are updated by the next run\.$/).first()).toBeVisible();
  await expect(page.locator("ins", { hasText: "Colleague" }).first()).toBeVisible();
  await look("review of a mapping");
  await open("/apps/asana/autoprovisioning");
  await expect(page.getByText("Attributes has an edit that is not saved")).toBeVisible();
  await look("autoprovisioning, an edit not saved");
  await page.getByRole("link", { name: "Review it" }).click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page).toHaveURL(/\/apps\/asana\/autoprovisioning$/);
  await expect(page.getByRole("row", { name: /Job title/ })).toContainText("“Colleague”");
}

/** Shorter windows, looked at and taken back. */
export async function reconsiderPolicies(visit: Visit): Promise<void> {
  const { page, look, open } = visit;
  await open("/apps/asana/autoprovisioning/deprovisioning");
  const deleted = page.getByRole("group", { name: "A person is deleted from Google" });
  await deleted.getByLabel(/^Delete,/).selectOption("21d");
  await page.getByRole("button", { name: "Review and save" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Which steps get other dates?");
  await look("review of windows");
  await page.getByRole("link", { name: "Back" }).click();
  await expect(page.getByText("This edit is not saved yet")).toBeVisible();
  await look("deprovisioning, edited");
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(page).toHaveURL(/\/apps\/asana\/autoprovisioning$/);
  await expect(page.getByText("has an edit that is not saved")).toHaveCount(0);
}

/** Whoever is left out is listed with the rule that decided. */
export async function seeWhoIsLeftOut(visit: Visit): Promise<void> {
  const { page, look, open } = visit;
  await open("/apps/asana/autoprovisioning");
  await page.getByRole("link", { name: "Who is left out, and why" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Who is left out of Asana, and why");
  await look("left out");
  await page.getByLabel("Rule that decided").selectOption("domain");
  await page.getByRole("button", { name: "Apply" }).click();
  await expect(page).toHaveURL(/rule=domain/);
  const rows = page.getByRole("row").filter({ has: page.getByRole("rowheader") });
  await expect(rows.first()).toContainText("Secondary domain");
  await expect(rows.filter({ hasNotText: "Secondary domain" })).toHaveCount(0);
}

/** Nothing failed, and the page says so. */
export async function seeNoFailures({ page, look, open }: Visit): Promise<void> {
  await open("/apps/asana/failures");
  await expect(page.getByText("Nothing failed.")).toBeVisible();
  await look("failures, none");
}
