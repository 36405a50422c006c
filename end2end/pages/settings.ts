import { createServer, type IncomingMessage, type Server } from "node:http";
import { createHmac } from "node:crypto";
import { createServer as createSocketServer, type AddressInfo, type Server as SocketServer } from "node:net";
import { expect, type Visit } from "../fixtures/visit.ts";

/** Somebody else's server that keeps what it is sent. */
export interface Sink {
  port: number;
  received: { headers: IncomingMessage["headers"]; body: string }[];
  close(): Promise<void>;
}

export async function webhookSink(): Promise<Sink> {
  const received: Sink["received"] = [];
  const server: Server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      received.push({ headers: request.headers, body });
      response.writeHead(204).end();
    });
  });
  return { ...(await listening(server)), received };
}

/** A mail server that takes everything; without TLS, as only this machine may be spoken to. */
export async function mailSink(): Promise<Sink> {
  const received: Sink["received"] = [];
  const server: SocketServer = createSocketServer((socket) => {
    let [text, isData] = ["", false];
    socket.write("220 mail\r\n");
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      text += chunk.toString();
      let end: number;
      while ((end = text.indexOf(isData ? "\r\n.\r\n" : "\r\n")) >= 0) {
        const said = text.slice(0, end);
        text = text.slice(end + (isData ? 5 : 2));
        if (isData) received.push({ headers: {}, body: said });
        const begins = !isData && said.startsWith("DATA");
        socket.write(begins ? "354 go on\r\n" : said.startsWith("QUIT") ? "221 bye\r\n" : "250 fine\r\n");
        isData = begins;
      }
    });
  });
  return { ...(await listening(server)), received };
}

async function listening(server: Server | SocketServer): Promise<{ port: number; close(): Promise<void> }> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { port: (server.address() as AddressInfo).port, close };
}

/** Adds a webhook, keeps its secret, and finds the test's signature right. */
export async function addWebhook({ page, look, open }: Visit, sink: Sink): Promise<void> {
  await open("/settings/notifications");
  await expect(page.getByText("Nobody is told yet.")).toBeVisible();
  await look("notifications, none");
  await page.getByRole("link", { name: "Add a webhook" }).click();
  await page.getByLabel("Name").fill("On call");
  await page.getByLabel("Address").fill(`http://127.0.0.1:${sink.port}/hook`);
  await look("webhook, new");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("On call");
  const secret = (await page.locator("code.wraps", { hasText: "whsec_" }).textContent()) ?? "";
  await look("webhook, secret");
  await page.getByRole("button", { name: "I have kept it" }).click();
  await expect(page.getByText(secret)).toHaveCount(0);
  await page.getByRole("button", { name: "Send a test" }).click();
  await expect.poll(() => sink.received.length).toBe(1);
  const { headers, body } = sink.received[0]!;
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  expect(headers["webhook-signature"]).toBe(`v1,${createHmac("sha256", key).update(signed).digest("base64")}`);
  expect(JSON.parse(body).type).toBe("test");
  await expect(page.getByText("None yet")).toHaveCount(0);
  await look("webhook");
}

/** Adds a mail server and sends a test through it. */
export async function addMail({ page, look, open, refused }: Visit, sink: Sink): Promise<void> {
  await open("/settings/notifications/email");
  await page.getByLabel("Recipients").fill("it@larkfield.example, nobody");
  await page.getByLabel("Sender").fill("rollcall@larkfield.example");
  await page.getByLabel("Mail server").fill("127.0.0.1");
  await page.getByLabel("Port").fill(String(sink.port));
  await page.getByLabel("Security").selectOption("none");
  await refused("/api/save_email_channel", () => page.getByRole("button", { name: "Add", exact: true }).click());
  await expect(page.locator("#recipients-error")).toHaveText("This is not an e-mail address.");
  await look("e-mail, refused");
  await page.getByLabel("Recipients").fill("it@larkfield.example");
  await page.getByLabel("Sender").fill("rollcall@larkfield.example");
  await page.getByLabel("Mail server").fill("127.0.0.1");
  await page.getByLabel("Port").fill(String(sink.port));
  await page.getByLabel("Security").selectOption("none");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("button", { name: "Send a test" }).click();
  await expect.poll(() => sink.received.length).toBe(1);
  expect(sink.received[0]!.body).toContain("Subject: Rollcall: Rollcall can reach you here");
  await look("e-mail");
}

/** Lowers a threshold and sees what it means. */
export async function lowerThreshold({ page, look, open, refused }: Visit): Promise<void> {
  await open("/settings/thresholds");
  await look("thresholds");
  await page.getByRole("link", { name: "Asana" }).last().click();
  await expect(page.getByText(/^Held from the \d+(st|nd|rd|th) removal within 24 hours on$/)).toBeVisible();
  await look("thresholds of an app");
  const maximum = page.getByLabel("Removals, whatever the percentage");
  await maximum.fill("many");
  await refused("/api/save_thresholds", () => page.getByRole("button", { name: "Save", exact: true }).click());
  await expect(page.locator("#maximum-error")).toHaveText("This is outside what is possible.");
  await look("thresholds, refused");
  await maximum.fill("0");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByRole("cell", { name: "Every removal is held" })).toBeVisible();
}

/** Protects somebody, and takes it back after a look at what follows. Returns who it was. */
export async function protectSomebody({ page, look, open }: Visit): Promise<string> {
  await open("/settings/protected");
  await look("protected people");
  await page.getByRole("link", { name: "Asana" }).last().click();
  await expect(page.getByText("Nobody is protected in Asana.")).toBeVisible();
  await page.getByLabel("Name or address").fill("a");
  await page.getByRole("button", { name: "Find", exact: true }).click();
  const protect = page.getByRole("button", { name: /^Protect/ }).first();
  const name = ((await protect.textContent()) ?? "").replace("Protect", "").trim();
  await look("protecting somebody");
  await protect.click();
  const row = page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });
  await expect(row).toBeVisible();
  await look("somebody is protected");
  await row.getByRole("link", { name: /^Remove/ }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(`No longer protect ${name}?`);
  await look("remove protection");
  await page.getByRole("link", { name: "Back" }).click();
  await expect(row).toBeVisible();
  return name;
}

/** Somebody changed a policy; who it was is found, and it is put back. */
export async function restorePolicy({ page, look, open }: Visit, who: string): Promise<void> {
  await open("/apps/asana/autoprovisioning/deprovisioning");
  const suspended = page.getByRole("group", { name: "A person is suspended in Google" });
  await suspended.getByLabel(/^Suspend,/).selectOption("7d");
  await page.getByRole("button", { name: "Review and save" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Which steps get other dates?");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page).toHaveURL(/\/apps\/asana\/autoprovisioning$/);
  await open("/apps/asana/autoprovisioning");
  await page.getByRole("link", { name: "History", exact: true }).click();
  const changed = page.getByRole("row").filter({ hasText: "Deprovisioning: Suspended in Google" }).first();
  await expect(changed).toContainText(who);
  await look("history");
  await changed.getByRole("link", { name: /^Compare/ }).click();
  await expect(page.getByRole("heading", { name: "Deprovisioning" })).toBeVisible();
  await expect(page.getByText("after 7 days")).toBeVisible();
  await look("versions compared");
  await page.getByRole("link", { name: /^Restore version \d+$/ }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/^Restore version \d+\?$/);
  await look("restore");
  await page.getByRole("checkbox").check();
  await page.getByRole("button", { name: /^Restore version \d+$/ }).click();
  await expect(page.getByRole("row").filter({ hasText: "In force" })).toContainText("Restored version");
}

/** Events may go after two years, which has to be meant. */
export async function keepForTwoYears({ page, alive, look, open, refused }: Visit): Promise<void> {
  await open("/settings/retention");
  await page.getByLabel("Keep events for").selectOption("730");
  await refused("/api/save_retention", () => page.getByRole("button", { name: "Save", exact: true }).click());
  await expect(page.locator("#confirmed-error")).toBeVisible();
  await page.getByLabel("Keep events for").selectOption("730");
  await page.getByRole("checkbox").check();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Months that are wholly before")).toBeVisible();
  if (alive) {
    // Said, and whoever uses the keyboard goes on from where they were.
    await expect(page.getByText("Saved", { exact: true })).toBeVisible();
    await expect(page.getByRole("button", { name: "Save", exact: true })).toBeFocused();
  }
  await look("retention");
}

/** Whoever goes away is signed out after half an hour. */
export async function endIdleSessions({ page, look, open }: Visit): Promise<void> {
  await open("/settings/sessions");
  await page.getByLabel("Signed out without use after").selectOption("30");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await expect(page.getByText("Changed last")).toBeVisible();
  await expect(page.getByLabel("Signed out without use after")).toHaveValue("30");
  await look("sessions");
}
