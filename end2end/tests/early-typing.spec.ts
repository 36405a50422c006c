import { expect, hydrated, test } from "../fixtures/rollcall.ts";
import type { Page } from "@playwright/test";
import { createAdministrator, email, password } from "../pages/door.ts";

test("what is typed before a page comes alive is kept and sent", async ({ demo, page }) => {
  const release = await holdWebAssembly(page);
  await page.goto(demo.link, { waitUntil: "domcontentloaded" });
  await page.getByLabel("Your e-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  release();
  await hydrated(page);
  await expect(page.getByLabel("Your e-mail")).toHaveValue(email);
  await expect(page.getByLabel("Password")).toHaveValue(password);
  await page.getByLabel("The same again").fill(password);
  await page.getByRole("button", { name: "Create administrator" }).click();
  await expect(page).toHaveURL(`${demo.origin}/`);
});

test("what is chosen before a page comes alive stays chosen", async ({ demo, page }) => {
  await createAdministrator(page, demo);
  const release = await holdWebAssembly(page);
  await page.goto(`${demo.origin}/audit`, { waitUntil: "domcontentloaded" });
  await page.getByLabel("Event").selectOption({ label: "Create User By Auto Provisioning" });
  release();
  await hydrated(page);
  await expect(page.getByLabel("Event").locator("option:checked")).toHaveText("Create User By Auto Provisioning");
});

/** Keeps the page from coming alive until the returned function is called. */
async function holdWebAssembly(page: Page): Promise<() => void> {
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  await page.route("**/pkg/rollcall.wasm", async (route) => {
    await released;
    await route.continue();
  });
  return release;
}
