import { sql } from "../fixtures/rollcall.ts";
import type { Visit } from "../fixtures/visit.ts";

/** Long names, names from right to left and long addresses, in the first rows of the lists. */
export async function difficultPeople({ demo }: Visit): Promise<void> {
  const names = [
    ["Aaaliyah-Konstantina Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh", "aaaliyah.konstantina.wolfeschlegelsteinhausen@northmoor.example"],
    ["آمنة بنت عبد الرحمن الزهراني", "aaamina@northmoor.example"],
  ];
  for (const [index, [name, address]] of names.entries()) {
    const whose = `(SELECT person_id FROM links WHERE state = 'active' ORDER BY person_id OFFSET ${index} LIMIT 1)`;
    const person = `person || '${JSON.stringify({ name: { given: "", family: name, full: name }, primary_email: address })}'`;
    await sql(demo, `UPDATE people SET full_name = '${name}', primary_email = '${address}', person = ${person} WHERE id = ${whose}`);
  }
}

/** An account that was changed in the app, and people whom the app refused. */
export async function differAndFail({ demo }: Visit): Promise<void> {
  const links = "FROM links WHERE state = 'active' ORDER BY person_id OFFSET";
  const changes = '[{"attribute":"name.formatted","old":"Ines Albrecht","new":"Ines Albrecht-Sommerfeld"},{"attribute":"title","old":"Director","new":null}]';
  for (const [index, kind] of ["values", "inactive", "gone"].entries()) {
    await sql(
      demo,
      `INSERT INTO drifts (app_id, person_id, kind, account_id, changes, first_found_at, last_found_at)
       SELECT app_id, person_id, '${kind}', account_id, '${kind === "values" ? changes : "[]"}', now() - interval '1 day', now() ${links} ${index + 5} LIMIT 1`,
    );
  }
  const causes = [
    ["scim-conflict", "Another account has this user name already.", true],
    ["scim-transient", "The app answered 503 Service Unavailable.", false],
    ["scim-rejected", "The app answered 400: the attribute urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:costCenter has an invalid value.", true],
  ] as const;
  for (const [index, [code, message, permanent]] of causes.entries()) {
    await sql(
      demo,
      `INSERT INTO failures (app_id, person_id, kind, code, message, permanent, attempts, first_at, last_at, next_try_at)
       SELECT app_id, person_id, 'update', '${code}', '${message}', ${permanent}, 3, now() - interval '2 days', now(),
              ${permanent ? "NULL" : "now() + interval '40 minutes'"} ${links} ${index} LIMIT 1`,
    );
  }
}
