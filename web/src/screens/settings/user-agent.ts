/** What a User-Agent header says to people: a browser and where it runs. Both are names, not words. */
export interface Device {
  browser: string | undefined;
  system: string | undefined;
  /** Whether it is held in a hand. */
  mobile: boolean;
}

// In this order: most browsers name others that came before them, too.
const browsers: readonly [RegExp, string][] = [
  [/\bEdg(?:e|A|iOS)?\//, "Edge"],
  [/\b(?:OPR|Opera)\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\b(?:Firefox|FxiOS)\//, "Firefox"],
  [/\b(?:Chrome|Chromium|CriOS|HeadlessChrome)\//, "Chrome"],
  [/\bVersion\/[\d.]+.*\bSafari\//, "Safari"],
  [/^curl\//, "curl"],
  [/^Go-http-client\//, "Go"],
  [/^python-requests\//i, "Python"],
];

const systems: readonly [RegExp, string][] = [
  [/\biPhone\b/, "iPhone"],
  [/\biPad\b/, "iPad"],
  [/\bAndroid\b/, "Android"],
  [/\bWindows\b/, "Windows"],
  [/\bMac OS X\b/, "macOS"],
  [/\bCrOS\b/, "ChromeOS"],
  [/\bLinux\b/, "Linux"],
];

export function deviceOf(userAgent: string): Device {
  const find = (among: readonly [RegExp, string][]) => among.find(([pattern]) => pattern.test(userAgent))?.[1];
  return {
    browser: find(browsers),
    system: find(systems),
    mobile: /\b(?:iPhone|iPad|Android|Mobile)\b/.test(userAgent),
  };
}
