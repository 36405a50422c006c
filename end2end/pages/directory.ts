import { expect, type Visit } from "../fixtures/visit.ts";

/** Connects the emulated directory with what the demo knows, and sees every scope granted. */
export async function connectDirectory({ page, alive, look, refused }: Visit): Promise<void> {
  await page.getByRole("link", { name: "Connect the directory" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Directory connection");
  await look("connection, new");
  await page.getByRole("link", { name: "Fill in its key and addresses" }).click();
  const key = page.getByLabel("Service-account key");
  await expect(key).toHaveValue(/private_key/);

  const whole = await key.inputValue();
  const save = page.getByRole("button", { name: "Save and test" });
  await key.fill("not a key");
  await refused("/api/save_connection", () => save.click());
  await expect(page.locator("#key-error")).toHaveText("This is not JSON. Paste the whole file, from { to }.");
  await look("connection, refused");
  await expect(page.getByText("Acts as")).toHaveCount(0);

  if (alive) await key.fill(whole);
  await expect(key).toHaveValue(/private_key/);
  await save.click();
  const scopes = page.getByRole("table").getByRole("row").filter({ has: page.getByRole("cell") });
  await expect(scopes.first()).toBeVisible();
  await expect(scopes.filter({ hasText: "Granted" })).toHaveCount(await scopes.count());
  await look("connection, tested");
}

/** Reads the directory once, to its end. */
export async function readDirectory({ page, alive, look, open }: Visit): Promise<void> {
  await page.getByRole("button", { name: "Read the directory now" }).click();
  const again = page.getByRole("button", { name: "Read again now" });
  await until(alive, () => expect(again).toBeVisible({ timeout: alive ? 30_000 : 500 }), () => open("/directory/connection"));
  await look("connection, read");
}

/** Waits for what happens by itself; without scripts the reader asks for the page again. */
export async function until(alive: boolean, seen: () => Promise<void>, again: () => Promise<void>): Promise<void> {
  if (alive) return seen();
  await expect(async () => {
    await again();
    await seen();
  }).toPass({ timeout: 60_000 });
}
