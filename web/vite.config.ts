import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { compress } from "./build/compress.ts";
import { themeFirst } from "./build/theme-first.ts";

export default defineConfig({
  plugins: [react(), tailwindcss(), themeFirst(), compress()],
  build: {
    outDir: "../internal/console/dist/site",
    emptyOutDir: true,
    assetsDir: "assets",
    assetsInlineLimit: 0, // the page's policy allows nothing inline
    modulePreload: { polyfill: false },
    target: "es2023",
    reportCompressedSize: false,
  },
  server: {
    port: 5173,
    // `npm run dev` beside `bin/halley demo`; HALLEY_URL names another server.
    proxy: Object.fromEntries(
      ["/api", "/v1", "/v1beta", "/healthz", "/readyz"].map((path) => [
        path,
        { target: process.env.HALLEY_URL ?? "http://127.0.0.1:8080", changeOrigin: false },
      ]),
    ),
  },
  resolve: { alias: { "@": new URL("./src", import.meta.url).pathname } },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}", "build/**/*.test.ts"],
    restoreMocks: true,
  },
});
