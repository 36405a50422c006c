import type { Visit } from "../fixtures/visit.ts";
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
