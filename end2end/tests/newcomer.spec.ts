import { readFileSync } from "node:fs";
import { expect, test as base, type Visit } from "../fixtures/visit.ts";
import { createAdministrator, email } from "../pages/door.ts";
import { Newcomer } from "../pages/newcomer.ts";

// axe has looked at these pages in the other walks.
const test = base.extend({
  look: async ({}, use) => use(async () => {}),
});

test("a newcomer does five tasks with nothing but what the pages show", async ({ visit }) => {
  test.setTimeout(900_000);
  const { page, demo } = visit;
  // What is not to be seen is a failure of the page, soon.
  page.setDefaultTimeout(30_000);
  const newcomer = new Newcomer(visit);
  await createAdministrator(page, demo);
  await test.step("connect and turn on", () => connectAndTurnOn(newcomer));
  await test.step("why has somebody no account", () => findOutWhy(newcomer));
  await test.step("undo a mistaken change of the scope", () => undoScope(newcomer));
  await test.step("who changed the policy", () => putPolicyBack(newcomer));
  await test.step("the failures of this month, for an auditor", () => giveFailures(newcomer));
});

async function connectAndTurnOn(newcomer: Newcomer): Promise<void> {
  const { page } = newcomer.visit;
  await newcomer.begin();
  await newcomer.link("Connect the directory");
  await newcomer.link("Fill in its key and addresses");
  await expect(page.getByLabel("Service-account key")).toHaveValue(/private_key/);
  await newcomer.button("Save and test");
  await newcomer.button("Read the directory now");
  await newcomer.waits(page.getByRole("link", { name: "Add an app", exact: true }));
  await newcomer.link("Add an app");
  await newcomer.button("Add Asana");
  await newcomer.link("Set up sign-in");
  await newcomer.button("Save");
  await newcomer.link("Choose for whom it is on");
  await newcomer.check(page.getByRole("radiogroup").first().getByRole("radio", { name: "On" }));
  await newcomer.button("Review and save");
  await newcomer.button("Save");
  await newcomer.link("Configure autoprovisioning");
  await newcomer.link("Fill in its endpoint and token");
  await expect(page.getByLabel("Access token")).toHaveValue(/./);
  await newcomer.button("Continue");
  await newcomer.sees("What does Asana get to know?");
  await newcomer.button("Continue");
  await newcomer.sees("Who gets an account in Asana?");
  await newcomer.button("Continue");
  await newcomer.sees("What happens when somebody leaves?");
  await newcomer.button("Continue");
  await newcomer.waits(page.getByRole("heading", { level: 1, name: "This is what the first run will do" }));
  await newcomer.button("Turn on");
  await newcomer.waits(page.locator(".strip", { hasText: "Last run" }).getByText(/\d+ created/));
  newcomer.done("connect and turn on", 26);
}

async function findOutWhy(newcomer: Newcomer): Promise<void> {
  const { page, open } = newcomer.visit;
  await open("/demo");
  const without = page.getByRole("row").filter({ hasText: "No account" }).getByRole("rowheader").first();
  const address = (await without.locator("small").textContent()) ?? "";
  await newcomer.begin();
  await newcomer.search("Find a person", address);
  await expect(page).toHaveURL(/\/directory\/people\/./);
  await expect(page.getByText(/, this decides$/)).toBeVisible();
  newcomer.done("find out why somebody has no account", 0);
}

async function undoScope(newcomer: Newcomer): Promise<void> {
  const { page, open } = newcomer.visit;
  await limitToOneGroup(newcomer.visit);
  await runNow(newcomer);
  await newcomer.begin();
  await newcomer.link("Look at the removals");
  await newcomer.link("what changed last");
  await newcomer.link(/^Restore version \d+$/);
  await newcomer.sees(/^Restore version \d+\?$/);
  await newcomer.check(page.getByRole("checkbox"));
  await newcomer.button(/^Restore version \d+$/);
  await expect(page.getByRole("row").filter({ hasText: "In force" })).toContainText("Restored version");
  newcomer.done("undo a mistaken change of the scope", 5);
  await runNow(newcomer);
  await open("/apps/asana/review");
  await newcomer.sees("Nothing waits for your word");
}

async function putPolicyBack(newcomer: Newcomer): Promise<void> {
  const { page, open } = newcomer.visit;
  await open("/apps/asana/autoprovisioning/deprovisioning");
  await page.getByRole("group", { name: "A person is suspended in Google" }).getByLabel(/^Suspend,/).selectOption("7d");
  await page.getByRole("button", { name: "Review and save" }).click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await newcomer.begin();
  await newcomer.click(page.getByRole("table").getByRole("link", { name: "Asana", exact: true }));
  await newcomer.link("Autoprovisioning");
  await newcomer.link("History");
  const changed = page.getByRole("row").filter({ hasText: "Deprovisioning: Suspended in Google" }).first();
  await expect(changed).toContainText(email);
  await newcomer.click(changed.getByRole("link", { name: /^Compare/ }));
  await newcomer.link(/^Restore version \d+$/);
  await newcomer.check(page.getByRole("checkbox"));
  await newcomer.button(/^Restore version \d+$/);
  await expect(page.getByRole("row").filter({ hasText: "In force" })).toContainText("Restored version");
  newcomer.done("find who changed the policy and put it back", 7);
}

async function giveFailures(newcomer: Newcomer): Promise<void> {
  const { page } = newcomer.visit;
  await failForSomebody(newcomer);
  await newcomer.begin();
  await newcomer.link("See failures");
  await newcomer.link("the failures of this month");
  await newcomer.sees("Audit log");
  const [download] = await Promise.all([page.waitForEvent("download"), newcomer.link("CSV")]);
  const text = readFileSync(await download.path(), "utf8");
  expect(text.split("\n")[0]).toContain("outcome");
  expect(text).toContain("Update Auto Provisioned User");
  newcomer.done("give an auditor the failures of this month", 3);
}

/** The mistake: one group that hardly anybody is in. */
async function limitToOneGroup({ page, alive, open }: Visit): Promise<void> {
  await open("/apps/asana/autoprovisioning/scope");
  const letters = page.getByLabel("Add a group");
  await letters.fill("asana");
  if (!alive) await page.getByRole("button", { name: "Find", exact: true }).click();
  await page.getByRole("option", { name: /Asana users/ }).click();
  await expect(page.getByRole("radiogroup", { name: "Members of Asana users" })).toBeVisible();
  await page.getByRole("button", { name: "Review and save" }).click();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page).toHaveURL(/\/apps\/asana\/autoprovisioning$/);
}

/** A run to its end. */
async function runNow(newcomer: Newcomer): Promise<void> {
  const { page, open } = newcomer.visit;
  await open("/apps/asana/autoprovisioning");
  await page.getByRole("button", { name: "Run now" }).click();
  await expect(page).toHaveURL(/\/runs\/\d+$/);
  await newcomer.waits(page.getByRole("heading", { level: 1, name: /^Run \d+$/ }));
}

/** The app refuses a change of somebody. */
async function failForSomebody(newcomer: Newcomer): Promise<void> {
  const { page, open } = newcomer.visit;
  await open("/apps/asana/autoprovisioning");
  const endpoint = await page.locator("code", { hasText: /^http/ }).first().textContent();
  const { origin } = new URL(endpoint ?? "");
  const fault = { call: "account_patch", failure: "status", status: 400 };
  expect((await page.request.post(`${origin}/sandbox/faults`, { data: fault })).ok()).toBe(true);
  await open("/demo");
  await page.getByRole("row").filter({ hasText: "Active account" }).getByRole("rowheader").getByRole("link").nth(3).click();
  await page.getByLabel("Title").fill("Keeper of the roll");
  await page.getByRole("button", { name: "Change title" }).click();
  await expect(page).toHaveURL(/person=/);
  await runNow(newcomer);
}
