import { encode } from "uqr";
import { expect, it } from "vitest";
import { qr, runs } from "./qr";

it("draws each run of modules once", () => {
  expect(
    runs([
      [true, true, false, true],
      [false, false, false, false],
      [false, true, true, true],
    ]),
  ).toBe("M0 0h2v1h-2zM3 0h1v1h-1zM1 2h3v1h-3z");
});

it("draws the modules of the code, and nothing else", () => {
  const text = "otpauth://totp/Halley:ada?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Halley";
  const { size, path } = qr(text);
  const drawn = Array.from({ length: size }, () => new Array<boolean>(size).fill(false));
  for (const [, x, y, length] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g)) {
    const row = drawn[Number(y)];
    for (let i = 0; i < Number(length); i++) if (row) row[Number(x) + i] = true;
  }
  const code = encode(text, { ecc: "M", border: 4 });
  expect(drawn).toEqual(code.data);
  // Readers want four clear modules around it.
  for (const row of drawn) expect(row.slice(0, 4)).toEqual([false, false, false, false]);
});
