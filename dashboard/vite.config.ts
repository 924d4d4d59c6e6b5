import { defineConfig } from "vite";

// For `npm run dev`: where a control plane answers. The Host header is kept, or it would take POSTs for those of another site.
const plane = { target: process.env.PRIMACY_API ?? "http://127.0.0.1:3900", changeOrigin: false };

export default defineConfig({
  base: "./", // the page also works behind a proxy that serves it under a path of its own
  server: { proxy: { "/api": plane, "/sandbox": plane, "/docs": plane, "/openapi.json": plane } },
  build: {
    target: "es2022",
    modulePreload: false, // it would need an inline script, which the content security policy forbids
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    rollupOptions: {
      output: {
        inlineDynamicImports: true,
        entryFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
  test: { environment: "happy-dom", restoreMocks: true, css: true, testTimeout: 60_000 },
} as Parameters<typeof defineConfig>[0]);
