import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const worthwhile = /\.(html|js|css|svg|json)$/;

/** Writes a .br and a .gz beside every text file, where that saves something. */
export function compress(): Plugin {
  let out = "";
  return {
    name: "compress",
    apply: "build",
    configResolved(config) {
      out = join(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const entry of readdirSync(out, { recursive: true, withFileTypes: true })) {
        const file = join(entry.parentPath, entry.name);
        if (!entry.isFile() || !worthwhile.test(entry.name)) continue;
        const text = readFileSync(file);
        const smaller = {
          br: brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }),
          gz: gzipSync(text, { level: 9 }),
        };
        for (const [ending, bytes] of Object.entries(smaller)) {
          if (bytes.length < text.length) writeFileSync(`${file}.${ending}`, bytes);
          else rmSync(`${file}.${ending}`, { force: true });
        }
      }
    },
  };
}
