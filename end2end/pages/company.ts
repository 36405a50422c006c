import { expect, type Visit } from "../fixtures/visit.ts";
import { addAsana, recordSignIn, turnOnForAllButContractors } from "./app.ts";
import { connectDirectory, readDirectory } from "./directory.ts";
import { watchFirstRun } from "./run.ts";
import { authorize, chooseScope, choosePolicies, mapAttributes, reviewAndTurnOn } from "./wizard.ts";

/** From the first steps of home to accounts for everybody in scope. Returns how many were created. */
export async function giveEverybodyAnAccount(visit: Visit): Promise<number> {
  await connectDirectory(visit);
  await readDirectory(visit);
  await addAsana(visit);
  await recordSignIn(visit);
  await turnOnForAllButContractors(visit);
  await authorize(visit);
  await mapAttributes(visit);
  await chooseScope(visit);
  await choosePolicies(visit);
  const created = await reviewAndTurnOn(visit);
  await watchFirstRun(visit, created);
  return created;
}

/** Suspends, at Google, two people who have an account. */
export async function suspendTwo({ page, open }: Visit): Promise<void> {
  await open("/demo");
  const rows = page.getByRole("row").filter({ hasText: "Active account" });
  const links = rows.getByRole("rowheader").getByRole("link");
  const people = await links.evaluateAll((found) => found.slice(1, 3).map((one) => one.getAttribute("href") ?? ""));
  for (const path of people) {
    await open(path);
    await page.getByRole("button", { name: "Suspend", exact: true }).click();
    await expect(page.getByRole("button", { name: "Restore" })).toBeVisible();
  }
}
