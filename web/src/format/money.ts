/** Quota units in one US dollar, fixed at install. */
export const unitsPerUsd = 500_000;

/** The US dollars that a number of quota units is. */
export function usdOf(units: number | string): number {
  return Number(units) / unitsPerUsd;
}

/** The quota units that a number of US dollars is, to the nearest unit. */
export function unitsOf(usd: number): number {
  return Math.round(usd * unitsPerUsd);
}

/**
 * Digits after the point that tell an amount sensibly: cents from a dollar on,
 * three significant digits below, down to a nano-dollar.
 */
export function moneyDigits(usd: number): number {
  const size = Math.abs(usd);
  if (size === 0 || size >= 0.995) return 2;
  return Math.min(9, Math.max(2, 2 - Math.floor(Math.log10(size))));
}

/** US dollars as text: $1,234.50, $0.0123, $0.00. */
export function formatUsd(usd: number, language: string): string {
  const digits = moneyDigits(usd);
  return new Intl.NumberFormat(language, {
    style: "currency",
    currency: "USD",
    currencyDisplay: "narrowSymbol",
    minimumFractionDigits: 2,
    maximumFractionDigits: digits,
  }).format(usd);
}

/**
 * What was typed as a number, without the commas between its thousands. One that
 * stands elsewhere stays, and makes it no number: to some, 0,5 is a half.
 */
export function withoutGroups(text: string): string {
  const plain = text.trim();
  return /^[-$]*\d{1,3}(,\d{3})+(\.\d*)?$/.test(plain) ? plain.replaceAll(",", "") : plain;
}

/** What was typed as dollars, in quota units; undefined when it is no amount. */
export function parseUsd(text: string): number | undefined {
  const plain = withoutGroups(text).replace(/^\$/, "");
  if (!/^-?\d*\.?\d*$/.test(plain) || !/\d/.test(plain)) return undefined;
  const units = unitsOf(Number(plain));
  return Number.isSafeInteger(units) ? units : undefined;
}

/** Quota units as the text of a dollar field: 5, 0.25, without a symbol. */
export function usdField(units: number): string {
  return String(Number((units / unitsPerUsd).toFixed(6)));
}
