import { encode } from "uqr";

/** The dark modules of a QR code as the path of an SVG, one unit each. */
export interface Qr {
  size: number;
  path: string;
}

export function qr(text: string): Qr {
  const { data, size } = encode(text, { ecc: "M", border: 4 });
  return { size, path: runs(data) };
}

/** One rectangle for each run of set modules in a row. */
export function runs(rows: readonly (readonly boolean[])[]): string {
  let path = "";
  rows.forEach((row, y) => {
    for (let x = 0; x < row.length; x++) {
      const from = x;
      while (row[x]) x++;
      if (x > from) path += `M${from} ${y}h${x - from}v1h-${x - from}z`;
    }
  });
  return path;
}
