import type { Locator } from "@playwright/test";
import { expect, type Visit } from "../fixtures/visit.ts";

/** Somebody who has read nothing: begins at home, follows what is visible, and is counted. */
export class Newcomer {
  clicks = 0;
  /** Fields that were filled in or chosen from. */
  fields = 0;

  constructor(readonly visit: Visit) {}

  /** Begins a task at home, with nothing counted yet. */
  async begin(): Promise<void> {
    this.clicks = this.fields = 0;
    await this.visit.open("/");
  }

  async click(target: Locator): Promise<void> {
    this.clicks += 1;
    await target.click();
  }

  link(name: string | RegExp): Promise<void> {
    return this.click(this.visit.page.getByRole("link", { name, exact: true }).first());
  }

  button(name: string | RegExp): Promise<void> {
    return this.click(this.visit.page.getByRole("button", { name, exact: true }).first());
  }

  async check(target: Locator): Promise<void> {
    this.clicks += 1;
    await target.check();
  }

  async select(label: string | RegExp, option: string): Promise<void> {
    this.fields += 1;
    await this.visit.page.getByLabel(label).selectOption({ label: option });
  }

  /** Types into a field and presses Enter. */
  async search(label: string, text: string): Promise<void> {
    this.fields += 1;
    const field = this.visit.page.getByLabel(label);
    await field.fill(text);
    await field.press("Enter");
  }

  async sees(heading: string | RegExp): Promise<void> {
    await expect(this.visit.page.getByRole("heading", { level: 1 })).toHaveText(heading, { timeout: 30_000 });
  }

  /** Waits for what happens by itself; without scripts the page is asked for again. */
  async waits(seen: Locator): Promise<void> {
    if (this.visit.alive) return expect(seen).toBeVisible({ timeout: 60_000 });
    await expect(async () => {
      await this.visit.page.reload();
      await expect(seen).toBeVisible({ timeout: 500 });
    }).toPass({ timeout: 60_000 });
  }

  /** Says how much it took, and fails when it was more than it ought to be. */
  done(task: string, most: number): void {
    console.log(`newcomer: ${task}: ${this.clicks} clicks, ${this.fields} fields`);
    expect(this.clicks, `clicks to ${task}`).toBeLessThanOrEqual(most);
  }
}
