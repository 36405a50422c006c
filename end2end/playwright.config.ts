import { defineConfig } from "@playwright/test";
import type { Options } from "./fixtures/rollcall.ts";

// The browser is the system's: a test tool's own download is not needed and often not possible.
const browser = process.env.CHROMIUM ?? "/usr/bin/chromium";

export default defineConfig<Options>({
  testDir: "tests",
  // Every test has a Rollcall of its own, so that the order is of no matter.
  fullyParallel: true,
  workers: 2,
  forbidOnly: !!process.env.CI,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [["list"]],
  use: {
    // Nothing fades, so that a colour that is measured is the final one.
    contextOptions: { reducedMotion: "reduce" },
    trace: "retain-on-failure",
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: browser,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-quic",
        "--disable-sync",
        "--no-first-run",
      ],
    },
  },
  projects: [
    { name: "wasm", testIgnore: ["screenshots.spec.ts", "lighthouse.spec.ts"], use: { alive: true } },
    { name: "plain", testMatch: ["journey.spec.ts", "decisions.spec.ts", "console.spec.ts", "access.spec.ts", "settings.spec.ts", "newcomer.spec.ts"], use: { alive: false } },
    // Measured by `make soak ONLY=lighthouse`, on the optimised program.
    ...(process.env.LIGHTHOUSE ? [{ name: "lighthouse", testMatch: "lighthouse.spec.ts", use: { alive: true } }] : []),
    // Pictures to look at gate nothing: `make screenshots` takes them.
    ...(process.env.SCREENSHOTS ? [{ name: "screenshots", testMatch: "screenshots.spec.ts", use: { alive: true } }] : []),
  ],
});
