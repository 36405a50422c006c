import { expect, type Visit } from "../fixtures/visit.ts";
import { until } from "./directory.ts";

/** Takes Asana from the catalogue. */
export async function addAsana({ page, look, open }: Visit): Promise<void> {
  await open("/");
  await look("home, directory read");
  await page.getByRole("link", { name: "Add an app" }).last().click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Add an app");
  await look("add an app");
  await page.getByRole("button", { name: "Add Asana" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Asana");
  await look("app, new");
}

/** Records that people sign in to the app with Google. */
export async function recordSignIn({ page, look }: Visit): Promise<void> {
  await page.getByRole("link", { name: "Set up sign-in" }).click();
  await page.getByRole("radio", { name: /The app signs in with Google|With Google/ }).check();
  await look("sign-in");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("heading", { name: "Recorded" })).toBeVisible();
}

/** Turns the app on for everybody but contractors, after a look at what that means. */
export async function turnOnForAllButContractors({ page, look }: Visit): Promise<void> {
  await page.getByRole("link", { name: "User access" }).click();
  const units = page.getByRole("radiogroup");
  await expect(units.first()).toBeVisible();
  await look("access");
  await units.first().getByRole("radio", { name: "On" }).check();
  await page.getByRole("radiogroup", { name: "Contractors", exact: true }).getByRole("radio", { name: "Off" }).check();
  await page.getByRole("button", { name: "Review and save" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Who is concerned by this change?");
  await expect(page.getByText(/^[1-9]\d* people enter, 0 people leave\.$/)).toBeVisible();
  await look("access, review");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText(/Asana is on for/)).toBeVisible();
  const contractors = page.getByRole("row").filter({ has: page.getByRole("radiogroup", { name: "Long-term contractors" }) });
  await expect(contractors.getByText("inherited from /Contractors")).toBeVisible();
}

/** Turns autoprovisioning off, which asks first. */
export async function turnOff({ page, look, open }: Visit): Promise<void> {
  await open("/apps/asana/autoprovisioning");
  await page.getByRole("link", { name: "Turn off autoprovisioning" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Turn off autoprovisioning of Asana?");
  await look("turn off");
  await page.getByRole("link", { name: "Back" }).click();
  await expect(page.getByRole("button", { name: "Run now" })).toBeVisible();
  await page.getByRole("link", { name: "Turn off autoprovisioning" }).click();
  await page.getByRole("button", { name: "Turn off" }).click();
  await expect(page.getByRole("link", { name: "Turn on" })).toBeVisible();
  await expect(page.locator("nav.places a[href='/apps/asana']")).toContainText("Off");
  await look("autoprovisioning, off");
}

/** Turning on again asks first, and shows the plan of its first run. */
export async function planBeforeTurningOn({ page, alive, look, open }: Visit): Promise<void> {
  const question = "/apps/asana/autoprovisioning/turn-on";
  await page.getByRole("link", { name: "Turn on" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Turn on autoprovisioning of Asana?");
  await expect(page.getByText("There is no plan of it yet")).toBeVisible();
  await look("turn on, no plan");
  await page.getByRole("button", { name: "Make a plan" }).click();
  await expect(page).toHaveURL(new RegExp(`${question}$`));
  const planned = page.getByRole("button", { name: "Plan again" });
  await until(alive, () => expect(planned).toBeVisible({ timeout: alive ? 30_000 : 500 }), () => open(question));
  await expect(page.locator(".figures li", { hasText: "Create" })).toBeVisible();
  await look("turn on, planned");
  await expect(page.getByRole("button", { name: "Turn on" })).toBeVisible();
  await page.getByRole("link", { name: "Back" }).click();
  await expect(page.locator(".page-head .chip")).toHaveText("Off");
}
