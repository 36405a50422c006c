import type { CDPSession, Page } from "@playwright/test";
import { sql } from "../fixtures/rollcall.ts";
import { expect, test } from "../fixtures/visit.ts";
import { email, password } from "../pages/door.ts";

test.use({ likeProduction: true });

test("a passkey is a second factor: set up at the door, used there and to confirm, named and removed", async ({ visit, complaints }) => {
  test.setTimeout(300_000);
  const { page, demo, look } = visit;
  // Browsers make passkeys for names only, and this machine's name is localhost.
  const origin = demo.origin.replace("127.0.0.1", "localhost");
  const authenticator = await Authenticator.in(page);

  await test.step("the first administrator adds one at the door", async () => {
    await page.goto(demo.link.replace(demo.origin, origin));
    await page.getByLabel("Your e-mail").fill(email);
    await page.getByLabel("Password").fill(password);
    await page.getByLabel("The same again").fill(password);
    await page.getByRole("button", { name: "Create administrator" }).click();
    await expect(page).toHaveURL(/\/second-factor/);
    await page.getByText("Use a passkey instead").click();
    await look("second factor with a passkey");
    await page.getByLabel("A name for the passkey").fill("Blue key");
    await page.getByRole("button", { name: "Add a passkey" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Your recovery codes");
    await page.getByRole("button", { name: "I have saved them" }).click();
    await expect(page).toHaveURL(`${origin}/`);
    expect(await authenticator.count()).toBe(1);
  });

  await test.step("it signs in", async () => {
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await expect(page).toHaveURL(/\/sign-in/);
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Second factor");
    await look("a passkey at the door");
    await page.getByRole("button", { name: "Use a passkey" }).click();
    await expect(page).toHaveURL(`${origin}/`);
  });

  await test.step("one that does not recognize its owner does not confirm", async () => {
    await sql(demo, `UPDATE sessions SET data = jsonb_set(data, '{signed_in,confirmed_at}', to_jsonb(now() - interval '11 minutes'))`);
    await page.goto(`${origin}/account`);
    await expect(page.getByRole("rowheader", { name: "Blue key" })).toBeVisible();
    await page.getByRole("link", { name: "Confirm that it is you" }).first().click();
    await authenticator.recognize(false);
    await page.getByRole("button", { name: "Confirm with a passkey" }).click();
    await expect(page.getByRole("alert")).toContainText("No passkey was used");
    await look("no passkey was used");
  });

  await test.step("one that does confirms", async () => {
    await authenticator.recognize(true);
    await page.getByRole("button", { name: "Confirm with a passkey" }).click();
    await expect(page).toHaveURL(`${origin}/account`);
    await expect(page.getByRole("rowheader", { name: "Blue key" })).toBeVisible();
    await look("account with a passkey");
  });

  await test.step("it gets another name, and stays while it is the last", async () => {
    await page.getByText("Rename").click();
    await page.getByLabel("A new name for Blue key").fill("Green key");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByRole("rowheader", { name: "Green key" })).toBeVisible();
    await expect(page.getByRole("button", { name: "Remove Green key" })).toBeHidden();
  });

  await test.step("a second one is added, and the first removed", async () => {
    const other = await Authenticator.in(page, "usb");
    await page.getByLabel("A name for the passkey").fill("Spare");
    await page.getByRole("button", { name: "Add a passkey" }).click();
    await expect(page.getByRole("rowheader", { name: "Spare" })).toBeVisible();
    expect(await other.count()).toBe(1);
    await page.getByRole("button", { name: "Remove Green key" }).click();
    await expect(page.getByRole("rowheader", { name: "Green key" })).toBeHidden();
  });

  await test.step("at another address the console says where they work", async () => {
    expect(complaints).toEqual([]);
    await page.goto(`${demo.origin}/sign-in`);
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("button", { name: "Use a passkey" }).click();
    await expect(page.getByRole("alert")).toContainText(`Open the console at ${origin}`);
  });
});

/** An authenticator that the browser believes to be there. */
class Authenticator {
  readonly #cdp: CDPSession;
  readonly #id: string;

  private constructor(cdp: CDPSession, id: string) {
    this.#cdp = cdp;
    this.#id = id;
  }

  static async in(page: Page, transport: "internal" | "usb" = "internal"): Promise<Authenticator> {
    const cdp = await page.context().newCDPSession(page);
    await cdp.send("WebAuthn.enable");
    const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        transport,
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    return new Authenticator(cdp, authenticatorId);
  }

  /** Whether the finger on it is its owner's. */
  async recognize(isUserVerified: boolean): Promise<void> {
    await this.#cdp.send("WebAuthn.setUserVerified", { authenticatorId: this.#id, isUserVerified });
  }

  async count(): Promise<number> {
    const { credentials } = await this.#cdp.send("WebAuthn.getCredentials", { authenticatorId: this.#id });
    return credentials.length;
  }
}
