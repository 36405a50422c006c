import { expect, type Visit } from "../fixtures/visit.ts";
import { until } from "./directory.ts";

function heading({ page }: Visit, text: string) {
  return expect(page.getByRole("heading", { level: 1 })).toHaveText(text);
}

const next = (visit: Visit) => visit.page.getByRole("button", { name: "Continue" });

/** Step 1: a wrong token is refused, the demo's own is taken. */
export async function authorize(visit: Visit): Promise<void> {
  const { page, alive, look, refused, open } = visit;
  await open("/apps/asana");
  await page.getByRole("link", { name: "Configure autoprovisioning" }).click();
  await heading(visit, "Let Rollcall in to Asana");
  await look("authorize");
  await page.getByRole("link", { name: "Fill in its endpoint and token" }).click();
  const token = page.getByLabel("Access token");
  await expect(token).toHaveValue(/./);

  const right = await token.inputValue();
  await token.fill("wrong");
  await refused("/api/save_authorize", () => next(visit).click());
  await expect(page.locator("#token-error")).toHaveText("The app refused this token. Copy it again, complete.");
  await look("authorize, refused");
  await expect(page.getByText("A token is stored")).toHaveCount(0);

  if (alive) await token.fill(right);
  await next(visit).click();
  await heading(visit, "What does Asana get to know?");
}

/** Chooses where an attribute comes from: by letters, or without scripts from the plain list. */
export async function chooseSource({ page, alive }: Visit, attribute: string, text: string): Promise<void> {
  const control = page.getByRole("combobox", { name: `Source of ${attribute}` });
  if (!alive) {
    await control.selectOption({ label: text });
    return;
  }
  await control.click();
  await control.fill(text);
  await page.getByRole("option").filter({ hasText: text }).first().click();
  await expect(control).toHaveValue(text);
}

/** Step 2: a mandatory attribute needs a source, an expression says where it is wrong, and one person shows it all. */
export async function mapAttributes(visit: Visit): Promise<void> {
  const { page, alive, look, refused, open } = visit;
  await look("attributes");
  await chooseSource(visit, "full name", "Choose a source");
  await chooseSource(visit, "job title", "Expression");
  await page.getByLabel("Constant or expression for job title").fill("person.name +");
  await refused("/api/save_attributes", () => next(visit).click());
  await expect(page.getByText("Mandatory. Choose where it comes from.").last()).toBeVisible();
  await expect(page.getByText(/can't be read from character \d+ on/).last()).toBeVisible();
  await look("attributes, refused");
  await chooseSource(visit, "full name", "Name, full");
  await chooseSource(visit, "job title", "Organization (primary), title");

  const person = page.getByLabel("Person to preview");
  await person.fill("a");
  if (alive) {
    await person.press("Enter");
    await expect(page.getByText("Mandatory. Choose where it comes from.")).toHaveCount(0);
  } else {
    await page.getByRole("button", { name: "Show" }).click();
    await expect(page).toHaveURL(/preview=a/);
  }
  await page.getByText("SCIM body, as it will be sent").click();
  await expect(page.getByLabel("SCIM body")).toContainText("userName");
  const lacking = page.getByRole("link", { name: /See who\s*, Job title/ });
  await lacking.click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Who has no value for “Job title”");
  expect(await page.getByRole("rowheader").count()).toBeGreaterThan(5);
  await look("who lacks a value");
  await open("/apps/asana/setup/attributes");
  await next(visit).click();
  await heading(visit, "Who gets an account in Asana?");
}

/** Step 3: a group, found by letters, with everybody in the groups inside it. */
export async function chooseScope(visit: Visit): Promise<void> {
  const { page, alive, look } = visit;
  const letters = page.getByLabel("Add a group");
  await letters.fill("asana");
  if (!alive) await page.getByRole("button", { name: "Find", exact: true }).click();
  const found = page.getByRole("option", { name: /Asana users/ });
  await expect(found).toBeVisible();
  await look("scope, finding");
  if (alive) {
    // Enter sends the form, and whoever types goes on typing.
    await letters.evaluate((before) => before.setAttribute("data-before", ""));
    await letters.press("Enter");
    await expect(page.locator("[data-before]")).toHaveCount(0);
    await expect(letters).toBeFocused();
    await expect(page.getByRole("button", { name: "Go on" })).toHaveCount(0);
    await expect(found).toBeVisible();
    await letters.press("ArrowDown");
    await expect(page.getByRole("option", { selected: true })).toHaveCount(1);
  }
  await found.click();

  const members = page.getByRole("radiogroup", { name: "Members of Asana users" });
  await members.getByRole("radio", { name: "Direct and nested" }).check();
  await page.getByRole("button", { name: "Count again" }).click();
  await expect(page.getByText(/[1-9]\d* people will be in scope\./)).toBeVisible();
  await expect(members.getByRole("radio", { name: "Direct and nested" })).toBeChecked();
  if (alive) await expect(page.getByRole("button", { name: "Count again" })).toBeFocused();
  await look("scope");
  await next(visit).click();
  await heading(visit, "What happens when somebody leaves?");
}

/** Step 4: deleting comes later than suspending, or not at all. */
export async function choosePolicies(visit: Visit): Promise<void> {
  const { page, look, refused } = visit;
  await look("deprovisioning");
  const suspended = page.getByRole("group", { name: "A person is suspended in Google" });
  const [suspend, remove] = [suspended.getByLabel(/^Suspend,/), suspended.getByLabel(/^Delete,/)];
  await suspend.selectOption("7d");
  await remove.selectOption("24h");
  await refused("/api/save_deprovisioning", () => next(visit).click());
  await expect(suspended.getByText(/^Delete must come later than suspend\./).filter({ visible: true })).toHaveCount(1);
  await look("deprovisioning, refused");
  await suspend.selectOption("24h");
  await remove.selectOption("21d");
  await next(visit).click();
}

/** Step 5: the plan names everybody, and turning on carries out exactly that. Returns how many accounts it creates. */
export async function reviewAndTurnOn(visit: Visit): Promise<number> {
  const { page, alive, look, open } = visit;
  const planned = page.getByRole("heading", { level: 1, name: "This is what the first run will do" });
  await until(alive, () => expect(planned).toBeVisible({ timeout: alive ? 30_000 : 500 }), () => open("/apps/asana/setup/review"));
  await look("review");
  const create = Number(await page.locator(".figures li", { hasText: "Create" }).locator("b").textContent());
  expect(create).toBeGreaterThan(100);
  await page.getByRole("button", { name: "Turn on" }).click();
  await expect(page).toHaveURL(/\/apps\/asana\/autoprovisioning$/);
  return create;
}
