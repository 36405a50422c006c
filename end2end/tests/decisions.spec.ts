import { expect, test, type Visit } from "../fixtures/visit.ts";
import { giveEverybodyAnAccount } from "../pages/company.ts";
import { until } from "../pages/directory.ts";
import { createAdministrator } from "../pages/door.ts";

test("removals that are held are looked at, allowed one by one, and dismissed", async ({ visit }) => {
  test.setTimeout(900_000);
  const { page, demo, alive, look, open } = visit;
  await test.step("everybody has an account", async () => {
    await createAdministrator(page, demo);
    await giveEverybodyAnAccount(visit);
  });
  await test.step("the app is turned off for everybody, by mistake", async () => {
    await open("/apps/asana/access");
    await page.getByRole("radiogroup").first().getByRole("radio", { name: "Off" }).check();
    if (alive) await expect(page.getByRole("row", { name: /^Engineering/ })).toContainText("Off");
    await look("access, changed");
    await page.getByRole("button", { name: "Review and save" }).click();
    await expect(page.getByText(/so it waits for your word before anything is sent/)).toBeVisible();
    await look("access review, everybody leaves");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await expect(page.getByText(/Asana is on for/)).toBeVisible();
    await runNow(visit);
  });
  const wait = page.getByRole("heading", { level: 1, name: /removals wait for your word/ });
  await test.step("nobody was removed, and all are listed", async () => {
    await until(visit.alive, () => held(visit), () => open("/apps/asana/review"));
    await open("/apps/asana/review");
    await expect(wait).toBeVisible();
    expect(await page.getByRole("checkbox").count()).toBeGreaterThan(20);
    await look("review");
  });
  const first = page.getByRole("checkbox").first();
  const name = await first.getAttribute("aria-label");
  await test.step("allowing nobody is no question", async () => {
    await page.getByRole("button", { name: "Allow selected" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Nobody is chosen");
    await page.getByRole("link", { name: "Back" }).click();
    await expect(wait).toBeVisible();
  });
  await test.step("allowing one asks first, and names them", async () => {
    await first.check();
    await page.getByRole("button", { name: "Allow selected" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Allow 1 in Asana?");
    const person = (name ?? "").replace(/^\w+ /, "");
    await expect(page.getByText(/^Suspend 1 account: /)).toContainText(person);
    await look("allow selected");
    await page.getByRole("button", { name: "Allow 1" }).click();
    await expect(wait).toBeVisible();
    await expect(page.getByText("When they were held:")).toBeVisible();
    await expect(page.getByRole("checkbox", { name: name ?? "", exact: true })).toHaveCount(0);
  });
  await test.step("allowing all asks first", async () => {
    await page.getByRole("link", { name: /^Allow all \d+/ }).click();
    await expect(page.getByRole("heading", { level: 1, name: /^Allow all \d+ in Asana\?$/ })).toBeVisible();
    await look("allow all");
    await page.getByRole("link", { name: "Back" }).click();
  });
  await test.step("the queue tells of the held ones", async () => {
    await open("/apps/asana/queue");
    await expect(page.getByRole("cell", { name: "Held for review" }).first()).toBeVisible();
    await look("queue, held");
  });
  await test.step("the rest is dismissed", async () => {
    await open("/apps/asana/review");
    await page.getByRole("link", { name: "Dismiss all" }).click();
    await expect(page.getByRole("heading", { level: 1, name: /^Dismiss all \d+ removals in Asana\?$/ })).toBeVisible();
    await look("dismiss all");
    await page.getByRole("button", { name: /^Dismiss \d+ removals$/ }).click();
    await expect(page.getByRole("heading", { level: 1, name: "Nothing waits for your word" })).toBeVisible();
    await look("review, empty");
  });
});

async function runNow({ page, open }: Visit): Promise<void> {
  await open("/apps/asana/autoprovisioning");
  await page.getByRole("button", { name: "Run now" }).click();
  // Going elsewhere before it is taken would take it back.
  await expect(page).toHaveURL(/\/runs\/\d+$/);
}

/** Waits for the run that holds. */
async function held({ page, alive, open }: Visit): Promise<void> {
  if (!alive) return expect(page.getByRole("heading", { level: 1, name: /wait for your word/ })).toBeVisible({ timeout: 500 });
  await expect(async () => {
    await open("/apps/asana/review");
    await expect(page.getByRole("heading", { level: 1, name: /wait for your word/ })).toBeVisible({ timeout: 1000 });
  }).toPass({ timeout: 60_000 });
}
