import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import i18next from "i18next";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { selfQuery, statusQuery } from "./api/queries";
import { firstLanguage } from "./app/preferences";
import { startMessages } from "./messages";
import { queries, router } from "./router";
import { Toasts } from "./ui/toast";
import { TooltipProvider } from "./ui/tooltip";
import "./styles.css";

const host = document.getElementById("root");
if (!host) throw new Error("index.html has no #root");

// Asked for at once, while the language's chunk is on its way.
void queries.prefetchQuery(selfQuery);
void queries.prefetchQuery(statusQuery);
await startMessages(firstLanguage());
// What the server told in words is asked for in the other language.
i18next.on("languageChanged", () => void queries.invalidateQueries());
createRoot(host).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <TooltipProvider>
        <RouterProvider router={router} />
        <Toasts />
      </TooltipProvider>
    </QueryClientProvider>
  </StrictMode>,
);
