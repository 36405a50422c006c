import { expect, type Page } from "@playwright/test";
import type { Demo } from "../fixtures/rollcall.ts";

export const email = "ada@example.com";
export const password = "correct horse battery";

/** Opens the one-time link and becomes the first administrator. */
export async function createAdministrator(page: Page, demo: Demo): Promise<void> {
  await page.goto(demo.link);
  await page.getByLabel("Your e-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByLabel("The same again").fill(password);
  await page.getByRole("button", { name: "Create administrator" }).click();
  await expect(page).toHaveURL(`${demo.origin}/`);
}

/** Fills in the sign-in page that the browser is on. */
export async function signIn(page: Page): Promise<void> {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** The same with nothing but the keyboard. */
export async function signInByKeyboard(page: Page): Promise<void> {
  await tabTo(page, "E-mail");
  await page.keyboard.type(email);
  await tabTo(page, "Password");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
}

async function tabTo(page: Page, label: string): Promise<void> {
  const control = page.getByLabel(label);
  await expect(async () => {
    await page.keyboard.press("Tab");
    await expect(control).toBeFocused({ timeout: 100 });
  }).toPass({ intervals: [0] });
}
