import { createHmac } from "node:crypto";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** An authenticator app: codes of RFC 6238, and never the same one twice. */
export class Authenticator {
  readonly #key: Buffer;
  #last = 0;

  /** `secret` as the page shows it, in groups. */
  constructor(secret: string) {
    const bits = [...secret.replaceAll(/\s/g, "")].map((letter) => LETTERS.indexOf(letter).toString(2).padStart(5, "0")).join("");
    this.#key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  }

  /** The code of the present half minute; when it was used, the next one, which counts by now. */
  code(): string {
    this.#last = Math.max(Math.floor(Date.now() / 30_000), this.#last + 1);
    const step = Buffer.alloc(8);
    step.writeBigUInt64BE(BigInt(this.#last));
    const hash = createHmac("sha1", this.#key).update(step).digest();
    const at = (hash.at(-1) ?? 0) & 15;
    return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
  }
}
