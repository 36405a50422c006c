// An app that keeps accounts in memory, behind SCIMMY's routers. Arguments: the folder of the
// packages, and the token. It prints the port that it listens on.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, token] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const express = require("express");
const load = async (name) => (await import(pathToFileURL(`${folder}/node_modules/${name}`))).default;
const SCIMMY = await load("scimmy/dist/scimmy.js");
const Routers = await load("scimmy-routers/dist/routers.js");

const accounts = new Map();
let made = 0;

function known(id) {
  const account = accounts.get(id);
  if (!account) throw new SCIMMY.Types.Error(404, null, `No account ${id}`);
  return account;
}

SCIMMY.Resources.declare(SCIMMY.Resources.User)
  .extend(SCIMMY.Schemas.EnterpriseUser, false)
  .ingress((resource, data) => {
    if (resource.id) known(resource.id);
    const id = resource.id ?? String(++made);
    const name = data.userName.toLowerCase();
    for (const [other, account] of accounts) {
      if (other !== id && account.userName.toLowerCase() === name) {
        throw new SCIMMY.Types.Error(409, "uniqueness", "The user name is taken");
      }
    }
    const now = new Date();
    const created = accounts.get(id)?.meta.created ?? now;
    const account = { ...JSON.parse(JSON.stringify(data)), id, meta: { created, lastModified: now } };
    accounts.set(id, account);
    return account;
  })
  .egress((resource) => {
    if (resource.id) return known(resource.id);
    const all = [...accounts.values()];
    return resource.filter ? resource.filter.match(all) : all;
  })
  .degress((resource) => {
    known(resource.id);
    accounts.delete(resource.id);
  });

const app = express();
app.use("/scim", new Routers({
  type: "bearer",
  handler: (request) => {
    if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("Another token");
    return "rollcall";
  },
}));
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port));
