import { parsePeriod, periodText } from "@/format/period";

/** What the overview's address says. What is left out has its default. */
export interface OverviewSearch {
  /** A period as format/period writes it; the last 7 days when left out. */
  period?: string;
  /** What spend is split by; models when left out. */
  by?: "owner";
  /** Everybody's usage, for administrators; one's own when left out. */
  who?: "all";
}

export function overviewSearch(search: Record<string, unknown>): OverviewSearch {
  const period = periodText(parsePeriod(search.period));
  return {
    ...(period !== "7d" && { period }),
    ...(search.by === "owner" && { by: "owner" as const }),
    ...(search.who === "all" && { who: "all" as const }),
  };
}
