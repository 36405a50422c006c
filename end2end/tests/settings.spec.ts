import { expect, test } from "../fixtures/visit.ts";
import { giveEverybodyAnAccount } from "../pages/company.ts";
import { createAdministrator, email } from "../pages/door.ts";
import {
  addMail,
  addWebhook,
  endIdleSessions,
  keepForTwoYears,
  lowerThreshold,
  mailSink,
  protectSomebody,
  restorePolicy,
  webhookSink,
} from "../pages/settings.ts";

test("channels, thresholds, protected people, the history and retention are set in the console", async ({ visit }) => {
  test.setTimeout(900_000);
  const { page, demo, look, open } = visit;
  const [hook, mail] = [await webhookSink(), await mailSink()];
  await test.step("everybody has an account", async () => {
    await createAdministrator(page, demo);
    await giveEverybodyAnAccount(visit);
  });
  await test.step("a webhook is added and tried", () => addWebhook(visit, hook));
  await test.step("e-mail is added and tried", () => addMail(visit, mail));
  await test.step("every removal shall be held", () => lowerThreshold(visit));
  await test.step("somebody is protected", () => protectSomebody(visit));
  await test.step("a changed policy is found and put back", () => restorePolicy(visit, email));
  await test.step("the log is kept for two years", () => keepForTwoYears(visit));
  await test.step("whoever goes away is signed out", () => endIdleSessions(visit));
  await test.step("the overview says it all", async () => {
    await open("/settings");
    await expect(page.getByText("Signed out after 30 minutes without use, after 7 days in any case")).toBeVisible();
    await expect(page.getByText("2 channels")).toBeVisible();
    await expect(page.getByText("The log is kept for 2 years")).toBeVisible();
    await look("settings");
  });
  await test.step("what needs somebody is told", async () => {
    await open("/apps/asana/access");
    await page.getByRole("radiogroup").first().getByRole("radio", { name: "Off" }).check();
    await page.getByRole("button", { name: "Review and save" }).click();
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await expect(page.getByText(/Asana is on for/)).toBeVisible();
    await open("/apps/asana/autoprovisioning");
    await page.getByRole("button", { name: "Run now" }).click();
    const told = () => hook.received.map(({ body }) => JSON.parse(body).data.cause);
    await expect.poll(told, { timeout: 90_000 }).toContain("removals-held");
    await expect.poll(() => mail.received.length).toBe(2);
    await open("/settings/notifications");
    await expect(page.getByRole("link", { name: "Removals of Asana wait for your word" })).toBeVisible();
    await look("notifications");
  });
  await Promise.all([hook.close(), mail.close()]);
});
