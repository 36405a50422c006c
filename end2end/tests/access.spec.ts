import { sql } from "../fixtures/rollcall.ts";
import { expect, test, type Visit } from "../fixtures/visit.ts";
import { Authenticator } from "../pages/authenticator.ts";
import { email, password, signIn } from "../pages/door.ts";

test.use({ likeProduction: true });

const invited = "grace@example.com";

test("a second factor is set up, asked for at the door, and again before what does harm", async ({ visit, browser }) => {
  test.setTimeout(900_000);
  const { page, demo, alive, look, open, refused } = visit;
  const app = await test.step("the first administrator sets up an app", async () => {
    await page.goto(demo.link);
    await page.getByLabel("Your e-mail").fill(email);
    await page.getByLabel("Password").fill(password);
    await page.getByLabel("The same again").fill(password);
    await page.getByRole("button", { name: "Create administrator" }).click();
    await expect(page).toHaveURL(/\/second-factor/);
    await expect(page.getByRole("img", { name: "QR code for the authenticator app" })).toBeVisible();
    await look("second factor");
    await page.getByText("Type it instead").click();
    const app = new Authenticator(await page.locator("code.secret").innerText());
    const code = page.getByLabel("The code that the app shows now");
    await code.fill("000000");
    await refused("/api/finish_enrolment", () => page.getByRole("button", { name: "Confirm" }).click());
    await expect(page.locator("#code-error")).toContainText("This code is not right.");
    await code.fill(app.code());
    await page.getByRole("button", { name: "Confirm" }).click();
    return app;
  });
  const codes = await test.step("recovery codes are shown once", async () => {
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Your recovery codes");
    await expect(page.locator("code.secret")).toHaveCount(10);
    await look("recovery codes");
    const codes = await page.locator("code.secret").allInnerTexts();
    await page.getByRole("button", { name: "I have saved them" }).click();
    await expect(page).toHaveURL(`${demo.origin}/`);
    await open("/shown-once");
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Nothing to show");
    return codes;
  });
  await test.step("inviting asks who it is, before anything is typed", async () => {
    await longAgo(visit);
    await open("/administrators");
    await look("administrators");
    await page.getByRole("link", { name: "Invite an administrator" }).click();
    await expect(page.getByRole("heading", { name: "First confirm that it is you" })).toBeVisible();
    await look("confirm first");
    await page.getByLabel("Code from your authenticator app").fill(app.code());
    await page.getByRole("button", { name: "Confirm" }).click();
    await expect(page.getByLabel("Their e-mail")).toBeVisible();
    await look("invite");
  });
  await test.step("a setting that needs it is shown, and can't be filled in before", async () => {
    await longAgo(visit);
    for (const [address, field] of [
      ["/settings/retention", "Keep events for"],
      ["/settings/notifications/email", "Recipients"],
    ] as const) {
      await open(address);
      await expect(page.getByText("To change anything here, first confirm that it is you")).toBeVisible();
      await expect(page.getByLabel(field)).toBeDisabled();
      await look(`locked ${address}`);
    }
    await page.getByRole("link", { name: "Confirm that it is you" }).click();
    await page.getByText("Use your password instead").click();
    await page.getByLabel("Your password").fill(password);
    await page.getByRole("button", { name: "Confirm" }).click();
    await expect(page.getByLabel("Recipients")).toBeEnabled();
    await open("/administrators/invite");
  });
  const link = await test.step("what was typed is not lost when the confirmation runs out", async () => {
    await page.getByLabel("Their e-mail").fill(invited);
    await longAgo(visit);
    await refused("/api/invite_administrator", () => page.getByRole("button", { name: "Make the link" }).click());
    if (alive) {
      await expect(page.getByRole("alert")).toContainText("Confirm that it is you first");
      await expect(page.getByLabel("Their e-mail")).toHaveValue(invited);
      const [other] = await Promise.all([
        page.context().waitForEvent("page"),
        page.getByRole("link", { name: "Confirm it in another tab" }).click(),
      ]);
      await other.getByText("Use your password instead").click();
      await other.getByLabel("Your password").fill(password);
      await other.getByRole("button", { name: "Confirm" }).click();
      await expect(other.getByText("You confirmed who you are")).toBeVisible();
      await other.close();
    } else {
      await expect(page).toHaveURL(/\/confirm-identity\?next=%2Fadministrators%2Finvite/);
      await page.getByText("Use your password instead").click();
      await page.getByLabel("Your password").fill(password);
      await page.getByRole("button", { name: "Confirm" }).click();
      await page.getByLabel("Their e-mail").fill(invited);
    }
    await page.getByRole("button", { name: "Make the link" }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(`A link for ${invited}`);
    await look("link");
    return page.locator("code.secret").innerText();
  });
  await test.step("whoever was invited comes in, and only reads", async () => {
    const context = await browser.newContext({ javaScriptEnabled: alive });
    const theirs = await context.newPage();
    await theirs.goto(link);
    await theirs.getByLabel("Password").fill(password);
    await theirs.getByLabel("The same again").fill(password);
    await theirs.getByRole("button", { name: "Save and sign in" }).click();
    await expect(theirs).toHaveURL(`${demo.origin}/`);
    await expect(theirs.getByText(`${invited}, auditor`)).toBeVisible();
    await page.getByRole("button", { name: "I have copied it" }).click();
    await expect(page.getByRole("heading", { level: 1, name: invited })).toBeVisible();
    await look("an administrator");
    await page.getByRole("button", { name: "Sign out everywhere" }).click();
    // The click does not wait for its answer, and nothing on this page changes with it.
    await expect(async () => {
      await theirs.goto(`${demo.origin}/audit`);
      expect(theirs.url()).toContain("/sign-in");
    }).toPass({ timeout: 10_000 });
    await context.close();
  });
  await test.step("signing in asks for a code, and a recovery code does", async () => {
    await page.getByRole("button", { name: "Sign out", exact: true }).click();
    await expect(page).toHaveURL(`${demo.origin}/sign-in`);
    await open("/account");
    await signIn(page);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Second factor");
    await look("code");
    await page.getByLabel("Code from your authenticator app").fill(codes[0] ?? "");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page).toHaveURL(`${demo.origin}/account`);
    await expect(page.getByText("This one")).toBeVisible();
    await look("account");
  });
});

/** As if every confirmation had been given a while ago. */
async function longAgo({ demo }: Visit): Promise<void> {
  await sql(demo, `UPDATE sessions SET data = jsonb_set(data, '{signed_in,confirmed_at}', to_jsonb(now() - interval '11 minutes'))`);
}
