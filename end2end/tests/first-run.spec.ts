import { expect, hydrated, test } from "../fixtures/rollcall.ts";
import { createAdministrator, email, signIn, signInByKeyboard } from "../pages/door.ts";

test("the one-time link makes the first administrator and works once", async ({ demo, page, refused }) => {
  await createAdministrator(page, demo);
  await hydrated(page);
  await expect(page.getByText(email).first()).toBeVisible();

  await refused("/setup", () => page.goto(demo.link));
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("This link was used already");
  await expect(page.getByRole("button", { name: "Create administrator" })).toHaveCount(0);
});

test("whoever is not signed in comes to the sign-in page and back", async ({ demo, page }) => {
  await createAdministrator(page, demo);
  await page.context().clearCookies();
  await page.goto(`${demo.origin}/about`);
  await expect(page).toHaveURL(/\/sign-in\?next=/);
  await signIn(page);
  await expect(page).toHaveURL(`${demo.origin}/about`);

  await page.context().clearCookies();
  await page.goto(`${demo.origin}/sign-in`);
  await signInByKeyboard(page);
  await expect(page).toHaveURL(`${demo.origin}/`);
});
