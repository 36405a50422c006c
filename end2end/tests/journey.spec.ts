import { expect, test } from "../fixtures/visit.ts";
import { addAsana, planBeforeTurningOn, recordSignIn, turnOff, turnOnForAllButContractors } from "../pages/app.ts";
import { connectDirectory, readDirectory } from "../pages/directory.ts";
import { createAdministrator, signIn } from "../pages/door.ts";
import { editMapping, reconsiderPolicies, seeNoFailures, seeWhoIsLeftOut } from "../pages/editing.ts";
import { seeAccounts, seeCreations, watchFirstRun } from "../pages/run.ts";
import { authorize, chooseScope, choosePolicies, mapAttributes, reviewAndTurnOn } from "../pages/wizard.ts";

test("from the one-time link to accounts in the app and their events in the log", async ({ visit }) => {
  test.setTimeout(900_000);
  const { page, demo, look, open } = visit;

  await test.step("the first administrator", async () => {
    await page.goto(demo.link);
    await look("setup");
    await createAdministrator(page, demo);
    await open("/");
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Call the roll in three steps");
    await look("home, first steps");
  });
  await test.step("connect the directory", () => connectDirectory(visit));
  await test.step("read the directory", () => readDirectory(visit));
  await test.step("add the app", () => addAsana(visit));
  await test.step("record sign-in", () => recordSignIn(visit));
  await test.step("turn the app on for org units", () => turnOnForAllButContractors(visit));
  await test.step("authorize", () => authorize(visit));
  await test.step("map attributes", () => mapAttributes(visit));
  await test.step("choose the scope", () => chooseScope(visit));
  await test.step("choose what ends an account", () => choosePolicies(visit));
  const created = await test.step("review and turn on", () => reviewAndTurnOn(visit));
  await test.step("watch the run", () => watchFirstRun(visit, created));
  await test.step("see the accounts", () => seeAccounts(visit, created));
  await test.step("see who is left out", () => seeWhoIsLeftOut(visit));
  await test.step("edit the mapping", () => editMapping(visit));
  await test.step("look at other windows, and take them back", () => reconsiderPolicies(visit));
  await test.step("nothing failed", () => seeNoFailures(visit));
  await test.step("see the events", () => seeCreations(visit));
  await test.step("home tells how it is", async () => {
    await open("/");
    await expect(page.getByRole("table").getByRole("link", { name: "Asana" })).toBeVisible();
    await look("home, running");
  });
  await test.step("turn off", () => turnOff(visit));
  await test.step("see what turning on would do", () => planBeforeTurningOn(visit));
  await test.step("sign out and in again", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await expect(page).toHaveURL(/\/sign-in$/);
    await look("sign in");
    await signIn(page);
    await expect(page).toHaveURL(`${demo.origin}/`);
    await expect(page.getByRole("table").getByRole("link", { name: "Asana" })).toBeVisible();
  });
});
