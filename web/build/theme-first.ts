import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

const source = "src/app/theme-first.js";

/** Puts the small blocking script that sets the theme into the page's head, as a hashed file of its own. */
export function themeFirst(): Plugin {
  let building = false;
  let reference = "";
  return {
    name: "theme-first",
    configResolved(config) {
      building = config.command === "build";
    },
    buildStart() {
      if (building) {
        reference = this.emitFile({ type: "asset", name: "theme-first.js", source: readFileSync(source) });
      }
    },
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const page = bundle["index.html"];
        if (page?.type === "asset") {
          const tag = `<script src="/${this.getFileName(reference)}"></script>`;
          page.source = String(page.source).replace("</title>", `</title>\n    ${tag}`);
        }
      },
    },
    transformIndexHtml() {
      return building ? [] : [{ tag: "script", attrs: { src: `/${source}` }, injectTo: "head" }];
    },
  };
}
